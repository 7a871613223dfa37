"""The machines of a run find each other in the run directory, end together, and say which of them failed and why."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alignment.core.errors import StageFailed
from alignment.records.machines import FirstMachine
from alignment.run.machines.first import Machines, first_file, join_line
from alignment.run.processes import Ended
from hosts.joining import NOT_STARTED

JOINING = Path(__file__).with_name("joining.py")
SHOWN = "import os; print(os.environ['STAGE'], os.environ['PLACE'])"
ENDLESS = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
Join = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def join(tmp_path: Path) -> Iterator[Join]:
    """Starts a second machine whose ranks are a Python program; what still runs is ended."""
    started: list[subprocess.Popen[str]] = []

    def joined(program: str = SHOWN, *, machine: int = 1, seconds: float = 20) -> "subprocess.Popen[str]":
        command = [sys.executable, JOINING, tmp_path, machine, seconds, sys.executable, "-c", program]
        started.append(
            subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
        return started[-1]

    yield joined
    for process in started:
        process.kill()
        process.wait()


def first(run: Path, **patience: float) -> Machines:
    return Machines(run, ("127.0.0.1", "other"), "127.0.0.1", **patience)


def ticking(machines: Machines, until: Callable[[], bool], seconds: float = 20) -> None:
    """What the first machine does while its own ranks run."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "it never came so far"
        machines.tick()
        time.sleep(0.05)


def log(run: Path) -> str:
    path = run / "machines/1-01.log"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def test_another_machine_runs_its_ranks_of_a_stage_and_ends_with_the_run(tmp_path: Path, join: Join) -> None:
    machines, other = first(tmp_path), join()
    machines.wait()
    place = machines.begin("cold_start", offline=True)
    assert (place.machine, place.machines) == (0, 2)
    ticking(machines, lambda: "cold_start 1 of 2 at 127.0.0.1" in log(tmp_path))
    machines.end(Ended(0, False, 1.0))
    machines.close()
    said, _ = other.communicate(timeout=20)
    assert other.returncode == 0 and "joined" in said and "the run is over" in said


def test_what_fails_on_another_machine_is_said_on_the_first_with_its_words(tmp_path: Path, join: Join) -> None:
    machines = first(tmp_path)
    join("print('error: no GPU is left'); raise SystemExit(1)")
    machines.wait()
    machines.begin("cold_start", offline=True)
    with pytest.raises(StageFailed, match=r"(?s)machine 1 \(other\) failed in stage cold_start .*no GPU is left"):
        ticking(machines, lambda: False)


def test_a_machine_that_cannot_start_its_ranks_says_why(tmp_path: Path, join: Join) -> None:
    machines, other = first(tmp_path), join("no interface faces the first machine", machine=1)
    machines.wait()
    machines.begin(NOT_STARTED, offline=True)
    with pytest.raises(StageFailed, match="no interface faces the first machine"):
        ticking(machines, lambda: False)
    assert other.wait(20) == 1


def test_ranks_that_lost_another_machines_say_why_that_one_failed(tmp_path: Path, join: Join) -> None:
    machines = first(tmp_path)
    join("print('error: the disk is full'); raise SystemExit(1)")
    machines.wait()
    machines.begin("cold_start", offline=True)
    while "the disk is full" not in log(tmp_path):
        time.sleep(0.05)
    with pytest.raises(StageFailed, match="the disk is full"):
        machines.end(Ended(1, False, 1.0))  # gloo: connection closed by peer


def test_a_machine_that_is_not_heard_of_is_named_and_what_to_type_there(tmp_path: Path, join: Join) -> None:
    machines, other = first(tmp_path, patience_seconds=2), join(ENDLESS)
    machines.wait()
    machines.begin("cold_start", offline=True)
    ticking(machines, lambda: bool(log(tmp_path)))
    os.kill(other.pid, signal.SIGKILL)
    with pytest.raises(StageFailed, match=r"(?s)machine 1 \(other\) has not been heard of .*alignment.cli join"):
        ticking(machines, lambda: False)


def test_ranks_end_when_the_first_machine_is_gone(tmp_path: Path, join: Join) -> None:
    machines, other = first(tmp_path), join(ENDLESS, seconds=3)
    machines.wait()
    machines.begin("cold_start", offline=True)
    ticking(machines, lambda: bool(log(tmp_path)))
    said, _ = other.communicate(timeout=20)  # nobody ticks any more
    assert other.returncode == 1 and "the first machine has not been heard of" in said
    assert not Path(f"/proc/{int(log(tmp_path))}").exists()


def test_a_run_that_is_started_again_is_joined_by_the_machines_that_wait(tmp_path: Path, join: Join) -> None:
    machines, other = first(tmp_path), join()
    machines.wait()
    again = first(tmp_path)
    again.wait()
    again.begin("fusion", offline=True)
    ticking(again, lambda: "fusion 1 of 2" in log(tmp_path))
    again.close()
    assert other.wait(20) == 0


def test_a_directory_that_is_not_shared_is_said_on_both_sides(tmp_path: Path, join: Join) -> None:
    with pytest.raises(StageFailed) as absent:
        first(tmp_path / "elsewhere", join_seconds=0.3).wait()
    assert join_line(tmp_path / "elsewhere", 1) in str(absent.value) and "file system" in str(absent.value)
    said, _ = join(seconds=0.3).communicate(timeout=20)
    assert "0.json is not there" in said and "a file system that both share" in said


def test_what_an_earlier_run_left_is_not_joined(tmp_path: Path, join: Join) -> None:
    first(tmp_path)  # and nobody ticks
    said, _ = join(seconds=1.5).communicate(timeout=20)
    assert "0.json does not change" in said


def test_a_machine_with_other_packages_is_refused(tmp_path: Path, join: Join) -> None:
    machines, other = first(tmp_path), join()
    changed = json.loads(first_file(tmp_path).read_text(encoding="utf-8"))
    changed["versions"]["torch"] = "1.0"
    for beat in range(2, 200):
        first_file(tmp_path).write_text(json.dumps({**changed, "beat": beat}), encoding="utf-8")
        if other.poll() is not None:
            break
        time.sleep(0.1)
    said = other.communicate()[0]
    assert other.returncode == 1 and "torch" in said and "(there 1.0)" in said
    assert FirstMachine.read(first_file(tmp_path)).token == machines._said.token
