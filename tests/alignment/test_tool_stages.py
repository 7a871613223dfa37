"""Stages that sample, and the evaluation, run their environment: tools are called, prompts hold everything, masks hold."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from test_trajectories import STOP_TEXT, Script, encoded
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from alignment.core.resources import resource
from alignment.data.mixture import problems_of
from alignment.data.rows import Conversation, Message, Problem, read_rows
from alignment.evaluation.answering import Evaluator, Question, outcome
from alignment.inference.sampler import Sampler
from alignment.inference.thinking_budget import ThinkTokens
from alignment.recipe.schema import Recipe
from alignment.records.run_folder import RunFolder
from alignment.rollout.sampler import TrajectorySampler
from alignment.training.context import StageContext

TOOLS = {"kind": "tools", "tools": ["calculator"], "max_turns": 4}
REWARDS = [{"kind": "tool_call", "weight": 1.0}, {"kind": "math_answer", "weight": 1.0}]


def recipe_of(kind: str, **rollout: Any) -> Recipe:
    asked = {"generations": 2, "max_prompt_tokens": 400, "max_completion_tokens": 400, "environment": TOOLS, **rollout}
    data = [{"source": "tool-sums", "split": "reasoning", "count": 2, "seed": 3}]
    stage = {"name": "only", "kind": kind, "data": data, "rewards": REWARDS, "rollout": asked}
    return Recipe.model_validate({"name": "tools", "model": "embedded", "stages": [stage]})


def as_text(message: Message) -> str:
    """A message of a demonstration as a policy writes it."""
    function = [call["function"] for call in message.get("tool_calls") or []]
    calls = "".join(f"<tool_call>\n{json.dumps(one)}\n</tool_call>" for one in function)
    return f"<think>\n{message['reasoning_content']}\n</think>\n\n{message['content']}{calls}"


def right(tokenizer: PreTrainedTokenizerBase, problem: Problem) -> list[list[int]]:
    return [encoded(tokenizer, as_text(one)) for one in problem.demonstration if one["role"] == "assistant"]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(str(resource("data/base")))


@pytest.fixture
def script(tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch) -> list[list[list[int]]]:
    """What the engine of the next stage will say: for each rollout its turns."""
    lines: list[list[list[int]]] = []

    def sampler(self: StageContext, adapter: object = None) -> TrajectorySampler:
        thinking, rollout = ThinkTokens.of(tokenizer, STOP_TEXT), self.stage.rollout
        engine = Script(tokenizer.eos_token_id, lines, thinking)
        whole = Sampler(engine, tokenizer, thinking)  # type: ignore[arg-type]
        return TrajectorySampler(whole, rollout.environment, rollout.max_completion_tokens)

    monkeypatch.setattr(StageContext, "trajectory_sampler", sampler)
    return lines


def context_of(recipe: Recipe, folder: Path) -> StageContext:
    run = RunFolder(folder)
    return StageContext(recipe, recipe.stages[0], run, run.stage(1, "only"), str(resource("data/base")))


def test_a_sample_stage_keeps_whole_exchanges_that_an_sft_stage_can_learn_from(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, script: list[list[list[int]]]
) -> None:
    from alignment.training.stages.sample import run

    context = context_of(recipe_of("sample"), tmp_path)
    problems = problems_of(context.recipe, context.stage.data)
    wrong = encoded(tokenizer, "<think>\nhm\n</think>\n\n\\boxed{0}")
    script += [right(tokenizer, problems[0]), [wrong], [wrong], [wrong]]
    run(context, tmp_path / "output")
    (row,) = list(read_rows(tmp_path / "output" / "rows.jsonl", "conversation"))
    assert isinstance(row, Conversation)
    assert row.messages[: len(problems[0].messages)] == problems[0].messages and row.tools == problems[0].tools
    assert row.messages[len(problems[0].messages) :] == problems[0].demonstration
    lines = (context.folder.rollouts).read_text(encoding="utf-8").splitlines()
    kept = [json.loads(line) for line in lines]
    assert [turn["role"] for turn in kept[0]["messages"]].count("tool") == len(problems[0].columns["calls"])
    assert kept[0]["verdicts"]["tool_call"]["score"] == 1.0 and kept[1]["verdicts"]["tool_call"]["score"] == 0.0


def test_an_rl_step_trains_on_what_the_policy_sampled_and_not_on_what_tools_said(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, script: list[list[list[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from alignment.training.rl import rollouts
    from alignment.training.rl.engine_weights import EngineWeights

    monkeypatch.setattr(rollouts, "check_weight_sync", lambda *_, **__: None)
    context = context_of(recipe_of("grpo"), tmp_path)
    context.folder.path.mkdir(parents=True)
    problem = problems_of(context.recipe, context.stage.data)[0]
    wrong = encoded(tokenizer, "<think>\nhm\n</think>\n\n\\boxed{0}")
    script += [right(tokenizer, problem), [wrong]]
    weights = EngineWeights(torch.nn.Module())
    rolled = rollouts.Rollouts(context, [problem]).roll_out([problem.id] * 2, 0, weights)
    assert rolled.rewards == [2.0, 0.0]
    row = rolled.rows[0]
    prompt = tokenizer.decode(row.prompt_ids)
    assert all(piece in prompt for piece in ("One call a step.", '{"name": "calculator"', problem.question))
    sampled = [token for token, own in zip(row.completion_ids, row.sampled, strict=True) if own]
    assert sampled == [token for turn in right(tokenizer, problem) for token in turn]
    unlearned = [token for token, own in zip(row.completion_ids, row.sampled, strict=True) if not own]
    assert problem.demonstration[1]["content"] in tokenizer.decode(unlearned)


def test_the_evaluation_runs_the_environment_and_says_how_many_calls_are_right(
    tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alignment.evaluation import answering
    from alignment.evaluation.outcomes import figures
    from alignment.recipe.blocks.evaluation import Evaluations

    (first, second) = problems_of(recipe_of("sample"), recipe_of("sample").stages[0].data)  # type: ignore[arg-type]
    thinking = ThinkTokens.of(tokenizer, STOP_TEXT)
    wrong = encoded(tokenizer, "<think>\nhm\n</think>\n\n\\boxed{0}")
    engine = Script(tokenizer.eos_token_id, [right(tokenizer, first), [wrong]], thinking)
    monkeypatch.setattr(answering, "serve", lambda *_, **__: Sampler(engine, tokenizer, thinking))  # type: ignore[arg-type]
    settings = Evaluations.model_validate({"environment": TOOLS, "max_completion_tokens": 400})
    evaluator = Evaluator(settings, "policy", "test")
    rows = evaluator.answers([Question(one, "thinking", flagged=False) for one in (first, second)], seed=0)
    evaluator.close()
    prompt = tokenizer.decode(engine.rounds[0][0].prompt_ids)
    assert all(piece in prompt for piece in ("One call a step.", '{"name": "calculator"', first.question))
    outcomes = [outcome(row) for row in rows]
    assert [(one.correct, one.calls_right) for one in outcomes] == [(True, True), (False, False)]
    assert outcomes[0].answer_tokens + outcomes[0].thinking_tokens == rows[0].trajectory.policy_tokens
    found = figures("thinking", outcomes)
    assert found.calls_count == 2 and found.calls_right.value == 0.5
    assert found.calls_right.low is not None and found.calls_right.low < 0.5
