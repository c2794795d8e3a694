"""One study at the smallest scale, whose runs all tests of pipelines share."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines import Study


@pytest.fixture(scope="session")
def smoke(small_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Two seeds at scale smoke on three synthetic days."""
    output = tmp_path_factory.mktemp("pipelines")
    return Study(small_archive, "smoke", 2, output=output, runs=output / "runs", block_hours=1, progress=False)
