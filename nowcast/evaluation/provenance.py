"""Where scores come from: the runs and the archive, so that a file can be traced back to what made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nowcast.archive import Archive
from nowcast.archive.fingerprint import fingerprint
from nowcast.run import Run


def provenance(runs: Mapping[str, Run], archive: Archive) -> dict[str, str]:
    """Global attributes: folder and configuration hash of every run, fingerprint and origin of the archive."""
    origin: dict[str, Any] = {
        key: archive.attributes[key] for key in ("institution", "place") if key in archive.attributes
    }
    if runs:
        origin["runs"] = "; ".join(f"{name}: {run.path}" for name, run in runs.items())
        origin["config_sha256"] = "; ".join(f"{name}: {run.experiment.sha256}" for name, run in runs.items())
    return {
        **{key: str(value) for key, value in origin.items()},
        "archive_fingerprint": fingerprint(archive),
        "archive_source": str(archive.attributes.get("source_format", "unknown")),
    }
