"""OpenEnv servers: episodes over WebSockets, what is wrong in words, and a server that is lost is counted and not a score.

The servers are a double of the protocol, and in the long tests those of the package itself.
"""

import json
from pathlib import Path

import pytest
from guessing import SERVERS, next_guess, server
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from alignment.core.errors import AlignmentError
from alignment.core.resources import resource
from alignment.data.rows import Problem, user_turn
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.recipe.blocks.rewards import Reward
from alignment.rollout.environments.calls import as_message
from alignment.rollout.environments.protocol import EnvironmentFault
from alignment.rollout.environments.registry import environment_faults, open_environments
from alignment.rollout.scoring import Scorer
from alignment.rollout.summary import summary
from replying_policy import Replies, rollouts


def call(name: str, **arguments: object) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def halving(text: str) -> str:
    """Guesses by halving until it is right."""
    own = text.rsplit("Find the number.", 1)[1]
    return call("act", guess=next_guess(own))


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(str(resource("data/base")))


def problems(count: int) -> list[Problem]:
    return [Problem(str(n), [user_turn("Find the number.")], "", columns={"number": n % 16}) for n in range(count)]


@pytest.mark.parametrize("which", SERVERS)
def test_episodes_are_played_to_their_end_and_the_servers_reward_is_the_score(
    which: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    engine = Replies(tokenizer, halving)
    with server(which, 3) as found:
        made = rollouts(engine, problems(12), kind="openenv", urls=[found.url], sessions=3, max_turns=5)
    assert engine.most == 3, "no more episodes at one time than the server takes"
    assert [one.environment_reward for one in made] == [1.0] * 12
    assert {one.stop_reason for one in made} == {"end"}
    first = made[0]
    assert "I think of a number." in first.opening.messages[-1]["content"]
    (tool,) = first.opening.tools
    assert tool["function"]["name"] == "act" and list(tool["function"]["parameters"]["properties"]) == ["guess"]
    assert json.loads(first.turns[1].text) == {"message": "lower"}
    sampled = tokenizer.decode([one for one, own in zip(first.token_ids, first.loss_mask, strict=True) if own])
    assert "lower" not in sampled and "guess" in sampled


@pytest.mark.parametrize("which", SERVERS)
def test_what_a_policy_does_wrong_is_answered_in_words_and_what_the_server_does_is_a_fault(which: str) -> None:
    with server(which, 4) as found:
        opened = open_environments(
            EnvironmentChoice.model_validate(
                {"kind": "openenv", "urls": [found.url], "reward": "sum", "observation": "message"}
            )
        )
        environment = opened.new()
        environment.reset(problems(8)[7])
        wrong = f"{call('act', guess='seven')}\n{call('jump')}\n<tool_call>\noops\n</tool_call>\n{call('act', guess=3)}"
        said = [one["content"] for one in environment.step(as_message(wrong))]
        assert said[0].startswith("error: VALIDATION_ERROR: guess: Input should be a valid integer")
        assert said[1] == "error: there is no tool 'jump'; there are: act"
        assert said[2].startswith("error: this is no call") and said[3] == "higher"
        assert environment.step(as_message(call("act", guess=7))) == []
        assert environment.score() == 1.0  # type: ignore[attr-defined]
        environment.release()  # type: ignore[attr-defined]
        environment = opened.new()
        environment.reset(problems(1)[0])
        with pytest.raises(EnvironmentFault, match="EXECUTION_ERROR: the environment broke"):
            environment.step(as_message(call("act", guess=666)))


@pytest.mark.parametrize("which", SERVERS)
def test_a_servers_own_tools_are_offered_and_called(which: str) -> None:
    with server(which, 4, "mcp") as found:
        choice = EnvironmentChoice.model_validate({"kind": "openenv", "urls": [found.url], "action": "mcp"})
        assert environment_faults(choice) == []
        environment = open_environments(choice).new()
        opening = environment.reset(problems(8)[7])
        assert [one["function"]["name"] for one in opening.tools] == ["guess"]
        (said,) = environment.step(as_message(call("guess", number=9)))
        assert said["role"] == "tool" and "lower" in said["content"]
        assert environment.step(as_message("Nine.")) == [] and environment.score() is None  # type: ignore[attr-defined]
        environment.release()  # type: ignore[attr-defined]


def test_a_killed_server_loses_its_own_episodes_which_are_counted_and_the_others_go_on(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    engine = Replies(tokenizer, halving)
    with server(sessions=2) as first, server(sessions=2) as second:
        engine.before = lambda turns: second.kill() if turns == 9 else None
        asked = problems(20)
        urls = [first.url, second.url]
        made = rollouts(engine, asked, kind="openenv", urls=urls, sessions=2, max_turns=5, patience_seconds=5)
    lost = [one for one in made if one.stop_reason == "fault"]
    assert 1 <= len(lost) <= 2, "those that were under way on it"
    assert all(second.url in one.fault and "ended the session" in one.fault for one in lost)
    scorer = Scorer([Reward(kind="environment"), Reward(kind="think_format", weight=0.0)])
    judged = scorer.judge(asked, made)
    assert sorted(one.total or 0.0 for one in judged) == [0.0] * len(lost) + [1.0] * (20 - len(lost))
    unknown = [one for one in judged if one.trajectory.fault]
    assert {verdict.reason for one in unknown for verdict in one.verdicts.values()} == {"environment_fault"}
    assert all(one.total is None for one in unknown), "unknown, and never zero"
    found = summary(judged)
    assert found["environment_fault_fraction"] == found["unknown_fraction"] == len(lost) / 20
    assert found["reward/environment/mean"] == 1.0
    assert {one.row(1).stop_reason for one in unknown} == {"fault"}


def test_where_no_server_is_left_every_rollout_is_counted_and_the_stage_ends_with_its_address(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    urls = ["http://127.0.0.1:9"]
    engine = Replies(tokenizer, halving)
    made = rollouts(engine, problems(8), kind="openenv", urls=urls, action="text", patience_seconds=0)
    assert [one.stop_reason for one in made] == ["fault"] * 8
    assert not any(any(one.loss_mask) for one in made), "nothing of them is trained on"
    with pytest.raises(
        AlignmentError, match=f"the environment failed in 8 of 8 rollouts, most often because {urls[0]}"
    ):
        Scorer([Reward(kind="environment")]).judge(problems(8), made)


def test_check_names_what_cannot_work(tmp_path: Path) -> None:
    def told(**options: object) -> str:
        (problem,) = environment_faults(EnvironmentChoice.model_validate({"kind": "openenv", **options}))
        return problem

    assert "urls: Field required" in told()
    assert "write https://" in told(urls=["http://10.0.0.7:8000"])
    assert "does not answer GET /health" in told(urls=["http://127.0.0.1:9"])
    assert "it takes: kind, max_turns, urls, action" in told(urls=["http://127.0.0.1:9"], url="x")
