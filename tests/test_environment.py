"""Packaging: conda and pip name the same packages, the constraints cover what the project needs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

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
    listed = requirements(conda) | requirements([line for line in pip["pip"] if not line.startswith("-")])
    assert listed.pop("python") == project()["requires-python"]
    listed.pop("pip")
    needed = requirements(project()["dependencies"])
    assert listed == {CONDA_NAMES.get(name, name): bound for name, bound in needed.items()}


def test_constraints_pin_every_direct_dependency() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = requirements([line for line in lines if line and not line.startswith("#")])
    assert all(bound.startswith("==") for bound in pinned.values()), "a constraint pins one version"
    assert pinned["torch"] == "==2.13.0"
    extras = [line for extra in project()["optional-dependencies"].values() for line in extra]
    wanted = requirements([*project()["dependencies"], *extras])
    assert set(wanted) <= set(pinned)
