"""A server's engine is a process of its own, which vLLM leaves behind if the server is killed: it ends with its server here.

The servers are small programs that start a child, as vLLM's API server starts its engine; what starts and ends them is
the real code.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from alignment.core.resources import resource
from alignment.inference.engine import EngineSettings
from alignment.inference.vllm.server import launch
from alignment.inference.vllm.server.launch import LaunchedServer
from alignment.inference.vllm.server.place import Place
from alignment.recipe.blocks.engine import engine_options
from alignment.run.judges.served import JudgeProcess, ServedJudges

REPOSITORY = Path(__file__).parents[2]
PLACE = Place(cores=tuple(os.sched_getaffinity(0)))
# An engine that still imports: it has not yet asked to end with its server.
ENGINE = """
import os, sys, time
from pathlib import Path
Path(sys.argv[1]).write_text(str(os.getpid()))
time.sleep(float(sys.argv[2]))
from alignment.core.process import die_with_parent
die_with_parent()
Path(sys.argv[1] + "-ready").write_text("it went on")
time.sleep(60)
"""
SERVER = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ENGINE!r}, *sys.argv[1:3]])"


def gone(process: int, seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def written(file: Path) -> str:
    until = time.monotonic() + 30
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < until, f"{file.name} was not written"
        time.sleep(0.02)
    return file.read_text()


def judge(folder: Path, starting_seconds: float) -> JudgeProcess:
    command = [sys.executable, "-c", SERVER, str(folder / "engine"), str(starting_seconds)]
    return JudgeProcess("small", "small-1", lambda: command, "http://127.0.0.1:9", "key", PLACE, folder / "log", 60, 3)


def judges_server(folder: Path, starting_seconds: float) -> tuple[int, Callable[[], None]]:
    """A judge's server: its process, and what the runner does next."""
    up = ServedJudges([one := judge(folder, starting_seconds)], {}, lambda _: None)
    up.__enter__()
    assert one.process is not None
    return one.process.pid, lambda: up.__exit__(None, None, None)


def rollout_server(folder: Path, starting_seconds: float) -> tuple[int, Callable[[], None]]:
    settings = EngineSettings(str(resource("data/base")), 64, (2,), 0, engine_options("vllm_server"))
    launched = LaunchedServer(settings, PLACE, "key", folder / "log")
    return launched.process.pid, launched.end


@pytest.mark.parametrize("started", [judges_server, rollout_server])
@pytest.mark.parametrize("fate", [None, signal.SIGKILL], ids=["ended", "killed"])
def test_an_engine_that_is_still_starting_does_not_outlive_its_server(
    started: Callable[[Path, float], tuple[int, Callable[[], None]]],
    fate: signal.Signals | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = [sys.executable, "-c", SERVER, str(tmp_path / "engine"), "30"]
    monkeypatch.setattr(launch, "command", lambda *_: asked)
    server, end = started(tmp_path, 30.0)
    engine = int(written(tmp_path / "engine"))
    if fate is not None:
        os.kill(server, fate)
    end()
    assert gone(server) and gone(engine, 2.0)


def test_a_server_that_was_killed_is_started_again_without_its_old_engine(tmp_path: Path) -> None:
    up = ServedJudges([one := judge(tmp_path, 30.0)], {}, lambda _: None)
    with up:
        first = int(written(tmp_path / "engine"))
        (tmp_path / "engine").unlink()
        assert one.process is not None
        one.answered = time.monotonic()  # it had come up
        os.kill(one.process.pid, signal.SIGKILL)
        while one.started_again == 0:
            up.tick()
        assert gone(first, 2.0), "its memory is free before the new one takes as much"
        second = int(written(tmp_path / "engine"))
        assert not gone(second, 0.1)
    assert gone(second, 2.0)


def test_an_engine_ends_where_the_whole_run_was_killed_while_it_started(tmp_path: Path) -> None:
    """Nobody is left to end it: it sees, as it asks to end with its server, that this is gone."""
    command = [sys.executable, "-c", SERVER, str(tmp_path / "engine"), "1"]
    run = (
        "import os, time; from pathlib import Path\n"
        "from alignment.inference.vllm.server.place import Place\nfrom alignment.run.judges.served import JudgeProcess\n"
        f"place = Place(cores=tuple(os.sched_getaffinity(0)))\nlog = Path({str(tmp_path / 'log')!r})\n"
        f"JudgeProcess('small', 'small-1', lambda: {command!r}, 'http://127.0.0.1:9', 'key', place, log, 60, 3).start()\n"
        "time.sleep(60)"
    )
    runner = subprocess.Popen([sys.executable, "-c", run], cwd=REPOSITORY)
    engine = int(written(tmp_path / "engine"))
    runner.kill()
    runner.wait()
    assert gone(engine)
    assert not (tmp_path / "engine-ready").exists()
