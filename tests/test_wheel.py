"""What `pip install .` gives: the wheel alone, in an environment that has never seen the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
OFFLINE = ["--no-deps", "--no-index"]


def run(*command: object, folder: Path) -> str:
    """What a command prints; it sees neither the repository nor what the tests set."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="session")
def installed(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts folder of a fresh environment that holds the wheel.

    torch and the rest (3 GB) are not installed again: a .pth file lends those of this environment. Its own .pth
    files, an editable install of the repository among them, are not read through another's.
    """
    folder = tmp_path_factory.mktemp("fresh")
    run(*PIP, "wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", folder, sources, folder=folder)
    (wheel,) = folder.glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", folder=folder)
    scripts = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    run(*PIP, "--python", scripts / "python", "install", *OFFLINE, wheel, folder=folder)
    site = run(scripts / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder)
    lent = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (Path(site.strip()) / "lent.pth").write_text("".join(f"{path}\n" for path in sorted(lent)))
    return scripts


def test_the_wheel_is_what_runs(installed: Path, tmp_path: Path) -> None:
    code = "import nowcast; print(nowcast.__version__, nowcast.__file__)"
    version, file = run(installed / "python", "-c", code, folder=tmp_path).split()
    assert Path(file).is_relative_to(installed.parent) and not Path(file).is_relative_to(ROOT)
    assert run(installed / "nowcast", "--version", folder=tmp_path) == f"nowcast {version}\n"
    code = "from importlib.metadata import version; print(version('nowcast'))"
    assert run(installed / "python", "-c", code, folder=tmp_path).strip() == version


def test_the_default_model_travels(installed: Path, tmp_path: Path) -> None:
    code = "from nowcast.models import named; made = named('default'); print(made.name, made.trained_for.ranges)"
    found = run(installed / "python", "-c", code, folder=tmp_path)
    assert found.startswith("default Ranges(interval_seconds=(300.0, 600.0)")


def test_every_config_travels(installed: Path, tmp_path: Path) -> None:
    listed = run(installed / "nowcast", "configs", folder=tmp_path).splitlines()
    shipped = {path.relative_to(ROOT / "configs").with_suffix("").as_posix() for path in ROOT.glob("configs/**/*.yaml")}
    assert {line.split()[0] for line in listed} == shipped
    assert all(len(line.split()) > 3 for line in listed), "a config without a meaning"
    assert "P-MEmeL" in run(installed / "nowcast", "configs", folder=tmp_path)
    assert "neurons: 1" in run(installed / "nowcast", "configs", "hko7/convgru-memel", folder=tmp_path)


def test_from_the_wheel_to_a_nowcast(installed: Path, tmp_path: Path) -> None:
    """`nowcast demo` at its smallest, and the demo's archive taken further by shipped experiments of other networks."""
    nowcast = installed / "nowcast"
    run(nowcast, "demo", "-o", "demo", "--days", 3, "--size", 32, "--steps", 1, "-q", folder=tmp_path)
    for made in ("nowcast.nc", "nowcast.gif", "runs/pretrained/checkpoints/last.ckpt", "runs/finetuned/config.yaml"):
        assert (tmp_path / "demo" / made).is_file(), made
    whole = [
        "--archive",
        "demo/archive",
        "--set",
        "data.rows=null",
        "data.columns=null",
        "data.observed=4",
        "data.forecast=4",
    ]
    told = run(nowcast, "train", "hko7/convgru-memel", "--dry-run", *whole, folder=tmp_path)
    assert "13775137 parameters" in told and not (tmp_path / "runs").exists()
    tiny = ["--archive", "demo/archive", "--set", "training.steps=1", "name=tiny", "-q"]
    run(nowcast, "train", "pipelines/smoke", *tiny, folder=tmp_path)
    assert (tmp_path / "runs" / "tiny" / "checkpoints" / "last.ckpt").is_file()
