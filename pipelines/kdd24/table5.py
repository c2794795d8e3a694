"""Table 5: pretraining without and with MEmeL (P-), then plain fine-tuning of both (T-)."""

from __future__ import annotations

from pipelines.engine.arms import Arm
from pipelines.engine.command import command
from pipelines.engine.comparison import compared
from pipelines.engine.origin import caveats, origin, reading_notes, run_list
from pipelines.engine.published import TABLE_5
from pipelines.engine.scoring import score_arms
from pipelines.engine.study import Study
from pipelines.engine.tables import Report

BASELINES = {"P-MEmeL": "P-Original", "T-Original": "P-Original", "T-MEmeL": "T-Original"}


def arms(study: Study) -> list[Arm]:
    """P-Original, P-MEmeL, and both fine-tuned plainly."""
    pretrain, finetune = study.phases.pretrain, study.phases.finetune
    inhibited = study.phases.inhibited(pretrain)
    return [
        Arm("P-Original", (pretrain,)),
        Arm("P-MEmeL", (inhibited,)),
        Arm("T-Original", (pretrain, finetune)),
        Arm("T-MEmeL", (inhibited, finetune)),
    ]


def run(study: Study) -> Report:
    """Train what is missing, score, and write table5.md and table5.csv."""
    plan, scorer, scores = score_arms(study, arms(study))
    first = plan.run("P-Original", study.seed_list[0])
    report = Report(
        "table5",
        "Table 5: MEmeL in pretraining",
        "P-: pretrained without and with MEmeL. T-: both fine-tuned plainly, from the last checkpoint.",
        compared(scores, BASELINES, TABLE_5, study.block_hours, scorer.persistence(first)),
        [*caveats(study), *reading_notes()],
        origin(study, plan, "kdd24.table5", scores["P-Original"][0]),
        run_list(plan),
    )
    report.write(study.output_folder)
    return report


if __name__ == "__main__":
    command(__doc__, arms, run)
