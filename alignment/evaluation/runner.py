"""Evaluates the policy of a stage in both modes and writes evaluations/MODE.json.

Accuracy is measured with the template's switch, which is how a served model is asked; think-follow with the flag
alone (`/think`, `/no_think`), which leaves it to the policy to open or skip the think block.
`python -m alignment.evaluation.runner RECIPE --stage NAME`; the pipeline starts it after every training stage.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from transformers import AutoTokenizer

from alignment.artifact import write_json
from alignment.data.render import render_prompt
from alignment.data.rows import MODES, Mode, Problem
from alignment.errors import AlignmentError
from alignment.evaluation.identity import evaluation_identity, sweep_identity
from alignment.evaluation.metrics import Outcome, figures, share
from alignment.evaluation.tasks import held_out
from alignment.launch import die_with_parent
from alignment.pipeline import Pipeline
from alignment.progress import Progress
from alignment.recipe.schema import Recipe, Reward
from alignment.rollout.engine import EngineSettings, SamplingSettings, start_engine
from alignment.rollout.groups import chance
from alignment.rollout.scoring import Judged, Scorer
from alignment.rollout.thinking import Completion, Request, Sampler
from rewards.format import follows_mode

# Each problem is graded by the one of CORRECTNESS that applies to it: by its answer or by its constraints.
CORRECTNESS = ("math_answer", "instruction")
GRADERS = [
    Reward(kind="math_answer"),
    Reward.model_validate({"kind": "instruction", "all_or_nothing": True}),
    Reward(kind="think_format", weight=0.0),
]
KEPT_SAMPLES = 24
CHUNK = 256  # completions between two progress reports


@dataclass(frozen=True)
class Question:
    """One problem, asked in one mode; flagged as in render.py."""

    problem: Problem
    mode: Mode
    flagged: bool
    budget: int | None = None


class Evaluator:
    """One policy in an engine, with graders, ready to answer questions. Use `close` when done."""

    def __init__(self, recipe: Recipe, policy: str, work: str) -> None:
        settings = recipe.evaluations
        self.settings, self._work = settings, work
        self._tokenizer = AutoTokenizer.from_pretrained(policy, trust_remote_code=recipe.trust_remote_code)
        self._prompt_limit = settings.max_prompt_tokens
        engine = start_engine(
            settings.engine,
            EngineSettings(
                model=policy,
                max_length=self._prompt_limit + settings.max_completion_tokens,
                stop_ids=(self._tokenizer.eos_token_id,),
                pad_id=self._tokenizer.pad_token_id,
                dtype=settings.dtype,
                gpu_memory_share=0.85,  # nothing else is on the device
                trust_remote_code=recipe.trust_remote_code,
            ),
        )
        self.engine = engine.name
        self._sampler = Sampler(engine, self._tokenizer, settings.max_completion_tokens, settings.budget_stop_text)
        self._scorer = Scorer(GRADERS)

    def answers(self, questions: Sequence[Question], seed: int) -> list[Judged]:
        """One judged completion per question, with progress."""
        progress, judged = Progress(self._work, len(questions)), []
        for start in range(0, len(questions), CHUNK):
            chunk = questions[start : start + CHUNK]
            requests = [Request(self._prompt(question), question.mode, question.budget) for question in chunk]
            drawn_with = int(chance("evaluation", seed, start, len(questions)) * 2**31)
            made: list[tuple[int, Completion]] = []
            for mode in MODES:  # the modes have sampling settings of their own
                picked = [index for index, question in enumerate(chunk) if question.mode == mode]
                drawn = self._sampler.sample([requests[index] for index in picked], self._settings(mode), drawn_with)
                made += zip(picked, drawn, strict=True)
            ordered = [completion for _, completion in sorted(made, key=lambda pair: pair[0])]
            judged += self._scorer.judge([question.problem for question in chunk], ordered)
            progress.report(len(judged), correct=share([correctness(row) == 1.0 for row in judged]))
        return judged

    def close(self) -> None:
        self._scorer.close()

    def _prompt(self, question: Question) -> list[int]:
        messages = [{"role": "user", "content": question.problem.question}]
        return render_prompt(self._tokenizer, messages, question.mode, flagged=question.flagged)[-self._prompt_limit :]

    def _settings(self, mode: Mode) -> SamplingSettings:
        chosen = self.settings.sampling[mode]
        return SamplingSettings(chosen.get("temperature", 0.6), chosen.get("top_p", 1.0), int(chosen.get("top_k", 0)))


def correctness(judged: Judged) -> float | None:
    """The score of the grader that a problem is for; None where it could not judge."""
    applicable = [judged.verdicts[name] for name in CORRECTNESS if judged.verdicts[name].applicable]
    return applicable[0].score if applicable else None


def outcome(judged: Judged) -> Outcome:
    """What one judged completion counts for."""
    made, score = judged.completion, correctness(judged)
    return Outcome(
        task=judged.problem.family,
        correct=None if score is None else score == 1.0,
        well_formed=judged.verdicts["think_format"].score == 1.0,
        thinking_tokens=made.thinking_tokens,
        answer_tokens=len(made.token_ids) - made.thinking_tokens,
        truncated=made.stop_reason == "length",
        forced=made.forced_tokens > 0,
    )


def evaluate(evaluator: Evaluator, problems: Sequence[Problem], seed: int) -> dict[Mode, dict[str, Any]]:
    """The figures of both modes for one policy (docs/run-directory.md)."""
    repeated = [problem for problem in problems for _ in range(evaluator.settings.samples)]
    followed = problems[: evaluator.settings.follow_count]
    found: dict[Mode, dict[str, Any]] = {}
    for mode in MODES:
        started = time.monotonic()
        asked = evaluator.answers([Question(problem, mode, flagged=False) for problem in repeated], seed)
        flagged = evaluator.answers([Question(problem, mode, flagged=True) for problem in followed], seed)
        found[mode] = {
            "mode": mode,
            "seed": seed,
            **figures([outcome(row) for row in asked]),
            "think_follow": share([follows_mode(row.completion.text, mode) for row in flagged]),
            "think_follow_count": len(flagged),
            "seconds": round(time.monotonic() - started, 1),
            "engine": evaluator.engine,
            "samples": [_sample(row) for row in asked[:KEPT_SAMPLES]],
        }
    return found


def sweep(evaluator: Evaluator, problems: Sequence[Problem], budgets: Sequence[int], seed: int) -> list[dict[str, Any]]:
    """Accuracy at each thinking budget, with the tokens really spent."""
    points = []
    for budget in budgets:
        rows = evaluator.answers([Question(problem, "thinking", False, budget) for problem in problems], seed)
        points.append(
            {"budget": budget, **{k: v for k, v in figures([outcome(row) for row in rows]).items() if k != "tasks"}}
        )
    return points


def _sample(row: Judged) -> dict[str, Any]:
    return {
        "task": row.problem.family,
        "question": row.problem.question,
        "answer": row.problem.answer,
        "text": row.completion.text,
        "correct": correctness(row) == 1.0,
        "thinking_tokens": row.completion.thinking_tokens,
    }


def main(
    recipe: Annotated[Path, typer.Argument(help="The recipe's YAML file.")],
    stage: Annotated[str, typer.Option(help="The stage whose policy is measured.")],
    run: Annotated[Path | None, typer.Option(help="The run directory.")] = None,
    set: Annotated[list[str] | None, typer.Option(help="Override path.by.name=value.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed for procedural tasks.")] = None,
    budgets: Annotated[bool, typer.Option(help="Sweep the recipe's budgets too.")] = False,
    output: Annotated[Path | None, typer.Option(help="Where to write; left out, the stage's evaluations/.")] = None,
) -> None:
    """Measure one stage and write thinking.json, non_thinking.json and, with --budgets, budget.json."""
    try:
        _run(Pipeline.load(recipe, set or [], run), stage, seed, budgets, output)
    except AlignmentError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_status) from error


def _run(pipeline: Pipeline, stage: str, seed: int | None, budgets: bool, output: Path | None) -> None:
    folder, settings = pipeline.folder(stage), pipeline.recipe.evaluations
    target = output or folder.evaluations
    seed = settings.seed if seed is None else seed
    output_hash = folder.verified_manifest().output_hash
    identity = evaluation_identity(settings, output_hash, seed)
    problems = held_out(pipeline.recipe, settings.count, seed)
    evaluator = Evaluator(pipeline.recipe, str(folder.output), f"evaluate {stage}")
    if output is not None or not all((target / f"{mode}.json").exists() for mode in MODES):
        for mode, found in evaluate(evaluator, problems, seed).items():
            write_json(target / f"{mode}.json", {"stage": stage, "identity": identity, **found})
    if budgets:
        points = sweep(evaluator, problems, settings.budgets, seed)
        write_json(
            target / "budget.json",
            {"stage": stage, "seed": seed, "identity": sweep_identity(settings, output_hash, seed), "points": points},
        )
    evaluator.close()


if __name__ == "__main__":
    die_with_parent()
    typer.run(main)
