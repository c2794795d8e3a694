"""Blocks that were finished, kept beside the output until all are: a stopped evaluation goes on where it was."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nowcast.atomic_files import atomic_file

State = dict[str, NDArray[Any]]

FOLDER = ".unfinished"
"""Name of the folder of kept blocks inside the folder of an evaluation."""


class KeptBlocks:
    """Sums of finished blocks by number, one small file a block.

    Args:
        folder: of the evaluation; None keeps nothing.
        key: of the evaluation (`EvaluationPlan.key`): what was kept under another is of no use. None keeps nothing.
    """

    def __init__(self, folder: Path | None, key: str | None) -> None:
        self._root = None if folder is None or key is None else folder / FOLDER
        self._path = None if self._root is None or key is None else self._root / key[:16]

    def load(self, number: int) -> State | None:
        """The sums of a block, None where there are none or the file is damaged."""
        if self._path is None:
            return None
        try:
            with np.load(self._file(number), allow_pickle=False) as kept:
                return {name: kept[name] for name in kept.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None

    def save(self, number: int, state: State) -> State:
        """Keep the sums of a block; returns them."""
        if self._path is not None:
            with atomic_file(self._file(number)) as temporary, temporary.open("wb") as stream:
                np.savez(stream, **state)  # type: ignore[arg-type]
        return state

    def clear(self) -> None:
        """All is finished: remove what was kept, of this evaluation and of older ones in the same folder."""
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)

    def _file(self, number: int) -> Path:
        assert self._path is not None
        return self._path / f"{number:06d}.npz"
