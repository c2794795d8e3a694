"""Table 8: a network fine-tuned with MEmeL, scored without it (as ever) and with inhibition kept at test time (-T)."""

from __future__ import annotations

from pipelines.engine.arms import Arm
from pipelines.engine.command import command
from pipelines.engine.comparison import compared
from pipelines.engine.origin import caveats, origin, reading_notes, run_list
from pipelines.engine.published import TABLE_8
from pipelines.engine.scoring import score_arms
from pipelines.engine.study import Study
from pipelines.engine.tables import Report
from pipelines.kdd24.table3 import fixed_arms


def arms(study: Study) -> list[Arm]:
    """MEmeL of Table 3: the rows differ in the test, not in the training."""
    return [arm for arm in fixed_arms(study) if arm.name == "MEmeL"]


def run(study: Study) -> Report:
    """Train what is missing, score twice, write table8.md and table8.csv."""
    plan, scorer, scores = score_arms(study, arms(study))
    runs = [plan.run("MEmeL", seed) for seed in study.seed_list]
    scores["MEmeL-T"] = [scorer.scores(one, inhibited=True) for one in runs]
    report = Report(
        "table8",
        "Table 8: inhibition at test time",
        "MEmeL: fine-tuned with MEmeL, which is the identity at test time. MEmeL-T: the same weights, inhibited at "
        "test time too.",
        compared(scores, {"MEmeL-T": "MEmeL"}, TABLE_8, study.block_hours, scorer.persistence(runs[0])),
        [
            "At test time neurons are selected and replaced by the running statistics that training ended with, which "
            "stay as they are; the paper does not say whether its own go on moving.",
            *caveats(study),
            *reading_notes(),
        ],
        origin(study, plan, "kdd24.table8", scores["MEmeL"][0]),
        run_list(plan),
    )
    report.write(study.output_folder)
    return report


if __name__ == "__main__":
    command(__doc__, arms, run)
