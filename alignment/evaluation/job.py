"""Everything that is measured of one policy at once: both modes, constraints, and conversations.

Accuracy is measured with the template's switch, which is how a served model is asked; think-follow with the flag
alone (`/think`, `/no_think`), which leaves it to the policy to open or skip the think block.
`alignment evaluate` starts `python -m alignment.evaluation.job WORK`. Neighbours: runner.py (the same after each
stage of a recipe), evaluate_options.py (makes the work file), constraints.py, conversations.py.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from alignment.core.entry import run_child
from alignment.core.files import read_json, write_json
from alignment.core.vocabulary import MODES, Mode
from alignment.data.rows import Problem
from alignment.evaluation.answering import Evaluator, Question, correctness, outcome
from alignment.evaluation.measures.constraints import constraint_figures
from alignment.evaluation.measures.conversations import converse, follow_figures, plan_conversations
from alignment.evaluation.measures.outcomes import figures, fraction
from alignment.evaluation.measures.target_length import adherence
from alignment.evaluation.task import named_problems
from alignment.recipe.evaluation import Evaluations
from alignment.rollout.scoring import Judged
from rewards.kinds.think_format import follows_mode

KEPT_SAMPLES = 24
Facts = dict[str, Any]


def measure_modes(evaluator: Evaluator, problems: Sequence[Problem], seed: int) -> dict[str, Facts]:
    """`{file: figures}` (docs/run-directory.md): `thinking`, `non_thinking`, and `constraints` where a task has them."""
    repeated = [problem for problem in problems for _ in range(evaluator.settings.samples)]
    followed = problems[: evaluator.settings.follow_count]
    found: dict[str, Facts] = {}
    answers: dict[Mode, list[Judged]] = {}
    for mode in MODES:
        started = time.monotonic()
        asked = evaluator.answers([Question(problem, mode, flagged=False) for problem in repeated], seed)
        flagged = evaluator.answers([Question(problem, mode, flagged=True) for problem in followed], seed)
        answers[mode] = asked
        found[mode] = {
            "mode": mode,
            "seed": seed,
            **figures([outcome(row) for row in asked]),
            "think_follow": fraction([follows_mode(row.completion.text, mode) for row in flagged]),
            "think_follow_count": len(flagged),
            "seconds": round(time.monotonic() - started, 1),
            "engine": evaluator.engine,
            "samples": [_sample(row) for row in asked[:KEPT_SAMPLES]],
        }
    if evaluator.settings.target_lengths:
        found["thinking"]["target_lengths"] = adherence(evaluator, problems, seed)
    tasks = constraint_figures(answers, same_prompts=bool(problems) and evaluator.same_prompts(problems[0]))
    return {**({"constraints": {"seed": seed, "tasks": tasks}} if tasks else {}), **found}


def measure_follow(evaluator: Evaluator, problems: Sequence[Problem], seed: int) -> Facts:
    """The figures of conversations with random flags, and a few of them in full."""
    settings, started = evaluator.settings, time.monotonic()
    plans = plan_conversations(problems, settings.follow_count, settings.follow_turns, seed)
    talks = converse(evaluator.sampler, settings, plans, seed, f"{evaluator.work}, conversations")
    seconds = round(time.monotonic() - started, 1)
    return {"seed": seed, **follow_figures(talks), "seconds": seconds, "engine": evaluator.engine}


def _sample(row: Judged) -> Facts:
    return {
        "task": row.problem.family,
        "question": row.problem.question,
        "answer": row.problem.answer,
        "text": row.completion.text,
        "correct": correctness(row) == 1.0,
        "thinking_tokens": row.completion.thinking_tokens,
    }


def main(
    work: Annotated[Path, typer.Argument(help="The file that says what is to be measured.")],
    output: Annotated[Path, typer.Option(help="The folder for the figures.")],
) -> None:
    """Measure one policy and write thinking.json, non_thinking.json, constraints.json and follow.json."""
    _run(read_json(work), output)


def _run(work: Facts, output: Path) -> None:
    settings = Evaluations.model_validate(work["settings"])
    problems = [
        problem
        for name in settings.after_each_stage
        for problem in named_problems(settings, name, work["files"].get(name))
    ]
    title = f"evaluate {work['name']}"
    evaluator = Evaluator(settings, work["policy"], title, trust_remote_code=work["trust_remote_code"])
    for name, found in measure_modes(evaluator, problems, settings.seed).items():
        write_json(output / f"{name}.json", found)
    if settings.follow_turns > 1:
        write_json(output / "follow.json", measure_follow(evaluator, problems, settings.seed))
    evaluator.close()


if __name__ == "__main__":
    run_child(main)
