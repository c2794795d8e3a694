"""The experiment files that come with the project, by short names such as `hko7/convgru-memel`."""

from __future__ import annotations

import difflib
from pathlib import Path

from nowcast.errors import NowcastError


def configs_folder() -> Path:
    """Where the experiment files lie: inside the installed package, or at the top of the repository."""
    package = Path(__file__).resolve().parent
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / "demo.yaml").is_file():
            return folder
    raise NowcastError(f"{package} holds no experiment files; reinstall nowcast")


def shipped_configs() -> dict[str, str]:
    """Short name → one line about it, in alphabetical order of folders and names."""
    folder = configs_folder()
    names = (path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
    return {name: _meaning(folder / f"{name}.yaml") for name in sorted(names, key=lambda name: name.split("/"))}


def shipped_config(name: str) -> Path:
    """Path of an experiment file by its short name, with or without `.yaml`; NowcastError names the nearest ones."""
    short = name.removesuffix(".yaml")
    if short in (known := shipped_configs()):
        return configs_folder() / f"{short}.yaml"
    near = difflib.get_close_matches(short, known, n=1)
    advice = f"did you mean {near[0]}?" if near else "`nowcast configs` lists them"
    raise NowcastError(f"{name} is not among the shipped experiment files; {advice}")


def experiment_path(path: str | Path) -> Path:
    """The experiment file meant by a path or a short name; a file of that name comes first."""
    if Path(path).exists() or str(path).removesuffix(".yaml") not in shipped_configs():
        return Path(path)
    return shipped_config(str(path))


def _meaning(path: Path) -> str:
    """The first sentence of the comment that an experiment file begins with."""
    comment = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.removeprefix("#").strip())
    return " ".join(comment).partition(". ")[0].removesuffix(".")
