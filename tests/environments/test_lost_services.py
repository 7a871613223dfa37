"""20 episodes through RL and evaluation whose server is killed midway: TRL's classes, and a reward over HTTP.

A class cannot begin an episode again, so it is counted as a fault; a verdict is asked for again, so that a service that is
started again costs nothing, and one that stays away leaves verdicts unknown. Neighbour: test_environment_faults.py (OpenEnv).
"""

from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import httpx
import pytest
from episodes import EPISODES, evaluated, rolled_out, written
from guessing import Server, kept_up, next_guess, server
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from alignment.checks.recipe import checked
from alignment.core.errors import RecipeError
from alignment.core.resources import resource
from alignment.records.evaluation import EvaluationRecord
from alignment.records.metrics import MetricsRow
from alignment.records.rollout import RolloutRow
from alignment.records.run_folder import RunFolder
from alignment.rollout.environments.own_faults import reached_nobody
from replying_policy import Replies
from smoke.processes import alignment

GAME = '''
import itertools
import {client}

TURN = itertools.count()


def get(url, **asked):
    address = url + "?" + "&".join(f"{{name}}={{value}}" for name, value in asked.items())
    return {get}


class Game:
    def __init__(self, urls: list[str]):
        self.urls = urls

    def reset(self, number, **row):
        self.number, self.said = number, -1
        first = next(TURN) % len(self.urls)
        for url in self.urls[first:] + self.urls[:first]:
            try:
                get(url + "/begin")
                self.url = url
                return None
            except {lost}:
                continue
        raise ConnectionError("no server is left")

    def guess(self, number: int) -> str:
        """
        Guess the number.

        Args:
            number: The number.
        """
        self.said = number
        return get(self.url + "/guess", number=self.number, guess=number)

    def get_reward(self) -> float:
        return float(get(self.url + "/score", number=self.number, guess=self.said))
'''
CLIENTS = {
    "urllib": {
        "client": "urllib.request",
        "get": "urllib.request.urlopen(address, timeout=20).read().decode()",
        "lost": "OSError",
    },
    "httpx": {"client": "httpx", "get": "httpx.get(address, trust_env=False).text", "lost": "httpx.TransportError"},
    "requests": {
        "client": "requests",
        "get": "requests.get(address, timeout=20).text",
        "lost": "requests.RequestException",
    },
}


def guess(text: str) -> str:
    own = text.rsplit("Find the number.", 1)[1]
    if "right" in own:
        return "Found."
    return f'<tool_call>\n{{"name": "guess", "arguments": {{"number": {next_guess(own)}}}}}\n</tool_call>'


def game(folder: Path, client: str, *servers: Server) -> Path:
    """A recipe whose environment is a class that asks servers by a client."""
    (folder / "game.py").write_text(GAME.format(**CLIENTS[client]), encoding="utf-8")
    asked = {"kind": "game.py:Game", "urls": [one.url for one in servers], "max_turns": 6}
    return written(folder, asked, {"kind": "environment"})


def verified(one: Server, **changes: Any) -> dict[str, Any]:
    return {"kind": "http_verify", "url": one.url, **changes}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(str(resource("data/base")))


@pytest.mark.parametrize("client", list(CLIENTS))
def test_rl_counts_the_episodes_of_a_class_that_lost_its_server(
    client: str, tmp_path: Path, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(client)
    engine = Replies(tokenizer, guess)
    with server("http") as first, server("http") as second:
        engine.before = lambda turns: second.kill() if turns == EPISODES + 5 else None
        rolled = rolled_out(game(tmp_path, client, first, second), engine, monkeypatch)
    lost = sum(reward is None for reward in rolled.rewards)
    assert len(rolled.rows) == EPISODES and 1 <= lost <= EPISODES / 2
    assert all(reward is None or reward >= 1.0 for reward in rolled.rewards), "no episode was taken for a wrong one"
    assert rolled.figures["environment_fault_fraction"] == rolled.figures["unknown_fraction"] == lost / EPISODES


def test_check_tries_a_class_with_a_row_of_its_own_and_names_a_server_that_is_gone(tmp_path: Path) -> None:
    with server("http") as first:
        path = game(tmp_path, "urllib", first)
        assert checked(path, []).recipe.name == "guessing", (
            "its reset asks for the column `number`, which the rows have"
        )
    with pytest.raises(RecipeError) as refused:
        checked(path, [])
    assert str(refused.value).count("reset reached nobody (ConnectionError: no server is left)") == 2


def test_a_page_that_is_not_there_is_an_answer_and_no_lost_server() -> None:
    assert reached_nobody(URLError(ConnectionRefusedError())) and reached_nobody(httpx.ReadTimeout("late"))
    answered = HTTPError("http://127.0.0.1/page", 404, "Not Found", Message(), None)
    assert not any(map(reached_nobody, (answered, URLError("no such host"), httpx.InvalidURL("?"), ValueError("7"))))


def test_an_evaluation_counts_them_apart_from_wrong_answers(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Replies(tokenizer, guess)
    with server("http") as first, server("http") as second:
        engine.before = lambda turns: second.kill() if turns == EPISODES + 5 else None
        found = evaluated(game(tmp_path, "urllib", first, second), engine, monkeypatch)
    assert 1 <= found.environment_faults <= EPISODES / 2
    assert (found.count, found.accuracy.value) == (EPISODES - found.environment_faults, 1.0)


def test_verdicts_of_a_service_that_is_started_again_are_asked_for_again(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Replies(tokenizer, lambda text: "Is it 3?")
    with server("http", 1, "dies=12") as one, kept_up(one):
        path = written(tmp_path, {"kind": "single_turn"}, verified(one, retries=6))
        rolled = rolled_out(path, engine, monkeypatch)
        assert one.deaths >= 1
    assert all(reward is not None for reward in rolled.rewards) and rolled.figures["unknown_fraction"] == 0.0
    assert 1 <= sum(reward is not None and reward >= 1.0 for reward in rolled.rewards) <= EPISODES / 2


def test_verdicts_of_a_service_that_stays_away_are_unknown_in_rl_and_in_an_evaluation(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Replies(tokenizer, lambda text: "Is it 3?")
    with server("http", 1, "dies=13") as one:
        path = written(tmp_path, {"kind": "single_turn"}, verified(one, retries=0, concurrency=1))
        rolled = rolled_out(path, engine, monkeypatch)
    assert sum(reward is None for reward in rolled.rewards) == 8 and rolled.figures["unknown_fraction"] == 8 / EPISODES
    with server("http", 1, "dies=13") as one:
        path = written(tmp_path, {"kind": "single_turn"}, verified(one, retries=0, concurrency=1))
        found = evaluated(path, engine, monkeypatch)
    assert (found.count, found.unknown, found.environment_faults) == (EPISODES - 8, 8, 0)


@pytest.mark.long
def test_a_whole_run_counts_the_episodes_of_a_class_that_lost_its_server(tmp_path: Path) -> None:
    with (
        server("http") as first,
        server("http", 1, "dies=6") as second,
    ):
        done = alignment("run", game(tmp_path, "urllib", first, second), "--run", tmp_path / "run")
        assert done.returncode == 0, done.stderr
        assert second.process.poll() is not None, "it was killed"
    folder = RunFolder.open(tmp_path / "run").find("rl")
    rows = list(RolloutRow.read_lines(folder.rollouts))
    told = [row.figures.get("environment_fault_fraction") or 0.0 for row in MetricsRow.read_lines(folder.metrics)]
    in_rl = sum(row.stop_reason == "fault" for row in rows)
    assert len(rows) == EPISODES and round(sum(told) * EPISODES / 2) == in_rl
    found = EvaluationRecord.read(folder.evaluations / "non_thinking.json").figures
    assert found.count + found.environment_faults == EPISODES and 1 <= in_rl + found.environment_faults <= EPISODES / 2


@pytest.mark.long
def test_a_whole_run_loses_no_verdict_of_a_service_that_is_killed_again_and_again(tmp_path: Path) -> None:
    with server("http", 1, "dies=12") as one, kept_up(one):
        path = written(tmp_path, {"kind": "single_turn"}, verified(one, retries=6))
        done = alignment("run", path, "--run", tmp_path / "run")
        assert done.returncode == 0, done.stderr
        assert one.deaths >= 3
    folder = RunFolder.open(tmp_path / "run").find("rl")
    rows = list(RolloutRow.read_lines(folder.rollouts))
    assert len(rows) == EPISODES and all(row.reward is not None for row in rows)
    found = EvaluationRecord.read(folder.evaluations / "non_thinking.json").figures
    assert (found.count, found.unknown) == (EPISODES, 0)
