"""NeMo Gym's resources servers with sessions: each rollout keeps its own cookie from /seed_session over its tools to /verify.

The server is a double of the protocol, and in the long test example_session_state_mgmt of NeMo Gym itself.
"""

import json
from pathlib import Path

import pytest
from episodes import EPISODES, counted_in_a_run, evaluated, rolled_out, written
from guessing import Server, next_guess, server
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from alignment.core.resources import resource
from alignment.data.rows import Problem, user_turn
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.rollout.environments.calls import as_message
from alignment.rollout.environments.registry import environment_faults, open_environments
from replying_policy import Replies, rollouts
from smoke.processes import alignment


def tool(name: str, argument: str = "number") -> dict[str, object]:
    parameters = {"type": "object", "properties": {argument: {"type": "integer"}}, "required": [argument]}
    return {"type": "function", "function": {"name": name, "description": "", "parameters": parameters}}


def problems(count: int, *names: str) -> list[Problem]:
    tools = [tool("guess"), *map(tool, names)]
    asked = [user_turn("Find the number.")]
    return [Problem(str(n), asked, "", columns={"number": n % 15}, tools=tools) for n in range(count)]


def call(name: str, **arguments: object) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def halving(text: str) -> str:
    """Guesses by halving, and says so when it is right."""
    own = text.rsplit("Find the number.", 1)[1]
    return "Found." if '"right"' in own else call("guess", number=next_guess(own))


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(str(resource("data/base")))


def test_rollouts_that_run_side_by_side_each_keep_their_own_session(tokenizer: PreTrainedTokenizerBase) -> None:
    engine = Replies(tokenizer, halving)
    with server("gym") as found:
        choice = {"kind": "nemo_gym", "urls": [found.url]}
        assert environment_faults(EnvironmentChoice.model_validate(choice)) == []
        made = rollouts(engine, problems(20), sessions=5, max_turns=7, **choice)
    assert engine.most == 5, "no more episodes at one time than the recipe says"
    assert [one.environment_reward for one in made] == [1.0] * 20, "one session's guesses are no other's"
    assert {one.stop_reason for one in made} == {"end"} and made[0].turns[-1].text == "Found."


def test_a_policy_reaches_its_rows_tools_and_no_other_route_of_the_server() -> None:
    with server("gym") as found:
        opened = open_environments(EnvironmentChoice.model_validate({"kind": "nemo_gym", "urls": [found.url]}))
        environment = opened.new()
        (problem,) = problems(1, "verify", "../guess")
        environment.reset(problem)
        calls = [call("verify", number=0), call("seed_session", number=3), call("../guess", number=0), call("jump")]
        said = [one["content"] for one in environment.step(as_message("\n".join(calls)))]
        assert all(f"error: there is no tool {name!r}; there are: guess" in one for name, one in zip(
            ("verify", "seed_session", "../guess", "jump"), said, strict=True
        ))  # fmt: skip
        (broken,) = environment.step(as_message(call("guess", number=666)))
        assert broken["content"] == '{"error": "the tool broke"}', "a tool's own error is the policy's to read"
        assert environment.step(as_message("I give up.")) == []
        assert environment.score() == 0.0  # type: ignore[attr-defined]
        environment.release()  # type: ignore[attr-defined]
        masked = opened.new()
        masked.reset(Problem("m", [user_turn("?")], "", columns={"number": 15}))
        assert masked.score() is None, "the server says that it cannot judge"  # type: ignore[attr-defined]


def test_a_killed_server_loses_the_sessions_that_it_held_and_the_other_takes_the_rest(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    engine = Replies(tokenizer, halving)
    with server("gym") as first, server("gym") as second:
        engine.before = lambda turns: second.kill() if turns == 9 else None
        urls = [first.url, second.url]
        made = rollouts(engine, problems(20), kind="nemo_gym", urls=urls, sessions=2, max_turns=7, patience_seconds=5)
    lost = [one for one in made if one.stop_reason == "fault"]
    assert 1 <= len(lost) <= 2 and all(second.url in one.fault for one in lost)
    assert [one.environment_reward for one in made if not one.fault] == [1.0] * (20 - len(lost))


def test_rl_and_an_evaluation_count_the_episodes_of_a_killed_server(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def played(first: Server, second: Server) -> tuple[Path, Replies]:
        engine = Replies(tokenizer, halving)
        engine.before = lambda turns: second.kill() if turns == 9 else None
        asked = {"kind": "nemo_gym", "urls": [first.url, second.url], "sessions": 2, "max_turns": 7}
        asked["patience_seconds"] = 5
        return written(tmp_path, asked, {"kind": "environment"}, columns={"tools": [tool("guess")]}), engine

    with server("gym") as first, server("gym") as second:
        rolled = rolled_out(*played(first, second), monkeypatch)
    lost = sum(reward is None for reward in rolled.rewards)
    assert len(rolled.rows) == EPISODES and 1 <= lost <= 2
    assert all(reward is None or reward >= 1.0 for reward in rolled.rewards), (
        "no lost session was taken for a wrong one"
    )
    assert rolled.figures["environment_fault_fraction"] == rolled.figures["unknown_fraction"] == lost / EPISODES
    with server("gym") as first, server("gym") as second:
        found = evaluated(*played(first, second), monkeypatch)
    assert 1 <= found.environment_faults <= 2
    assert (found.count, found.accuracy.value) == (EPISODES - found.environment_faults, 1.0)


@pytest.mark.long
def test_a_whole_run_goes_on_when_servers_are_killed_in_rl_and_in_an_evaluation(tmp_path: Path) -> None:
    with server("gym") as first, server("gym", 2, "dies=4") as second, server("gym", 2, "dies_held=4") as third:
        urls = [one.url for one in (first, second, third)]
        asked = {"kind": "nemo_gym", "urls": urls, "sessions": 2, "max_turns": 2, "patience_seconds": 60}
        path = written(tmp_path, asked, {"kind": "environment"}, taught=True, columns={"tools": [tool("guess")]})
        done = alignment("run", path, "--run", tmp_path / "run")
        assert done.returncode == 0, done.stderr
        assert all(one.process.poll() is not None for one in (second, third)), "killed in RL, and in an evaluation"
    counted_in_a_run(tmp_path / "run")


def test_check_names_a_server_that_does_not_answer() -> None:
    choice = EnvironmentChoice.model_validate({"kind": "nemo_gym", "urls": ["http://127.0.0.1:9"]})
    (told,) = environment_faults(choice)
    assert "http://127.0.0.1:9 does not answer" in told and "start the resources server" in told


@pytest.mark.long
def test_nemo_gyms_own_server_counts_each_session_apart(tokenizer: PreTrainedTokenizerBase) -> None:
    def counting(text: str) -> str:
        return "Done." if "success" in text.rsplit("Count.", 1)[1] else call("increment_counter", count=2)

    tools = [tool("increment_counter", "count")]
    columns = [{"initial_count": n, "expected_count": n + 2 + n % 2} for n in range(8)]
    asked = [Problem(str(n), [user_turn("Count.")], "", columns=one, tools=tools) for n, one in enumerate(columns)]
    with server("nemo") as found:
        choice = EnvironmentChoice.model_validate({"kind": "nemo_gym", "urls": [found.url]})
        assert environment_faults(choice) == []
        made = rollouts(Replies(tokenizer, counting), asked, kind="nemo_gym", urls=[found.url], max_turns=4)
    assert [one.environment_reward for one in made] == [1.0, 0.0] * 4, [one.fault for one in made]
