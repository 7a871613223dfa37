"""20 episodes of RL and 20 of an evaluation in any environment: as a recipe, and in this process with a scripted engine."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from alignment.core.resources import resource
from alignment.data.mixture import problems_of
from alignment.evaluation import answering
from alignment.evaluation.answering import Evaluator, Question, outcome
from alignment.evaluation.outcomes import figures
from alignment.evaluation.task import named_problems
from alignment.inference.sampler import Sampler
from alignment.recipe.reading.load import Document
from alignment.recipe.schema import Recipe
from alignment.records.evaluation import EvaluationFigures, EvaluationRecord
from alignment.records.metrics import MetricsRow
from alignment.records.rollout import RolloutRow
from alignment.records.run_folder import RunFolder
from alignment.training.context import StageContext
from alignment.training.rl import rollouts
from alignment.training.rl.batch import RolledOut
from alignment.training.rl.engine_weights import EngineWeights
from replying_policy import Replies, sampler_of

EPISODES = 20
Written = dict[str, Any]


def adding(n: int, **more: object) -> Written:
    """A task of adding_verifiers.py."""
    return {"prompt": f"How much is {n} and {n + 3}?", "one": n, "two": n + 3, **more}


def written(
    folder: Path, environment: Written, reward: Written, *, taught: bool = False, columns: Written | None = None
) -> Path:
    """A recipe with 20 episodes of RL, and an evaluation of 20 problems, beside its rows and its task.

    taught: it begins with a stage after which the policy ends its turns, which the embedded model does not.
    columns: what every row has beside its own.
    """
    for name, title in (("numbers", "Game"), ("held", "Match")):  # no problem of the evaluation is trained on
        trained = {"trained": True} if name == "numbers" else {}
        own = {**(columns or {}), **trained}
        rows = [
            {
                "question": f"Find the number. {title} {n}",
                "answer": str(n),
                "number": n % 15,
                "task": adding(n, **trained),
                **own,
            }
            for n in range(EPISODES)
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    task = {"rows": "held.jsonl", "grader": reward, "modes": ["non_thinking"]}
    (folder / "guessing.yaml").write_text(yaml.safe_dump(task), encoding="utf-8")
    room = {
        "max_prompt_tokens": 600,
        "max_completion_tokens": 400,
        "environment": environment,
        "engine": "transformers",
    }
    stage = {
        "name": "rl", "kind": "grpo", "data": [{"source": "numbers.jsonl", "count": EPISODES}], "micro_batch": 2,
        "rewards": [reward, {"kind": "think_format", "weight": 0.1}],
        "rollout": {"generations": 2, "problems_per_step": 5, "thinking_fraction": 0.0, **room},
        "trainer": {"max_steps": 2},
    }  # fmt: skip
    measured = {**room, "after_each_stage": ["guessing.yaml"], "count": EPISODES, "follow_count": 1}
    stages = [_taught(folder), stage] if taught else [stage]
    recipe = {"name": "guessing", "model": "embedded", "hardware": {"accelerate": "cpu"}, "stages": stages}
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "evaluations": measured}), encoding="utf-8")
    return folder / "recipe.yaml"


def _taught(folder: Path) -> Written:
    """A stage that teaches to answer with a number, and to end there."""
    rows = [
        {"messages": [{"role": "user", "content": f"Find the number. Try {n}"}, {"role": "assistant", "content": str(n % 16)}]}
        for n in range(160)
    ]  # fmt: skip
    (folder / "chats.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    data = [{"source": "chats.jsonl", "mode": "non_thinking"}]
    trainer = {"max_steps": 40, "per_device_train_batch_size": 16, "learning_rate": 3.0e-3}
    return {"name": "cold", "kind": "sft", "data": data, "max_length": 256, "trainer": trainer}


def loaded(path: Path) -> Recipe:
    recipe, issues = Document(path).recipe()
    assert recipe is not None, issues
    return recipe


def rolled_out(path: Path, engine: Replies, monkeypatch: pytest.MonkeyPatch) -> RolledOut:
    """The recipe's 20 episodes as one step of its stage."""
    recipe = loaded(path)
    asked = recipe.stages[0].rollout.environment.model_dump()
    monkeypatch.setattr(rollouts, "check_weight_sync", lambda *_, **__: None)
    monkeypatch.setattr(StageContext, "trajectory_sampler", lambda *_: sampler_of(engine, **asked))
    run = RunFolder(path.parent / "run")
    context = StageContext(recipe, recipe.stages[0], run, run.stage(1, "rl"), str(resource("data/base")))
    context.folder.path.mkdir(parents=True)
    problems = problems_of(recipe, recipe.stages[0].data)
    ids = [one.id for one in problems[:10] for _ in range(2)]
    return rollouts.Rollouts(context, problems).roll_out(ids, 0, EngineWeights(torch.nn.Module()))


def evaluated(path: Path, engine: Replies, monkeypatch: pytest.MonkeyPatch) -> EvaluationFigures:
    """The figures of the recipe's evaluation."""
    settings = loaded(path).evaluations
    monkeypatch.setattr(answering, "serve", lambda *_, **__: Sampler(engine, engine.tokenizer, None))  # type: ignore[arg-type]
    evaluator = Evaluator(settings, "policy", "test")
    problems = named_problems(settings, "guessing", None)
    rows = evaluator.answers([Question(one, "non_thinking", flagged=False) for one in problems], seed=0)
    evaluator.close()
    assert len(rows) == EPISODES
    return figures("non_thinking", [outcome(row) for row in rows])


def counted_in_a_run(run: Path) -> None:
    """Of a finished run with a stage `cold` and 20 episodes of `rl`: a server was lost in RL and one in an evaluation.

    Each lost the one or two episodes that were under way on it, which are counted; the others were played, none twice.
    """
    opened = RunFolder.open(run)
    folder = opened.find("rl")
    rows = list(RolloutRow.read_lines(folder.rollouts))
    lost = [row for row in rows if row.stop_reason == "fault"]
    assert len(rows) == EPISODES and 1 <= len(lost) <= 2
    assert all(row.reward is None for row in lost) and all(row.reward is not None for row in rows if row not in lost)
    told = [row.figures.get("environment_fault_fraction") or 0.0 for row in MetricsRow.read_lines(folder.metrics)]
    assert round(sum(told) * EPISODES / 2) == len(lost)
    measured = [opened.find(name).evaluations / "non_thinking.json" for name in ("cold", "rl")]
    found = [EvaluationRecord.read(path).figures for path in measured]
    assert all(one.count + one.environment_faults == EPISODES for one in found)
    assert 1 <= sum(one.environment_faults for one in found) <= 2
