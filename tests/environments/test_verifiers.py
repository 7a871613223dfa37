"""verifiers v1 servers: the harness asks, the sampler answers; the taskset's rewards are the score, and a lost server is none.

The server is a double of the protocol, and in the long tests the package's own, with its own harness.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from episodes import EPISODES, counted_in_a_run, evaluated, rolled_out, written
from episodes import adding as task_of
from guessing import PATIENCE_SECONDS, Server
from installed import VERIFIERS, python_with
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from alignment.core.errors import RecipeError
from alignment.core.resources import resource
from alignment.data.rows import Problem, user_turn
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.recipe.blocks.rewards import Reward
from alignment.rollout.environments.registry import environment_faults, open_environments
from alignment.rollout.environments.verifiers_v1 import outside
from alignment.rollout.scoring import Scorer
from replying_policy import Replies, rollouts
from smoke.processes import alignment

SERVERS = ["double", pytest.param("verifiers", marks=pytest.mark.long)]  # the package's own is installed first
HERE = Path(__file__).parent


@contextmanager
def server(which: str = "double", *arguments: str) -> Iterator[Server]:
    """A server in a process of its own, which answers. Skips the test where the package cannot be installed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    command = [sys.executable, str(HERE / "adding_double.py"), str(port), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    if which == "verifiers":
        python = python_with(VERIFIERS)
        command = [python, str(outside.__file__), "serve", "adding_verifiers", address]
        environment["PATH"] = os.pathsep.join((str(Path(python).parent), os.environ["PATH"]))  # of its harness
    process = subprocess.Popen(command, env=environment)
    found = Server(address, command, process)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while environment_faults(choice(address)):
            assert process.poll() is None and time.monotonic() < deadline, "the server did not start"
            time.sleep(0.1)
        yield found
    finally:
        found.kill()


def choice(*addresses: str, **options: object) -> EnvironmentChoice:
    return EnvironmentChoice.model_validate({"kind": "verifiers", "addresses": list(addresses), **options})


def problems(count: int, **more: object) -> list[Problem]:
    return [Problem(str(n), [user_turn("?")], "", columns={"task": task_of(n, **more)}) for n in range(count)]


def adding(text: str) -> str:
    """Asks the tool where there is one, and tells what it said; of 7 and 10 it tells something else."""
    own = text.rsplit("How much is", 1)[1]
    one, two = map(int, re.findall(r"\d+", own)[:2])
    if '"add"' in text and "tool_response" not in own:
        return f'<tool_call>\n{{"name": "add", "arguments": {{"one": {one}, "two": {two}}}}}\n</tool_call>'
    return "It is 1000." if one == 7 else f"It is {one + two}."


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(str(resource("data/base")))


@pytest.mark.parametrize("which", SERVERS)
def test_a_harness_asks_the_policy_and_the_tasksets_reward_is_the_score(
    which: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    engine = Replies(tokenizer, adding)
    with server(which) as found:
        made = rollouts(engine, problems(8), kind="verifiers", addresses=[found.url], sessions=4, max_turns=4)
    assert engine.most == 4, "no more episodes at one time than the server takes"
    assert [one.environment_reward for one in made] == [float(n != 7) for n in range(8)]
    assert {one.stop_reason for one in made} == {"end"} and not any(one.fault for one in made)
    first = made[0]
    assert first.opening.messages[-1]["content"] == "How much is 0 and 3?"
    if which == "double":
        assert first.opening.tools[0]["function"]["parameters"]["required"] == ["one", "two"]
        assert [one.text for one in first.turns if one.text == "3"], "what the tool said is in the prompt, without loss"


def test_a_rollout_that_is_cut_off_is_scored_as_it_stands_and_the_server_goes_on(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    with server() as found:
        cut = rollouts(Replies(tokenizer, adding), problems(2), kind="verifiers", addresses=[found.url], max_turns=1)
        whole = rollouts(Replies(tokenizer, adding), problems(2), kind="verifiers", addresses=[found.url], max_turns=2)
    assert [(one.stop_reason, one.environment_reward) for one in cut] == [("turns", 0.0)] * 2
    assert [(one.stop_reason, one.environment_reward) for one in whole] == [("end", 1.0)] * 2


@pytest.mark.parametrize("which", SERVERS)
def test_a_killed_server_loses_its_own_episodes_which_are_counted_and_the_others_go_on(
    which: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    count = 20 if which == "double" else 8  # of which the package starts a process each
    engine, asked = Replies(tokenizer, lambda text: adding(text).replace("1000", "17")), problems(count)
    with server(which) as first, server(which) as second:
        engine.before = lambda turns: second.kill() if turns == (9 if which == "double" else 1) else None
        urls = [first.url, second.url]
        made = rollouts(engine, asked, kind="verifiers", addresses=urls, sessions=2, max_turns=3, patience_seconds=5)
    lost = [one for one in made if one.stop_reason == "fault"]
    assert 1 <= len(lost) <= 2 and all(second.url in one.fault for one in lost), "those that were under way on it"
    judged = Scorer([Reward(kind="environment")]).judge(asked, made)
    assert sorted(one.total or 0.0 for one in judged) == [0.0] * len(lost) + [1.0] * (count - len(lost))
    assert all(one.total is None for one in judged if one.trajectory.fault), "unknown, and never zero"


def test_rl_and_an_evaluation_count_the_episodes_of_a_killed_server(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def played(first: Server, second: Server) -> tuple[Path, Replies]:
        engine = Replies(tokenizer, lambda text: adding(text).replace("1000", "17"))
        engine.before = lambda turns: second.kill() if turns == 9 else None
        asked = {"kind": "verifiers", "addresses": [first.url, second.url], "sessions": 2, "max_turns": 3}
        return written(tmp_path, {**asked, "patience_seconds": 5}, {"kind": "environment"}), engine

    with server() as first, server() as second:
        rolled = rolled_out(*played(first, second), monkeypatch)
    lost = sum(reward is None for reward in rolled.rewards)
    assert 1 <= lost <= 2 and all(reward is None or reward >= 1.0 for reward in rolled.rewards)
    assert rolled.figures["environment_fault_fraction"] == rolled.figures["unknown_fraction"] == lost / EPISODES
    with server() as first, server() as second:
        found = evaluated(*played(first, second), monkeypatch)
    assert 1 <= found.environment_faults <= 2
    assert (found.count, found.accuracy.value) == (EPISODES - found.environment_faults, 1.0)


@pytest.mark.long
def test_a_whole_run_goes_on_when_servers_are_killed_in_rl_and_in_an_evaluation(tmp_path: Path) -> None:
    with server() as first, server("double", "dies=4") as second, server("double", "dies_held=4") as third:
        urls = [one.url for one in (first, second, third)]
        asked = {"kind": "verifiers", "addresses": urls, "sessions": 2, "max_turns": 2, "patience_seconds": 5}
        path = written(tmp_path, asked, {"kind": "environment"}, taught=True)
        done = alignment("run", path, "--run", tmp_path / "run")
        assert done.returncode == 0, done.stderr
        assert all(one.process.poll() is not None for one in (second, third)), "killed in RL, and in an evaluation"
    counted_in_a_run(tmp_path / "run")


def test_a_conversation_that_the_harness_rewrites_is_a_fault_and_no_training_row(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    with server() as found:
        asked = problems(1, rewrites=True)
        (made,) = rollouts(Replies(tokenizer, adding), asked, kind="verifiers", addresses=[found.url], max_turns=4)
    assert made.stop_reason == "fault" and "rewrote the conversation" in made.fault


def test_check_names_what_cannot_work_and_a_row_without_a_task_is_refused() -> None:
    (far,) = environment_faults(choice("tcp://10.0.0.7:5000"))
    assert "write an address of this machine" in far
    with server() as found:
        assert environment_faults(choice(found.url)) == []
        with pytest.raises(RecipeError, match="no column `task`"):
            open_environments(choice(found.url)).new().reset(Problem("p", [user_turn("?")], ""))


@pytest.mark.long
def test_a_tasksets_rows_are_written_by_the_package_itself() -> None:
    command = [python_with(VERIFIERS), str(outside.__file__), "rows", "adding_verifiers", "3"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(HERE)}, capture_output=True, text=True, check=True
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["question"] for one in found] == [f"How much is {n} and {n + 3}?" for n in range(3)]
    assert [(one["task"]["one"], one["task"]["two"]) for one in found] == [(n, n + 3) for n in range(3)]
