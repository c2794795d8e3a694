"""A small folder in the HKO-7 layout, and its archive."""

from __future__ import annotations

from pathlib import Path

import pytest
from radar_tree import Tree

from nowcast.data.archive import Archive


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
