"""Samples the answers of one policy that a comparison needs, without judging them.

`alignment compare` starts `python -m alignment.evaluation.comparison.job WORK` once for each policy that has answers
missing. Neighbours: plan.py (the work file), judging.py (what becomes of the answers), evaluation/answering.py
(samples).
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from alignment.core.entry import run_child
from alignment.core.files import write_json_lines
from alignment.core.vocabulary import MODES, Mode
from alignment.data.rows import Problem
from alignment.evaluation.answering import Evaluator, Question
from alignment.evaluation.comparison.plan import AnswersWork
from alignment.evaluation.task import all_problems
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.records.comparison import RecordedAnswer
from alignment.rollout.trajectory import Trajectory
from rewards.contract import split_thinking
from rewards.kinds.judge.prompt import prompt_text


def sampled(evaluator: Evaluator, problems: Sequence[Problem], mode: Mode) -> list[RecordedAnswer]:
    """The answers of one mode to the problems whose prompts are not too long, by the template's switch."""
    asked = evaluator.asked(problems, mode)
    work = f"{evaluator.work}, {mode.replace('_', '-')}"
    made = evaluator.made([Question(one, mode, flagged=False) for one in asked], evaluator.settings.seed, work)
    seen: Counter[tuple[str, str]] = Counter()
    rows = []
    for problem, one in zip(asked, made, strict=True):
        place = (problem.family, problem.id)
        rows.append(_recorded(problem, one, seen[place]))
        seen[place] += 1
    return rows


def _recorded(problem: Problem, made: Trajectory, sample: int) -> RecordedAnswer:
    several = made.several_messages
    return RecordedAnswer(
        task=problem.family,
        problem=problem.id,
        sample=sample,
        prompt=tuple(problem.messages),
        answer=prompt_text([dict(one) for one in several]) if several else split_thinking(made.text)[1],
        answer_tokens=made.answer_tokens,
        thinking_tokens=made.thinking_tokens,
        truncated=made.stop_reason in ("length", "turns"),
        fault=made.fault,
    )


def main(work: Annotated[Path, typer.Argument(help="The file that says what is to be sampled.")]) -> None:
    """Sample one policy's answers and write each mode's file when it is done."""
    _run(AnswersWork.read(work))


def _run(work: AnswersWork) -> None:
    settings = Evaluations.model_validate(work.settings)
    problems = all_problems(settings, work.files)
    evaluator = Evaluator(settings, work.policy, f"answers of {work.name}", trust_remote_code=work.trust_remote_code)
    fitting = evaluator.fitting(problems)
    for mode in MODES:
        if mode in work.missing:
            write_json_lines(Path(work.missing[mode]), sampled(evaluator, fitting, mode))
    evaluator.close()


if __name__ == "__main__":
    run_child(main)
