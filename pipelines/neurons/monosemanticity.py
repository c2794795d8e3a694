"""Figures 1 and 2 for rain: how monosemantic a ConvGRU's neurons are, and what one is worth; MEmeL, network size."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nowcast.config import Experiment
from nowcast.errors import NowcastError
from nowcast.models import build_model, count_parameters
from pipelines.engine.arms import Arm, PlannedRun
from pipelines.engine.command import command, numbers
from pipelines.engine.origin import caveats, origin, run_list
from pipelines.engine.scoring import Scorer, mean_error, score_arms
from pipelines.engine.study import Study
from pipelines.engine.tables import Cell, Report, Section, mean_and_spread, summary
from pipelines.neurons.findings import found_in
from pipelines.neurons.weather_kinds import KINDS

WIDTHS: tuple[float, ...] = (0.5, 1.0, 2.0)
"""Network sizes, as factors of all numbers of channels."""

WINDOWS = 300
"""Windows of train and of test that are looked at, at most."""

LEAST = 8
"""Windows that must show a kind, and as many that must not, for the kind to be looked for."""


def arms(study: Study, widths: Sequence[float] | None = None, windows: int = WINDOWS, least: int = LEAST) -> list[Arm]:
    """Every size, pretrained without and with MEmeL; at width 1 these are runs of Table 5."""
    found = []
    for width in widths or WIDTHS:
        pretrain = widened(study.phases.pretrain, width)
        found.append(Arm(f"{width:g}× Original", (pretrain,)))
        found.append(Arm(f"{width:g}× MEmeL", (study.phases.inhibited(pretrain),)))
    return found


def widened(experiment: Experiment, width: float) -> Experiment:
    """The experiment with all numbers of channels times `width`, at least 1."""
    if not width > 0:
        raise NowcastError(f"width is {width:g}, expected more than 0")
    levels = []
    for level in experiment.model.levels:
        channels = {
            key: max(1, round(getattr(level, key) * width)) for key in ("features", "hidden", "upsample_features")
        }
        levels.append(level.model_dump() | channels)
    model = type(experiment.model).model_validate(experiment.model.model_dump() | {"levels": levels})
    return experiment.model_copy(update={"model": model})


def run(study: Study, widths: Sequence[float] | None = None, windows: int = WINDOWS, least: int = LEAST) -> Report:
    """Train what is missing, look at every network, write monosemanticity.md and two CSV files."""
    plan, test, scores = score_arms(study, arms(study, widths))
    train = Scorer(study.data, plan, "train")
    rows: dict[str, list[dict[str, Any]]] = {}
    for name in scores:
        runs = [plan.run(name, seed) for seed in study.seed_list]
        rows[name] = [
            found_in(study, plan.path(one), one, train.windows(one), test.windows(one), windows, least) for one in runs
        ]
    errors = {name: [mean_error(s, "balanced_mse") for s in of_arm] for name, of_arm in scores.items()}
    sizes = {name: _parameters(plan.run(name, study.seed_list[0])) for name in scores}
    chosen = {
        "widths": widths,
        "windows": None if windows == WINDOWS else windows,
        "least": None if least == LEAST else least,
    }
    report = Report(
        "monosemanticity",
        "Monosemantic neurons of a ConvGRU",
        "After pretraining without and with MEmeL, for networks of several widths. Neurons are values of the candidate "
        "states of all cells.",
        [_neurons(rows, errors, sizes), _kinds(rows)],
        [
            "φ: squared deviation from the mean in units of the variance, of positions of the candidate states, over "
            "test windows. Of a normal variable 0.16 % lie above 10 and none above 100; the more does, the more a "
            "neuron is silent for most inputs and active for a few. *Ever top*: share of positions that were the most "
            "monosemantic of their layer in any sample and step.",
            "*One kind*, *several*, *none*: shares of channels. A channel responds to a kind of weather where its mean "
            "activity tells it from the rest with AUC ≥ 0.9 or ≤ 0.1, and to one only where all other kinds stay "
            'within 0.5 ± 0.25. Kinds overlap in part (dry is the opposite of all others), which makes "one kind" '
            "rare by itself.",
            "Figure 1: *stands out* is the difference of the channel's mean with and without the kind over its spread "
            "without, on test windows. Figure 2: increase of the loss on test windows with and without the kind when "
            "that channel is set to its mean at every position and step. The channel is chosen on train windows.",
            f"At most {windows} windows of each split, evenly spread; a kind that fewer than {least} windows show, or "
            "do not show, is left out (–).",
            "The paper's figures are of Pythia language models, one neuron for French; there are no numbers to hold "
            "against.",
            *caveats(study)[-1:],
        ],
        origin(study, plan, "neurons.monosemanticity", next(iter(scores.values()))[0], **chosen),
        run_list(plan),
    )
    report.write(study.output_folder)
    return report


def add_options(parser: argparse.ArgumentParser) -> None:
    """Sizes and windows."""
    parser.add_argument("--widths", type=numbers, metavar="W,…", help="network sizes (default: 0.5,1,2)")
    parser.add_argument(
        "--windows",
        type=int,
        default=WINDOWS,
        metavar="N",
        help="windows of each split, at most (default: %(default)s)",
    )
    parser.add_argument(
        "--least", type=int, default=LEAST, metavar="N", help="windows that must show a kind (default: %(default)s)"
    )


def _neurons(
    rows: Mapping[str, list[dict[str, Any]]], errors: Mapping[str, list[float]], sizes: Mapping[str, int]
) -> Section:
    columns = {
        "above_10": ("φ > 10, %", ".3f"),
        "above_100": ("φ > 100, %", ".4f"),
        "ever_top": ("ever top, %", ".2f"),
        "one": ("one kind, %", ".1f"),
        "several": ("several, %", ".1f"),
        "none": ("none, %", ".1f"),
    }
    lines, records = [], []
    for name, of_seeds in rows.items():
        values = {key: [float(found["neurons"][key]) for found in of_seeds] for key in columns}
        lines.append(
            [
                name,
                f"{sizes[name]:,}".replace(",", " "),
                mean_and_spread(errors[name]),
                *(mean_and_spread(values[key], style) for key, (_, style) in columns.items()),
            ]
        )
        record: dict[str, Cell] = {"arm": name, "parameters": sizes[name], **summary(errors[name], "balanced_mse")}
        for key in columns:
            record |= summary(values[key], key)
        records.append(record)
    return Section(
        "Neurons", ["", "parameters", "test B-MSE", *(title for title, _ in columns.values())], lines, records
    )


def _kinds(rows: Mapping[str, list[dict[str, Any]]]) -> Section:
    columns = {
        "auc": ("best AUC", ".3f"),
        "stands_out": ("stands out", "+.1f"),
        "loss_with": ("loss with, %", "+.2f"),
        "loss_without": ("loss without, %", "+.2f"),
    }
    lines, records = [], []
    for kind in KINDS:
        for name, of_seeds in rows.items():
            kinds = [found["kinds"][kind] for found in of_seeds]
            values = {key: [np.nan if k[key] is None else float(k[key]) for k in kinds] for key in columns}
            train, test = kinds[0]["train_windows"], kinds[0]["test_windows"]
            lines.append(
                [
                    kind,
                    name,
                    f"{train} / {test}",
                    *(mean_and_spread(values[key], style) for key, (_, style) in columns.items()),
                ]
            )
            record: dict[str, Cell] = {"kind": kind, "arm": name, "train_windows": train, "test_windows": test}
            record["channels"] = "; ".join(k["channel"] for k in kinds)
            for key in columns:
                record |= summary(values[key], key)
            records.append(record)
    header = ["kind", "", "windows, train / test", *(title for title, _ in columns.values())]
    return Section("Kinds of weather: the channel that tells each best", header, lines, records, "kinds")


def _parameters(one: PlannedRun) -> int:
    return count_parameters(build_model(one.experiment.model))


if __name__ == "__main__":
    command(__doc__, arms, run, add_options)
