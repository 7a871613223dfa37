"""20 episodes of each form through RL and evaluation, with a server killed midway: counted, and none lost.

The short tests play with a scripted engine; the long one runs a recipe, on the embedded model, in the processes of a run.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from guessing import next_guess, server
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from alignment.core.resources import resource
from alignment.data.mixture import problems_of
from alignment.evaluation import answering
from alignment.evaluation.answering import Evaluator, Question, outcome
from alignment.evaluation.measures.outcomes import figures
from alignment.inference.sampler import Sampler
from alignment.recipe.evaluation import Evaluations
from alignment.recipe.load import Document
from alignment.recipe.schema import Recipe
from alignment.records.evaluation import EvaluationRecord
from alignment.records.metrics import MetricsRow
from alignment.records.rollout import RolloutRow
from alignment.records.run_folder import RunFolder
from alignment.training.context import StageContext
from replying_policy import Replies, sampler_of
from smoke.processes import alignment

EPISODES = 20


def guess(text: str) -> str:
    number = next_guess(text.rsplit("Find the number.", 1)[1])
    return f'<tool_call>\n{{"name": "act", "arguments": {{"guess": {number}}}}}\n</tool_call>'


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(str(resource("data/base")))


def written(folder: Path, urls: list[str], **changes: Any) -> Path:
    """A recipe with 20 episodes of RL, and an evaluation of 20 problems, beside its rows and its task."""
    for name, title in (("numbers", "Game"), ("held", "Match")):  # no problem of the evaluation is trained on
        rows = [
            {"question": f"Find the number. {title} {n}", "answer": str(n), "number": n % 16} for n in range(EPISODES)
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    task = {"rows": "held.jsonl", "grader": {"kind": "environment"}, "modes": ["non_thinking"]}
    (folder / "guessing.yaml").write_text(yaml.safe_dump(task), encoding="utf-8")
    environment = {"kind": "openenv", "urls": urls, "sessions": 2, "max_turns": 5, "patience_seconds": 5, **changes}
    room = {
        "max_prompt_tokens": 300,
        "max_completion_tokens": 600,
        "environment": environment,
        "engine": "transformers",
    }
    stage = {
        "name": "rl", "kind": "grpo", "data": [{"source": "numbers.jsonl", "count": EPISODES}], "micro_batch": 2,
        "rewards": [{"kind": "environment"}, {"kind": "think_format", "weight": 0.1}],
        "rollout": {"generations": 2, "problems_per_step": 5, "thinking_fraction": 0.0, **room},
        "trainer": {"max_steps": 2},
    }  # fmt: skip
    measured = {**room, "after_each_stage": ["guessing.yaml"], "count": EPISODES, "follow_count": 1}
    recipe = {
        "name": "guessing",
        "model": "embedded",
        "hardware": {"accelerate": "cpu"},
        "stages": [stage],
        "evaluations": measured,
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return folder / "recipe.yaml"


def loaded(path: Path) -> Recipe:
    recipe, issues = Document(path).recipe()
    assert recipe is not None, issues
    return recipe


@pytest.fixture
def urls() -> Iterator[tuple[list[str], Any]]:
    with server(sessions=2) as first, server(sessions=2) as second:
        yield [first.url, second.url], second


def test_rl_counts_the_episodes_of_a_killed_server_and_trains_on_the_others(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, urls: tuple[list[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from alignment.training.rl import rollouts
    from alignment.training.rl.engine_weights import EngineWeights

    addresses, second = urls
    recipe = loaded(written(tmp_path, addresses))
    engine = Replies(tokenizer, guess)
    engine.before = lambda turns: second.kill() if turns == 9 else None
    asked = recipe.stages[0].rollout.environment.model_dump()
    monkeypatch.setattr(rollouts, "check_weight_sync", lambda *_, **__: None)
    monkeypatch.setattr(StageContext, "trajectory_sampler", lambda *_: sampler_of(engine, **asked))
    run = RunFolder(tmp_path / "run")
    context = StageContext(recipe, recipe.stages[0], run, run.stage(1, "rl"), str(resource("data/base")))
    context.folder.path.mkdir(parents=True)
    problems = problems_of(recipe, recipe.stages[0].data)
    ids = [one.id for one in problems[:10] for _ in range(2)]
    rolled = rollouts.Rollouts(context, problems).roll_out(ids, 0, EngineWeights(torch.nn.Module()))
    lost = [place for place, reward in enumerate(rolled.rewards) if reward is None]
    assert len(rolled.rows) == EPISODES and 1 <= len(lost) <= 2
    assert all(reward is not None and reward >= 1.0 for place, reward in enumerate(rolled.rewards) if place not in lost)
    assert rolled.figures["environment_fault_fraction"] == rolled.figures["unknown_fraction"] == len(lost) / EPISODES


def test_an_evaluation_counts_them_apart_from_wrong_answers(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, urls: tuple[list[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from alignment.evaluation.task import named_problems

    addresses, second = urls
    settings: Evaluations = loaded(written(tmp_path, addresses)).evaluations
    engine = Replies(tokenizer, lambda text: guess(text) if "20" not in text else "no")
    engine.before = lambda turns: second.kill() if turns == 9 else None
    monkeypatch.setattr(answering, "serve", lambda *_, **__: Sampler(engine, tokenizer, None))  # type: ignore[arg-type]
    evaluator = Evaluator(settings, "policy", "test")
    problems = named_problems(settings, "guessing", None)
    rows = evaluator.answers([Question(one, "non_thinking", flagged=False) for one in problems], seed=0)
    evaluator.close()
    found = figures("non_thinking", [outcome(row) for row in rows])
    assert len(rows) == EPISODES and 1 <= found.environment_faults <= 2
    assert (found.count, found.unknown) == (EPISODES - found.environment_faults, found.environment_faults)
    assert found.accuracy.value == 1.0 and found.truncated_fraction == 0.0, "what is lost is not wrong, and not cut off"
    assert found.tasks[0].unknown == found.environment_faults


@pytest.mark.long
def test_a_whole_run_goes_on_when_one_of_two_servers_is_killed(tmp_path: Path) -> None:
    with server("double", 2, "text") as first, server("double", 2, "text", "dies=12") as second:
        recipe = written(tmp_path, [first.url, second.url], action="text", max_turns=2)
        done = alignment("run", recipe, "--run", tmp_path / "run")
        assert done.returncode == 0, done.stderr
        assert second.process.poll() is not None, "it was killed in the middle of the RL stage"
    folder = RunFolder.open(tmp_path / "run").find("rl")
    rows = list(RolloutRow.read_lines(folder.rollouts))
    lost = [row for row in rows if row.stop_reason == "fault"]
    assert len(rows) == EPISODES and 1 <= len(lost) <= 2
    assert all(row.reward is None for row in lost) and all(row.reward is not None for row in rows if row not in lost)
    told = [row.figures.get("environment_fault_fraction") or 0.0 for row in MetricsRow.read_lines(folder.metrics)]
    assert round(sum(told) * EPISODES / 2) == len(lost)
    found = EvaluationRecord.read(folder.evaluations / "non_thinking.json").figures
    assert (found.count, found.environment_faults) == (EPISODES, 0)
