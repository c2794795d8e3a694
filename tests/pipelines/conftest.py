"""One study at the smallest scale, whose runs all tests of pipelines share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines import Study


@pytest.fixture(scope="session")
def smoke(small_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Two seeds at scale smoke on three synthetic days; every test that trains finds the runs of the others."""
    output = tmp_path_factory.mktemp("pipelines")
    return Study(small_archive, "smoke", 2, output=output, runs=output / "runs", block_hours=1, progress=False)


@pytest.fixture
def study(smoke: Study, tmp_path: Path) -> Study:
    """The same with one seed and folders of its own."""
    return replace(smoke, seeds=1, output=tmp_path, runs=tmp_path / "runs")
