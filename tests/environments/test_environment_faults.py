"""20 episodes of OpenEnv servers through RL and evaluation, with a server killed midway: counted, and none lost.

The short tests play with a scripted engine; the long one runs a recipe, on the embedded model, in the processes of a run.
Neighbour: test_lost_services.py (the other forms).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from episodes import EPISODES, counted_in_a_run, evaluated, rolled_out, written
from guessing import Server, next_guess, server
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from alignment.core.resources import resource
from replying_policy import Replies
from smoke.processes import alignment

REWARD = {"kind": "environment"}


def guess(text: str) -> str:
    number = next_guess(text.rsplit("Find the number.", 1)[1])
    return f'<tool_call>\n{{"name": "act", "arguments": {{"guess": {number}}}}}\n</tool_call>'


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(str(resource("data/base")))


def environment(*servers: Server, **changes: Any) -> dict[str, Any]:
    """Two sessions of each server."""
    urls = [one.url for one in servers]
    return {"kind": "openenv", "urls": urls, "sessions": 2, "max_turns": 5, "patience_seconds": 5, **changes}


@pytest.fixture
def two() -> Iterator[tuple[Server, Server]]:
    with server(sessions=2) as first, server(sessions=2) as second:
        yield first, second


def test_rl_counts_the_episodes_of_a_killed_server_and_trains_on_the_others(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, two: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Replies(tokenizer, guess)
    engine.before = lambda turns: two[1].kill() if turns == 9 else None
    rolled = rolled_out(written(tmp_path, environment(*two), REWARD), engine, monkeypatch)
    lost = [place for place, reward in enumerate(rolled.rewards) if reward is None]
    assert len(rolled.rows) == EPISODES and 1 <= len(lost) <= 2
    assert all(reward is not None and reward >= 1.0 for place, reward in enumerate(rolled.rewards) if place not in lost)
    assert rolled.figures["environment_fault_fraction"] == rolled.figures["unknown_fraction"] == len(lost) / EPISODES


def test_an_evaluation_counts_them_apart_from_wrong_answers(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, two: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Replies(tokenizer, guess)
    engine.before = lambda turns: two[1].kill() if turns == 9 else None
    found = evaluated(written(tmp_path, environment(*two), REWARD), engine, monkeypatch)
    assert 1 <= found.environment_faults <= 2
    assert (found.count, found.unknown) == (EPISODES - found.environment_faults, found.environment_faults)
    assert found.accuracy.value == 1.0 and found.truncated_fraction == 0.0, "what is lost is not wrong, and not cut off"
    assert found.tasks[0].unknown == found.environment_faults


@pytest.mark.long
def test_a_whole_run_goes_on_when_servers_are_killed_in_rl_and_in_an_evaluation(tmp_path: Path) -> None:
    with (
        server("double", 2, "text") as first,
        server("double", 2, "text", "dies=4") as second,
        server("double", 2, "text", "dies_held=4") as third,
    ):
        asked = environment(first, second, third, action="text", max_turns=2, patience_seconds=60)
        done = alignment("run", written(tmp_path, asked, REWARD, taught=True), "--run", tmp_path / "run")
        assert done.returncode == 0, done.stderr
        assert all(one.process.poll() is not None for one in (second, third)), "killed in RL, and in an evaluation"
    counted_in_a_run(tmp_path / "run")
