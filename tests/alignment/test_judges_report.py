"""The report says what judges cost and how far they agreed before training, on the page and in Markdown."""

from dataclasses import replace
from pathlib import Path

from report_run import write_run

from alignment.core.typed_json import encode
from alignment.records.judges import AGREEMENT
from alignment.records.metrics import MetricsRow
from alignment.records.run_folder import RunFolder
from alignment.report import write_report
from alignment.rollout.judge_agreement import agreement_figures
from alignment.rollout.judges import spending_counts
from rewards.kinds.judge.agreement import JudgeAgreement
from rewards.spending import Spending

UNKNOWN = "25.0 (judge_timed_out, judge_refused)"
AGREED = JudgeAgreement(32, 32, 30, 16, 1, 16, 1, 0.06, {}, 64, 0)


def test_the_report_says_what_judges_cost_and_how_far_they_agreed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    write_report(run)
    assert "## Judges" not in (run / "report.md").read_text(encoding="utf-8")
    folder = next(iter(sorted(run.glob("01-*"))))
    stage = RunFolder(run).find(folder.name[3:])
    counts = {
        **spending_counts(Spending(200, 5, 123_456, 1.5), {"judge": "grader-double-1a2b"}),
        AGREEMENT: {"judge": encode(agreement_figures(AGREED))},
    }
    replace(stage.manifest(), counts=counts).write(stage.manifest_path)
    hung = {"reward/judge/unknown_fraction": 0.25, "reward/judge/unknown/judge_timed_out": 0.1875}
    MetricsRow(31, figures={**hung, "reward/judge/unknown/judge_refused": 0.0625}).append(stage.metrics)
    write_report(run)
    for page in ("report.md", "report.html"):
        text = (run / page).read_text(encoding="utf-8").replace("\\_", "_")
        for said in (
            "Judges",
            "123,456",
            "1.50",
            "93.8 (79.9–98.3)",
            "1 of 16",
            "0 of 64",
            "grader-double-1a2b",
            UNKNOWN,
        ):
            assert said in text, f"{said} in {page}"
