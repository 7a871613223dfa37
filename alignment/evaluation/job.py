"""Everything that is measured of one policy at once: both modes, constraints, and conversations.

Accuracy is measured with the template's switch, which is how a served model is asked; think-follow with the flag alone
(`/think`, `/no_think`), which leaves it to the policy to open or skip the think block. `alignment evaluate` starts
`python -m alignment.evaluation.job WORK`. Neighbours: run/runner.py (the same after each stage of a recipe),
commands/evaluate/options.py (makes the work file), evaluation/measures/constraints.py,
evaluation/measures/conversations.py.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from alignment.core.entry import run_child
from alignment.core.typed_json import Json
from alignment.core.vocabulary import MODES, Mode
from alignment.data.rows import Problem
from alignment.evaluation.answering import Evaluator, Question, outcome
from alignment.evaluation.grading import correctness
from alignment.evaluation.measures.constraints import constraint_figures
from alignment.evaluation.measures.conversations import converse, follow_figures, follow_samples, plan_conversations
from alignment.evaluation.measures.paired_prompts import measure_paired_prompts
from alignment.evaluation.measures.self_consistency import Confidence, self_consistency
from alignment.evaluation.measures.target_length import adherence
from alignment.evaluation.outcomes import Refusals, figures, fraction, refusals
from alignment.evaluation.task import all_problems
from alignment.evaluation.work import EvaluationWork
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.records.constraints import ConstraintsRecord
from alignment.records.evaluation import EvaluationRecord, Sample
from alignment.records.follow import FollowRecord
from alignment.rollout.scoring import Judged
from rewards.kinds.think_format import follows_mode

KEPT_SAMPLES = 24


@dataclass(frozen=True)
class Measured:
    """Both modes of one policy, and the constraints of its tasks where there are any."""

    modes: Mapping[Mode, EvaluationRecord]
    constraints: ConstraintsRecord | None

    def write(self, folder: Path, stage: str | None, identity: Mapping[str, Json] | None) -> None:
        """Write the files of evaluations/. The two modes come last: where they are, what goes with them is too."""
        if self.constraints is not None:
            replace(self.constraints, stage=stage, identity=identity).write(folder / "constraints.json")
        for mode, found in self.modes.items():
            replace(found, stage=stage, identity=identity).write(folder / f"{mode}.json")


def measure_modes(evaluator: Evaluator, problems: Sequence[Problem], seed: int) -> Measured:
    """The figures of both modes, and of constraints where a task has them. Too long problems are left out and counted."""
    given, problems = len(problems), evaluator.fitting(problems)
    too_long = given - len(problems) or None
    answers: dict[Mode, Sequence[Judged]] = {}
    records: dict[Mode, EvaluationRecord] = {}
    for mode in MODES:
        answers[mode], found = _measure_mode(evaluator, problems, mode, seed)
        records[mode] = replace(found, figures=replace(found.figures, left_out_too_long=too_long))
    if evaluator.settings.target_lengths:
        thinking = records["thinking"]
        lengths = adherence(evaluator, problems, seed)
        records["thinking"] = replace(thinking, figures=replace(thinking.figures, target_lengths=lengths))
    tasks = constraint_figures(answers, same_prompts=bool(problems) and evaluator.same_prompts(problems[0]))
    return Measured(records, ConstraintsRecord(tasks, seed=seed) if tasks else None)


def _measure_mode(
    evaluator: Evaluator, problems: Sequence[Problem], mode: Mode, seed: int
) -> tuple[Sequence[Judged], EvaluationRecord]:
    """The judged answers of one mode, and their record. Accuracy by the template's switch, think-follow by flag alone."""
    started = time.monotonic()
    repeated = evaluator.asked(problems, mode)
    followed = list({problem.id: problem for problem in repeated}.values())[: evaluator.settings.follow_count]
    asked = evaluator.answers([Question(problem, mode, flagged=False) for problem in repeated], seed)
    by_flag = evaluator.answers([Question(problem, mode, flagged=True) for problem in followed], seed)
    flagged = [row for row in by_flag if not row.trajectory.fault]
    sure = self_consistency(asked) if "calibration" in evaluator.settings.audits else Confidence()
    outcomes = [outcome(row) for row in asked]
    declining = refusals(outcomes) if "refusals" in evaluator.settings.audits else Refusals()
    figures_of_mode = replace(
        figures(mode, outcomes),
        refusals_count=declining.answers,
        refused=declining.refused,
        confidence_count=sure.answers,
        confidence=sure.mean,
        calibration_error=sure.error,
        seed=seed,
        think_follow=fraction([follows_mode(row.trajectory.text, mode) for row in flagged]),
        think_follow_count=len(flagged),
        seconds=round(time.monotonic() - started, 1),
        engine=evaluator.engine,
    )
    return asked, EvaluationRecord(figures_of_mode, samples=tuple(map(recorded_sample, asked[:KEPT_SAMPLES])))


def measure_follow(evaluator: Evaluator, problems: Sequence[Problem], seed: int) -> FollowRecord:
    """The figures of conversations with random flags, and a few of them in full."""
    settings, started = evaluator.settings, time.monotonic()
    plans = plan_conversations(problems, settings.follow_count, settings.follow_turns, seed)
    talks = converse(evaluator.sampler, settings, plans, seed, f"{evaluator.work}, conversations")
    found = replace(follow_figures(talks), seconds=round(time.monotonic() - started, 1))
    return FollowRecord(found, seed=seed, engine=evaluator.engine, samples=follow_samples(talks))


def recorded_sample(row: Judged) -> Sample:
    """One answer in full; `correct` is None where it could not be judged."""
    score = correctness(row)
    return Sample(
        task=row.problem.family,
        question=row.problem.question,
        answer=row.problem.answer,
        text=row.trajectory.text,
        correct=None if score is None else score == 1.0,
        thinking_tokens=row.trajectory.thinking_tokens,
        messages=row.trajectory.several_messages,
    )


def main(
    work: Annotated[Path, typer.Argument(help="The file that says what is to be measured.")],
    output: Annotated[Path, typer.Option(help="The folder for the figures.")],
) -> None:
    """Measure one policy and write thinking.json, non_thinking.json and, where asked for, constraints.json, follow.json and paired_prompts.json."""
    _run(EvaluationWork.read(work), output)


def _run(work: EvaluationWork, output: Path) -> None:
    settings = Evaluations.model_validate(work.settings)
    problems = all_problems(settings, work.files)
    evaluator = Evaluator(settings, work.policy, f"evaluate {work.name}", trust_remote_code=work.trust_remote_code)
    measure_modes(evaluator, problems, settings.seed).write(output, None, None)
    if settings.follow_turns > 1:
        measure_follow(evaluator, problems, settings.seed).write(output / "follow.json")
    if settings.paired_prompts is not None:
        measure_paired_prompts(evaluator, settings.paired_prompts).write(output / "paired_prompts.json")
    evaluator.close()


if __name__ == "__main__":
    run_child(main)
