"""Judges that the runner serves: a server that is ended or hangs costs no verdict, and one that cannot be kept up is named."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from alignment.core.errors import StageFailed
from alignment.inference.vllm.server.judge import JudgeModel, judge_command
from alignment.inference.vllm.server.place import Place, free_port
from alignment.recipe.blocks.engine import VllmServerOptions
from alignment.recipe.blocks.judges import ServedJudge
from alignment.recipe.blocks.rewards import Reward
from alignment.rollout.judges import reward_options
from alignment.run.judges import served as judges
from alignment.run.judges.places import _placed
from alignment.run.judges.served import JudgeProcess, ServedJudges, served_name
from rewards import Rollout, Verdict
from rewards.kinds.judge.verifier import Judge

DOUBLE = str(Path(__file__).with_name("served_double.py"))


def served(folder: Path, command: list[str] | None = None, *, restarts: int = 3) -> tuple[ServedJudges, list[str]]:
    """A judge's process that is not started, and the list that what is said goes into."""
    said: list[str] = []
    port = free_port("127.0.0.1")
    process = JudgeProcess(
        name="small",
        served_as="small-judge",
        command=lambda: command or [sys.executable, DOUBLE, str(port)],
        address=f"http://127.0.0.1:{port}",
        key="secret-key",
        place=Place(cores=tuple(os.sched_getaffinity(0))),
        log=folder / "judge-small.log",
        patience_seconds=1.0,
        restarts=restarts,
    )
    return ServedJudges([process], {}, said.append), said


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers are probed often enough for a test."""
    monkeypatch.setattr(judges, "PROBED_EVERY_SECONDS", 0.2)
    monkeypatch.setattr(judges, "PROBE_SECONDS", 0.5)


def watched_until(up: ServedJudges, done: Callable[[], bool], seconds: float = 30.0) -> None:
    """Watch the servers as the runner does while a stage runs."""
    until = time.monotonic() + seconds
    while not done() and time.monotonic() < until:
        up.tick()
        time.sleep(0.05)
    assert done()


@pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP])
def test_a_server_that_ends_or_hangs_is_started_again_and_no_verdict_is_lost(
    fate: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up, said = served(tmp_path)
    with up:
        for name, value in up.environment().items():
            monkeypatch.setenv(name, value)
        options = reward_options(Reward(kind="judge", judge="small", timeout_seconds=20.0), tmp_path / "judgements")
        judge = Judge(**{name: one for name, one in options.items() if name not in ("kind", "weight", "gate")})
        watched_until(up, lambda: up.servers[0].answered is not None)
        first = up.servers[0].process
        assert first is not None
        os.kill(first.pid, fate)
        found: list[Verdict] = []
        rows = [Rollout("q", f"{'so ' * number}42", columns={"answer": "42"}) for number in range(20)]
        asking = threading.Thread(target=lambda: found.extend(judge.judge(rows)), daemon=True)
        asking.start()
        watched_until(up, lambda: not asking.is_alive())
        second = up.servers[0].process
        assert second is not None and second is not first
    assert [one.score for one in found] == [1.0] * 20
    how = "was killed by signal 9" if fate is signal.SIGKILL else "has not answered for"
    assert len(said) == 2 and how in said[1] and "the stage waits for it" in said[1]
    assert (first.poll(), second.poll() is not None) == (-9, True), "nothing is left running"
    assert (tmp_path / "judgements" / "judge.jsonl").read_text(encoding="utf-8").count("\n") == 20


def test_a_server_that_does_not_start_ends_the_stage_with_what_it_said(tmp_path: Path) -> None:
    broken = [sys.executable, "-c", "print('this model has no such layer'); raise SystemExit(3)"]
    up, _ = served(tmp_path, broken)
    with up, pytest.raises(StageFailed) as failed:
        watched_until(up, lambda: False)
    assert "the judge small ended with status 3 while it started" in str(failed.value)
    assert "this model has no such layer" in str(failed.value)


def test_a_server_that_ends_again_and_again_is_given_up_in_words(tmp_path: Path) -> None:
    up, said = served(tmp_path, restarts=1)
    with up, pytest.raises(StageFailed, match=r"after it was started again 1 times \(judges.small.restarts\)"):
        for _ in range(2):
            watched_until(up, lambda: up.servers[0].answered is not None)
            process = up.servers[0].process
            assert process is not None
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            up.tick()
    assert len(said) == 2


def test_a_judge_is_known_by_its_weights_and_served_with_a_key_on_loopback() -> None:
    assert served_name("small", ServedJudge(model="embedded")) == served_name("small", ServedJudge(model="embedded"))
    assert served_name("small", ServedJudge(model="a/b", revision="c")) == "small-a/b@c"
    options = VllmServerOptions(type="vllm_server")
    asked = judge_command(JudgeModel("small-1", "folder", 4096, options), Place(cores=(0, 1)), 8123)
    assert " ".join(asked).count("--host 127.0.0.1 --port 8123") == 1
    assert "alignment.inference.vllm.server.guard.KeyOnEveryRoute" in asked
    assert "--enable-scale-out" not in asked and "--weight-transfer-config" not in asked


def test_a_judge_takes_the_last_gpus_or_shares_where_its_memory_is_bounded() -> None:
    alone, bounded = (
        VllmServerOptions(type="vllm_server"),
        VllmServerOptions(type="vllm_server", gpu_memory_fraction=0.3),
    )
    assert _placed("small", alone, ["0", "1", "2"], 2) == (Place(gpus=("2",)), ["0", "1"])
    assert _placed("small", bounded, ["0"], 1) == (Place(gpus=("0",)), ["0"])
    with pytest.raises(StageFailed, match=r"write `gpu_memory_fraction` under judges\.small\.engine"):
        _placed("small", alone, ["0"], 1)
