"""Fixtures that several rooms use: a small world of synthetic radar, and real radar where it is at hand."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from radar_tree import Tree

from nowcast.archive import Archive

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Small tensors are faster on one thread, and results do not depend on the machine's cores."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real radar samples, which are never part of the project."""
    folder = Path(os.environ.get("NOWCAST_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (folder / "hko7-layout").is_dir():
        pytest.skip(f"no real radar at {folder} (set NOWCAST_SHARED_DATA to a folder that holds hko7-layout/)")
    return folder


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a build needs, so that building leaves no trace in the repository."""
    copy = tmp_path_factory.mktemp("sources")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("nowcast", "memel", "pipelines", "configs"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "environment.yml", "constraints.txt"):
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="session")
def small_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of three synthetic days (train, valid, test), 40 frames of 48×48 each."""
    from nowcast import ingest_hko7, synthesize

    folder = tmp_path_factory.mktemp("small")
    synthesize(folder / "radar", days=3, seed=7, size=48, frames_per_day=40, workers=1, progress=False)
    ingest_hko7(folder / "radar", folder / "archive", workers=1, progress=False)
    return folder / "archive"


@pytest.fixture
def small_experiment(small_archive: Path):
    """An experiment that trains in a second or two on `small_archive`; a function of overrides."""
    from nowcast import read_experiment

    toy = Path(__file__).parent / "toy.yaml"

    def make(**overrides: object):
        return read_experiment(toy, {"data.archive": str(small_archive), **overrides})

    return make


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """An empty source with a static mask."""
    source = Tree(tmp_path / "source")
    source.root.mkdir()
    source.static_mask()
    return source


@pytest.fixture
def archive(tree: Tree) -> Archive:
    """Two days of six frames; on the first the slot 00:12 is missing."""
    tree.day("2018-07-21", 6)
    tree.path("2018-07-21T00:12").unlink()
    tree.day("2018-07-22", 6)
    tree.day_list("train", "20180721, 6.1")
    tree.day_list("test", "20180722, 1.5")
    return tree.ingest()[1]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not tested here, and why: a skip that nobody reads is a test that nobody runs."""
    reasons = Counter(str(report.longrepr[-1]) for report in terminalreporter.stats.get("skipped", []))
    terminalreporter.section(f"{sum(reasons.values())} skipped")
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count:4} × {reason.removeprefix('Skipped: ')}")
