"""Small run directories for the report's tests, made with the writers that a run uses."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from alignment.core.machine import Machine
from alignment.core.statistics.estimate import Estimate
from alignment.core.vocabulary import Mode
from alignment.records.attempt import Attempt, attempt_file
from alignment.records.card import CardFigures, CardFraction, CardPart, CardSample, DataCard
from alignment.records.evaluation import EvaluationFigures, EvaluationRecord, Sample, TaskScore
from alignment.records.manifest import Manifest
from alignment.records.metrics import MetricsRow
from alignment.records.rollout import RolloutRow
from alignment.records.run import RunRecord, StageStart
from alignment.records.run_folder import StageFolder
from alignment.records.sweep import FOLDER, SWEEP, Knee, Place, Sweep, SweepFigures, SweepPoint, SweptPolicy, VotePoint
from alignment.report import write_report

STAGES = [("cold_start", "sft"), ("reasoning_rl", "grpo"), ("fusion_data", "sample"), ("mode_fusion", "sft")]
HOSTILE = "<script>alert('owned')</script><img src=x onerror=alert(1)>"
STARTED = "2026-01-02T03:04:05+00:00"


def put(path: Path, value: object) -> None:
    """A file as no writer would leave it: damaged, or of another version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def reported(run: Path) -> dict[str, Any]:
    """Make the report, and read report.json as anybody would."""
    write_report(run)
    found: dict[str, Any] = json.loads((run / "report.json").read_text(encoding="utf-8"))
    return found


def wilson(share: float, count: int = 500) -> Estimate:
    z = 1.96
    middle = share + z * z / (2 * count)
    reach = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return Estimate(share, (middle - reach) / (1 + z * z / count), (middle + reach) / (1 + z * z / count))


def evaluation(stage: str, mode: Mode, share: float, text: str = "<think>1 + 1</think>\n\n2") -> EvaluationRecord:
    """500 answers, one of them in full."""
    figures = EvaluationFigures(
        mode=mode, count=500, accuracy=wilson(share), unknown=0, format=0.9, think_follow=0.95, mean_thinking_tokens=40,
        mean_answer_tokens=8, truncated_fraction=0.01, seconds=3.0,
        tasks=tuple(TaskScore(task, 250, wilson(share, 250)) for task in ("sum", "sort")),
    )  # fmt: skip
    return EvaluationRecord(figures, stage, samples=(Sample("sum", "1 + 1?", "2", text, True, 5),))


def write_stage(run: Path, number: int, shares: Mapping[Mode, float], text: str = "2") -> StageFolder:
    """A finished stage of thirty steps."""
    name, kind = STAGES[number - 1]
    folder = StageFolder(run / f"{number:02d}-{name}")
    inputs = {"model": "m" * 64} if number == 1 else {STAGES[number - 2][0]: f"{number - 1}" * 64}
    StageStart(name, kind, {}).write(folder.path / "stage.json")
    Attempt(STARTED, "finished", 60.0, 0, 0).write(attempt_file(folder, 1))
    Manifest(
        name=name, kind=kind, identity={}, identity_hash="", inputs=inputs, output={}, output_hash=f"{number}" * 64,
        seed=17, seconds=60.0, steps=30, tokens=9000, counts={"rows": 10},
    ).write(folder.manifest_path)  # fmt: skip
    for step in range(1, 31):
        MetricsRow(step, 30, figures={"loss": 2 / step, "reward": step / 30}).append(folder.metrics)
    for step in (1, 30):
        RolloutRow(step, "p", text, "2", "thinking", None, text, 5, 3, 0, "end", 1.0).append(folder.rollouts)
    for mode, share in shares.items():
        evaluation(name, mode, share, text).write(folder.evaluations / f"{mode}.json")
    return folder


def put_card(stage: Path, text: str = "<|im_start|>user\n1 + 1 /think<|im_end|>") -> None:
    """The data card of a fusion stage, with one rendered sample."""
    folder = StageFolder(stage)
    counts = {"rows": 10, "modes": {"thinking": 4}}
    replace(folder.manifest(), kind="fusion", counts=counts).write(folder.manifest_path)
    figures = CardFigures(
        rows=10,
        flags={"thinking": {"none": 2, "user": 2}, "non_thinking": {"system": 1, "user": 5}},
        turns={"1": 8, "2": 2},
        flag_changes=1,
        fractions={"thinking_fraction": CardFraction("rows that think", 0.5, 0.4, 4, 10)},
        data=(CardPart(source="sums", licences={"sums": "MIT"}, rows_read=12, rows_used=10, left_out={"too long": 2}),),
    )
    DataCard(figures, samples=(CardSample("thinking", "user", 1, text),)).write(folder.output / "card.json")


def point(
    budget: int | None, share: float, stage: str = "mode_fusion", task: str = "sums", samples: int = 4
) -> SweepPoint:
    """A point of mode_fusion; of four samples, whose votes gain a little."""
    sizes = [1, 2, 4][: samples.bit_length()] if samples > 1 else []
    votes = [VotePoint(size, 50.0 * size, Estimate(share), Estimate(min(1.0, share + 0.1))) for size in sizes]
    return SweepPoint(
        Place(stage, task, "non_thinking" if budget is None else "thinking", budget),
        SweepFigures(
            count=500, accuracy=wilson(share), mean_thinking_tokens=Estimate((budget or 0) / 2),
            mean_answer_tokens=Estimate(8), forced_fraction=Estimate(0.5), finished_fraction=Estimate(0.4),
            votes=tuple(votes),
        ),
    )  # fmt: skip


def put_sweep(run: Path, *points: SweepPoint, policy: str = "4" * 64) -> None:
    """budget/budget.json of these points, whose knee is at 64."""
    knees = (Knee("mode_fusion", "sums", 64), Knee("x", "sums", None))
    Sweep(points, (SweptPolicy("mode_fusion", policy),), knees).write(run / FOLDER / SWEEP)


def write_run(run: Path, text: str = "<think>1 + 1</think>\n\n2") -> Path:
    """Four stages, of which the last loses thinking accuracy and gains it without thinking."""
    RunRecord("tiny", 17, "base", STARTED, {"torch": "2.11.0"}, Machine(cores=2)).write(run / "run.json")
    stages = "".join(f"  - {{name: {name}, kind: {kind}}}\n" for name, kind in STAGES)
    (run / "recipe.yaml").write_text(f"name: tiny\nstages:\n{stages}", encoding="utf-8")
    for number, thinking, plain in ((1, 0.4, 0.2), (2, 0.8, 0.2), (3, None, None), (4, 0.7, 0.5)):
        shares: dict[Mode, float] = (
            {} if thinking is None or plain is None else {"thinking": thinking, "non_thinking": plain}
        )
        write_stage(run, number, shares, text)
    put_sweep(run, *(point(budget, share, samples=1) for budget, share in ((0, 0.4), (64, 0.5), (256, 0.7))))
    return run
