"""A fork of a process with the libraries imported is what a new interpreter would be."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from alignment.recipe.blocks.hardware import Hardware
from alignment.run.forks.server import SHARED
from alignment.run.forks.start import Fork, Forks
from alignment.run.process_environment import environment
from alignment.run.processes import end_tree, run, training_command

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
MODULE = "said_by_a_fork"
# Says what it sees, then does what its argument says.
SAYS = """
import atexit, json, os, signal, sys, time

def main(act: str) -> None:
    atexit.register(print, "at the end")
    print(json.dumps({"env": dict(os.environ), "folder": os.getcwd(), "argv": sys.argv, "path": sys.path[0],
                      "session": os.getsid(0), "process": os.getpid(), "forked": "a_mark" in sys.modules}), flush=True)
    if act == "sleep":
        time.sleep(60)
    if act == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(int(act))

if __name__ == "__main__":
    from alignment.core.entry import run_child
    run_child(main)
"""

# Says on which cores each of its threads may run, once two compute.
COMPUTES = """
import json, os, sys

forked = "torch" in sys.modules

def main() -> None:
    import torch
    torch.randn(600, 600) @ torch.randn(600, 600)
    cores = [sorted(os.sched_getaffinity(int(thread))) for thread in os.listdir("/proc/self/task")]
    print(json.dumps({"forked": forked, "cores": cores}), flush=True)

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def forks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forks]:
    """In a folder with a module that says what it sees; `a_mark` is imported only by what forks."""
    (tmp_path / f"{MODULE}.py").write_text(SAYS)
    (tmp_path / "a_mark.py").write_text("print('not an answer')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    with closing(Forks(("a_mark",), (MODULE,))) as opened:
        yield opened


def env(**more: str) -> dict[str, str]:
    return {**os.environ, "CUDA_VISIBLE_DEVICES": "", **more}


def said(forks: Forks, act: str, **more: str) -> tuple[int, dict[str, object], str]:
    """Exit status, what the module saw, and what came after it."""
    log = Path("log")
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", MODULE, act]
    ended = run(command, log=log, progress=Path("p"), env=env(**more), on_tick=lambda: None, start=forks.start)
    first, _, rest = log.read_text().partition("\n")
    return ended.exit_status, json.loads(first), rest


def gone(*pids: str) -> bool:
    """Whether processes end within ten seconds."""
    until = time.monotonic() + 10
    while any(Path(f"/proc/{one}").exists() for one in pids) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(Path(f"/proc/{one}").exists() for one in pids)


@pytest.mark.parametrize(("act", "status"), [("0", 0), ("3", 3), ("kill", -signal.SIGKILL)])
def test_a_forks_exit_status_comes_back(forks: Forks, act: str, status: int) -> None:
    assert said(forks, act)[0] == status


def test_a_fork_sees_what_a_new_interpreter_sees(forks: Forks) -> None:
    status, seen, rest = said(forks, "0", ALIGNMENT_SAYS="first")
    assert (status, rest) == (0, "at the end\n")
    again = said(forks, "0", ALIGNMENT_SAYS="second")[1]
    plain = said(Forks((), ()), "0", ALIGNMENT_SAYS="second")[1]
    assert (seen["forked"], again["forked"], plain["forked"]) == (True, True, False)
    for name in ("env", "folder", "argv", "path"):
        assert again[name] == plain[name]
    assert again["session"] == again["process"] != seen["process"]


def test_where_imports_could_differ_it_is_a_new_interpreter(forks: Forks) -> None:
    assert said(forks, "0")[1]["forked"]
    assert not said(forks, "0", HF_HOME="elsewhere")[1]["forked"]
    assert not said(forks, "0", CUDA_VISIBLE_DEVICES="0")[1]["forked"]


def test_where_the_libraries_cannot_be_imported_it_is_a_new_interpreter() -> None:
    with closing(Forks(("no_such_module",))) as forks:
        started = forks.start([sys.executable, "-m", "alignment.run.stage", "--help"], env(), Path(os.devnull))
        assert not isinstance(started, Fork)
        end_tree(started)


def test_a_fork_ends_with_what_started_it(forks: Forks) -> None:
    started = forks.start([sys.executable, "-m", MODULE, "sleep"], env(), Path("log"))
    assert isinstance(started, Fork)
    forks.close()
    assert gone(str(started.pid))
    assert started.poll() == -signal.SIGKILL


def started_elsewhere(says: str) -> tuple["subprocess.Popen[str]", str]:
    """Another process that started a fork, and what it says of it."""
    code = (
        "import os, sys, time\nfrom pathlib import Path\nfrom alignment.run.forks.start import Forks\n"
        f"forks = Forks(('a_mark',), ({MODULE!r},))\n"
        f"fork = forks.start([sys.executable, '-m', {MODULE!r}, 'sleep'], dict(os.environ), Path('log'))\n"
        f"print({says}, flush=True)\ntime.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], env=env(), stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    return parent, parent.stdout.readline().strip()


@pytest.mark.usefixtures("forks")
def test_a_killed_run_leaves_neither_fork_nor_server() -> None:
    parent, pids = started_elsewhere("fork.pid, forks._server.process.pid")
    parent.kill()
    parent.wait()
    assert len(pids.split()) == 2 and gone(*pids.split())


@pytest.fixture
def listening(forks: Forks, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that forks for everybody, in the environment of these tests."""
    command = [sys.executable, "-m", "alignment.run.forks.server", "--listen", "socket", "a_mark"]
    with subprocess.Popen(command, env=env()) as server:
        monkeypatch.setenv(SHARED, str(Path("socket").resolve()))
        until = time.monotonic() + 30
        while not Path("socket").exists() and time.monotonic() < until:
            time.sleep(0.02)
        yield
        server.kill()


@pytest.mark.usefixtures("listening")
def test_a_server_that_somebody_else_started_forks_for_several_at_once() -> None:
    with closing(Forks(("a_mark",), (MODULE,))) as one, closing(Forks(("a_mark",), (MODULE,))) as other:
        sleeping = one.start([sys.executable, "-m", MODULE, "sleep"], env(), Path("log"))
        status, seen, _ = said(other, "3")
        assert (status, seen["forked"]) == (3, True)
        assert sleeping.poll() is None
    assert gone(str(sleeping.pid)), "with the run that asked for it"


@pytest.mark.usefixtures("listening")
def test_where_it_imported_too_little_a_run_has_its_own() -> None:
    with closing(Forks(("a_mark", "colorsys"), (MODULE,))) as forks:
        assert said(forks, "0")[1]["forked"]


@pytest.mark.usefixtures("listening")
def test_a_killed_run_leaves_no_fork_of_a_server_that_goes_on() -> None:
    parent, pid = started_elsewhere("fork.pid")
    parent.kill()
    parent.wait()
    assert gone(pid)


def test_a_fork_has_the_environment_that_accelerates_launcher_gives(tmp_path: Path, forks: Forks) -> None:
    hardware = Hardware(accelerate="cpu")
    wanted = {**environment(hardware, offline=False), "PYTHONPATH": os.environ["PYTHONPATH"]}
    command = [MODULE if part == "alignment.run.stage" else part for part in training_command(hardware, ["0"])]
    seen = []
    for start in (Forks(("a_mark",), (MODULE,)), Forks((), ())):
        with closing(start):
            run(command, log=Path("log"), progress=Path("p"), env=wanted, on_tick=lambda: None, start=start.start)
        seen.append(json.loads(Path("log").read_text().partition("\n")[0]))
        Path("log").unlink()
    assert [one["forked"] for one in seen] == [True, False]
    assert seen[0]["env"] == seen[1]["env"] and "ACCELERATE_MIXED_PRECISION" in seen[0]["env"]
    assert seen[0]["argv"] == seen[1]["argv"]


def test_every_thread_of_a_fork_may_run_on_every_core(tmp_path: Path, forks: Forks) -> None:
    """Intel's OpenMP, unasked, binds each to one, the main threads of all forks to the first."""
    (tmp_path / "computes.py").write_text(COMPUTES)
    wanted = {**environment(Hardware(), offline=True), "OMP_NUM_THREADS": "2", "PYTHONPATH": os.environ["PYTHONPATH"]}
    log = tmp_path / "log"
    with closing(Forks(("torch",), ("computes",))) as start:
        run(
            [sys.executable, "-m", "computes"],
            log=log,
            progress=Path("p"),
            env=wanted,
            on_tick=lambda: None,
            start=start.start,
        )
    seen = json.loads(log.read_text())
    assert seen["forked"] and len(seen["cores"]) > 1
    assert all(one == sorted(os.sched_getaffinity(0)) for one in seen["cores"])
