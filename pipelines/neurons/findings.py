"""What is found in one trained network about its monosemantic neurons, kept beside the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from memel.diagnostics import Location
from nowcast.atomic_files import write_json
from nowcast.clips.split_windows import Windows
from pipelines.engine.arms import PlannedRun
from pipelines.engine.study import Study
from pipelines.neurons.probing import Array, Probe, responding, separation, stand_out
from pipelines.neurons.weather_kinds import KINDS, thinned, weather_of


def found_in(
    study: Study, folder: Path, run: PlannedRun, train: Windows, test: Windows, most: int, least: int
) -> dict[str, Any]:
    """Findings in a run: `neurons` (φ and responses) and `kinds` (the channel that tells each kind, and its worth).

    Args:
        study: for the archive.
        folder: run directory; the findings are kept there as `monosemanticity.json`.
        run: the run.
        train: windows that channels are chosen on.
        test: windows that everything is measured on.
        most: windows of each, at most.
        least: windows that must show a kind, and that must not.
    """
    file = folder / "monosemanticity.json"
    setting = {"most": most, "least": least}
    kept = _read(file)
    if kept is not None and kept["setting"] == setting:
        return dict(kept["found"])
    if study.progress:
        print(f"look into {run.experiment.name}", flush=True)
    chosen_on, measured_on = (windows.only(thinned(windows.starts, most)) for windows in (train, test))
    found = _find(study, folder, chosen_on, measured_on, least)
    write_json(file, {"setting": setting, "found": found})
    return found


def _find(study: Study, folder: Path, chosen_on: Windows, measured_on: Windows, least: int) -> dict[str, Any]:
    probe = Probe(folder, measured_on)
    locations, tested = probe.survey(measured_on)
    _, trained = probe.survey(chosen_on)
    shown = weather_of(chosen_on, study.data).kinds()
    shown_in_test = weather_of(measured_on, study.data).kinds()
    layers = np.concatenate([[name] * values.shape[1] for name, values in trained.items()])
    channels = np.concatenate([np.arange(values.shape[1]) for values in trained.values()])
    activity, in_test = (np.concatenate(list(found.values()), axis=1) for found in (trained, tested))
    auc = {kind: separation(activity, shown[kind]) for kind in KINDS if _enough(shown[kind], least)}
    kinds: dict[str, Any] = {}
    for kind in KINDS:
        of_test = shown_in_test[kind]
        entry: dict[str, Any] = {
            "train_windows": int(shown[kind].sum()),
            "test_windows": int(of_test.sum()),
            "channel": "",
            "auc": None,
            "stands_out": None,
            "loss_with": None,
            "loss_without": None,
        }
        if kind in auc:
            best = int(np.argmax(np.abs(auc[kind] - 0.5)))
            layer, channel = str(layers[best]), int(channels[best])
            entry |= {"channel": f"{layer.partition('.gates')[0]} {channel}", "auc": float(auc[kind][best])}
            if _enough(of_test, least):
                groups = {
                    "with": measured_on.only(measured_on.starts[of_test]),
                    "without": measured_on.only(measured_on.starts[~of_test]),
                }
                worth = probe.worth(layer, channel, groups)
                entry |= {
                    "stands_out": stand_out(in_test[:, best], of_test),
                    "loss_with": worth["with"],
                    "loss_without": worth["without"],
                }
        kinds[kind] = entry
    return {"neurons": _neurons(list(locations.values()), auc), "kinds": kinds}


def _neurons(locations: list[Location], auc: dict[str, Array]) -> dict[str, float]:
    everywhere = Location(histogram=sum((one.histogram for one in locations[1:]), locations[0].histogram))
    selected = np.concatenate([one.times_selected.numpy() for one in locations])
    shares = (
        responding(np.stack(list(auc.values()))) if auc else dict.fromkeys(("one", "several", "none"), float("nan"))
    )
    return {
        "above_10": share_above(everywhere, 10) * 100,
        "above_100": share_above(everywhere, 100) * 100,
        "ever_top": float((selected > 0).mean() * 100),
        **{name: share * 100 for name, share in shares.items()},
    }


def share_above(location: Location, scale: float) -> float:
    """Share of φ above `scale`, a power of 10 between 1e-6 and 1e6."""
    edge = int((location.edges / scale - 1).abs().argmin())
    return float(location.histogram[edge + 1 :].sum() / location.histogram.sum())


def _enough(shown: Any, least: int) -> bool:
    return bool(min(shown.sum(), (~shown).sum()) >= least)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return content if {"setting", "found"} <= content.keys() else None
    except (OSError, ValueError, AttributeError):
        return None
