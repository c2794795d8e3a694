"""Where MEmeL acts in a ConvGRU cell (candidate, hidden state, gates, all), and what counts as a neuron."""

from __future__ import annotations

import argparse
from typing import Literal, get_args

from nowcast.config import ConvGRUConfig, Placement
from pipelines.engine.arms import Arm
from pipelines.engine.command import command
from pipelines.engine.comparison import compared
from pipelines.engine.origin import caveats, origin, reading_notes, run_list
from pipelines.engine.scoring import score_arms
from pipelines.engine.study import Study
from pipelines.engine.tables import Report

During = Literal["pretrain", "finetune"]
NEURON = {"position": "", "channel": ", channels"}
PLACES: dict[str, tuple[Placement, ...]] = {
    **{place: (place,) for place in ConvGRUConfig.places},
    "all": ConvGRUConfig.places,
}


def arms(study: Study, during: During = "finetune") -> list[Arm]:
    """Original, then every place with positions and with channels as neurons."""
    phases = study.phases
    before = (phases.pretrain,) if during == "finetune" else ()
    phase = phases.finetune if during == "finetune" else phases.pretrain
    named = {"Original": phase}
    for neuron, suffix in NEURON.items():
        for name, places in PLACES.items():
            named[name + suffix] = phases.inhibited(phase, placement=list(places), neuron=neuron)
    return [Arm(name, (*before, last)) for name, last in named.items()]


def run(study: Study, during: During = "finetune") -> Report:
    """Train what is missing, score, write gate_placement.md and gate_placement.csv (…-pretrain for that phase)."""
    plan, scorer, scores = score_arms(study, arms(study, during))
    what = "Fine-tuned with MEmeL from one plain base" if during == "finetune" else "Pretrained with MEmeL"
    report = Report(
        "gate_placement" if during == "finetune" else "gate_placement-pretrain",
        "Where MEmeL acts in a ConvGRU cell",
        f"{what}, at the candidate state (the paper's code), the new hidden state, the update or the reset gate, or "
        "all four. A neuron is one position of one channel, or a whole channel.",
        compared(
            scores,
            {name: "Original" for name in scores if name != "Original"},
            {},
            study.block_hours,
            scorer.persistence(plan.run("Original", study.seed_list[0])),
        ),
        ["The paper reports no such comparison.", *reading_notes(), *caveats(study)],
        origin(
            study, plan, "kdd24.gate_placement", scores["Original"][0], during=None if during == "finetune" else during
        ),
        run_list(plan),
    )
    report.write(study.output_folder)
    return report


def add_options(parser: argparse.ArgumentParser) -> None:
    """The phase that MEmeL acts in."""
    parser.add_argument(
        "--during",
        choices=get_args(During),
        default="finetune",
        help="the phase that MEmeL acts in (default: %(default)s)",
    )


if __name__ == "__main__":
    command(__doc__, arms, run, add_options)
