"""Classes in the shape of TRL's environment_factory: methods are tools, reset opens, get_reward scores."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from alignment.core.errors import RecipeError
from alignment.core.resources import resource
from alignment.data.rows import Problem, user_turn
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.recipe.blocks.rewards import Reward
from alignment.rollout.environments.calls import as_message
from alignment.rollout.environments.registry import environment_faults, open_environments
from alignment.rollout.scoring import Scorer
from alignment.rollout.summary import summary
from replying_policy import Replies, rollouts, sampler_of

CODE = '''
class Counter:
    made = 0

    def __init__(self, start: int = 0):
        self.start = start
        type(self).made += 1

    def reset(self, goal, **row):
        self.count, self.goal = self.start, goal
        return f" Begin at {self.start}."

    def increment(self, step: int) -> str:
        """
        Increment the counter.

        Args:
            step: Value to add to the counter.
        """
        if step > 5:
            raise Stubborn("too much at once")
        self.count += step
        return self.count

    async def read(self) -> str:
        """
        The counter's value.
        """
        if self.count == 99:
            raise ConnectionError("the counter's server is gone")
        return str(self.count)

    def get_reward(self) -> float:
        return float(self.count == self.goal)

    def _secret(self):
        return 1


class Stubborn(Exception):
    pass


def make_counter():
    return Counter(2)


class Unclear:
    def reset(self, **row):
        return None

    def shout(self, loud):
        return loud


class WithStep(Counter):
    def step(self, size: int) -> str:
        """
        Go some steps.

        Args:
            size: How many.
        """
        return "gone"


class Image:
    def reset(self, **row):
        return [{"type": "image"}]

    def look(self) -> str:
        """
        Look.
        """
        return "nothing"
'''
PROBLEM = Problem("p", [user_turn("Count to 5.")], "5", columns={"goal": 5})


def call(name: str, **arguments: Any) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "counters.py").write_text(CODE, encoding="utf-8")
    return tmp_path / "counters.py"


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(str(resource("data/base")))


def kind(file: Path, name: str, **options: Any) -> EnvironmentChoice:
    return EnvironmentChoice.model_validate({"kind": f"{file}:{name}", **options})


def test_methods_are_tools_reset_opens_and_get_reward_scores(file: Path) -> None:
    opened = open_environments(kind(file, "Counter", start=1))
    environment = opened.new()
    opening = environment.reset(PROBLEM)
    assert opening.messages[-1]["content"] == "Count to 5. Begin at 1."
    tools = {one["function"]["name"]: one["function"]["parameters"] for one in opening.tools}
    assert list(tools) == ["increment", "read"], "neither reset, nor get_reward, nor what begins with an underscore"
    assert tools["increment"]["properties"]["step"]["type"] == "integer"
    said = environment.step(as_message(f"{call('increment', step=4)}\n{call('read')}"))
    assert [one["content"] for one in said] == ["5", "5"]
    assert environment.step(as_message("Done.")) == []
    assert environment.score() == 1.0  # type: ignore[attr-defined]
    opened.close()


def test_what_a_tool_raises_is_shown_to_the_policy_and_a_lost_server_ends_the_rollout_alone(
    file: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    environment = open_environments(kind(file, "Counter")).new()
    environment.reset(PROBLEM)
    said = environment.step(as_message(f"{call('increment', step=6)}\n{call('increment', step='a')}\n{call('jump')}"))
    assert [one["content"].split(":")[0] for one in said] == ["error"] * 3
    assert "too much at once" in said[0]["content"]

    def reply(text: str) -> str:
        if text.count("<tool_call>") > text.count('"expression"') and "tool_response" in text:
            return call("read") if "99" in text or "read" not in text.split("Begin at")[1] else "Done."
        return call("increment", step=5)

    problems = [PROBLEM, Problem("q", [user_turn("Count to 99.")], "99", columns={"goal": 99})]
    engine = Replies(tokenizer, reply)
    made = rollouts(engine, problems, kind=f"{file}:Counter", start=94, max_turns=4)
    assert all(one.stop_reason == "fault" for one in made)
    assert "Counter: the tool read reached nobody (ConnectionError: the counter's server is gone)" in made[0].fault


def test_its_reward_trains_and_its_fault_is_no_score(file: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    def reply(text: str) -> str:
        if "tool_response" in text.rsplit("Count to", 1)[1]:
            return "Done."
        return call("increment", step=5 if "Count to 5" in text else 1)

    problems = [Problem(str(n), [user_turn(f"Count to {n}.")], "", columns={"goal": n}) for n in (5, 3)] * 2
    made = rollouts(Replies(tokenizer, reply), problems, kind=f"{file}:Counter", max_turns=4)
    scorer = Scorer([Reward(kind="environment")])
    judged = scorer.judge(problems, made)
    assert [one.total for one in judged] == [1.0, 0.0, 1.0, 0.0]
    assert [one.verdicts["environment"].reason for one in judged] == ["environment"] * 4
    assert summary(judged)["reward/environment/mean"] == 0.5
    assert "environment_fault_fraction" not in summary(judged)


def test_instances_are_made_once_and_reset_often(file: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    sampler = sampler_of(Replies(tokenizer, lambda text: "Done."), kind=f"{file}:Counter")
    for _ in range(5):
        assert sampler.prompt_ids(PROBLEM, "non_thinking")
    opened = sampler._environments
    assert len(opened._idle) == 1 and opened._idle[0].made == 1  # type: ignore[attr-defined]


def test_a_factory_and_a_class_with_a_tool_called_step_are_taken_and_what_cannot_work_is_named(file: Path) -> None:
    assert open_environments(kind(file, "make_counter")).new().reset(PROBLEM).messages[-1]["content"].endswith("at 2.")
    opening = open_environments(kind(file, "WithStep")).new().reset(PROBLEM)
    assert [one["function"]["name"] for one in opening.tools] == ["increment", "read", "step"]
    with pytest.raises(RecipeError, match="the method shout cannot be offered as a tool"):
        open_environments(kind(file, "Unclear")).new()
    with pytest.raises(RecipeError, match="reset returned a list; it has to return None, or a text"):
        open_environments(kind(file, "Image")).new().reset(PROBLEM)
    with pytest.raises(RecipeError, match=r"reset failed at counters.py:\d+: KeyError|reset failed at .*goal"):
        open_environments(kind(file, "Counter")).new().reset(Problem("p", [user_turn("?")], ""))
    (told,) = environment_faults(kind(file, "Counter", begin=1))
    assert "it takes: kind, max_turns, start" in told
