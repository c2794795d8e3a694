"""Packaging: conda and pip name the same packages, the constraints cover what the project needs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

import nowcast

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"torch": "pytorch", "opencv-python-headless": "opencv", "netcdf4": "netcdf4"}


def requirements(lines: list[str]) -> dict[str, str]:
    found = {}
    for line in lines:
        name, bound = re.fullmatch(r"([A-Za-z0-9_.-]+?)\s*((?:[<>=]=?.*)?)", line.strip()).groups()  # type: ignore[union-attr]
        found[name.lower()] = bound
    return found


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_environment_yml_names_what_pyproject_names() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    *conda, pip = environment["dependencies"]
    listed = requirements(conda) | requirements([line for line in pip["pip"] if line != "-e ."])
    assert listed.pop("python") == project()["requires-python"]
    listed.pop("pip")
    needed = requirements(project()["dependencies"])
    assert listed == {CONDA_NAMES.get(name, name): bound for name, bound in needed.items()}


def test_pip_takes_the_pip_section(sources: Path) -> None:
    """conda writes the pip section into a requirements file beside environment.yml and runs pip there.

    Offline, with what is installed here in the place of conda's packages: pip reads every line, builds the project's
    metadata and finds all that it requires, torch as constrained, without wanting to change any of it.
    """
    section = yaml.safe_load((sources / "environment.yml").read_text())["dependencies"][-1]["pip"]
    (sources / "condaenv.requirements.txt").write_text("\n".join(section))
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--dry-run", "--no-index"]
        + ["--no-build-isolation", "--constraint", "constraints.txt", "--requirement", "condaenv.requirements.txt"],
        cwd=sources,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    would = [line for line in done.stdout.splitlines() if line.startswith("Would install")]
    assert [line.split()[2:] for line in would] == [[f"nowcast-{nowcast.__version__}"]]


def test_constraints_pin_every_direct_dependency() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = requirements([line for line in lines if line and not line.startswith("#")])
    assert all(bound.startswith("==") for bound in pinned.values()), "a constraint pins one version"
    assert pinned["torch"] == "==2.13.0"
    extras = [line for extra in project()["optional-dependencies"].values() for line in extra]
    wanted = requirements([*project()["dependencies"], *extras])
    assert set(wanted) <= set(pinned)
