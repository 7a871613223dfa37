"""Parts of the sandbox by themselves: the directory that programs share, the judge's channel, the moved machine code."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rewards.sandbox.channel import Channel, OutputLimit, TimedOut
from rewards.sandbox.inside import scratch, wire

MOVES_ITS_CODE = """
import ast, json
from rewards.sandbox.inside import huge_pages

begin, end = huge_pages._read_only_part()
before = open("/proc/self/maps").read()
moved = huge_pages.move_code()
lines = [line.split() for line in open("/proc/self/maps")]
own = [one for one in lines if one[1] == "r-xp" and one[4] == "0" and len(one) == 5]
inside = [one for one in own if begin <= int(one[0].split("-")[0], 16) < end]
assert bool(inside) == moved, (moved, own)
assert json.loads(json.dumps(sorted(str(one) for one in range(10_000))))[1] == "1"
assert eval(compile(ast.parse("sum(x * x for x in range(1000))", mode="eval"), "", "eval")) == 332833500
print(moved)
"""


def leave_a_file(path: Path) -> None:
    (path / "message").write_text("x")


def leave_a_file_and_its_time(path: Path) -> None:
    leave_a_file(path)
    os.utime(path, ns=(0, 0))


def leave_a_tree(path: Path) -> None:
    (path / "a" / "b").mkdir(parents=True)
    leave_a_file(path / "a" / "b")


def leave_a_time(path: Path) -> None:
    os.utime(path, ns=(0, 12345))


def touch_and_remove(path: Path) -> None:
    leave_a_file(path)
    (path / "message").unlink()


@pytest.mark.parametrize(
    "leave", [leave_a_file, leave_a_file_and_its_time, leave_a_tree, leave_a_time, touch_and_remove]
)
@pytest.mark.parametrize("rested", [False, True])
def test_nothing_of_one_program_is_there_for_the_next(
    tmp_path: Path, leave: Callable[[Path], None], rested: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "_TICK_NS", 50_000_000)
    directory = scratch.Scratch(str(tmp_path))
    if rested:  # long enough for its time of change to say whether anything was done to it
        time.sleep(0.1)
        assert directory.clean() and directory.clean()
    for _ in range(3):
        leave(tmp_path)
        assert directory.clean()
        assert list(tmp_path.iterdir()) == [] and tmp_path.stat().st_mtime_ns == 0


@pytest.mark.parametrize("rested", [False, True])
def test_a_directory_whose_mode_was_changed_is_given_up(
    tmp_path: Path, rested: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "_TICK_NS", 50_000_000)
    directory = scratch.Scratch(str(tmp_path))
    if rested:
        time.sleep(0.1)
        assert directory.clean()
    tmp_path.chmod(0o741)
    assert not directory.clean()


def test_frames_come_out_one_by_one_however_they_arrive() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = Channel(ours, most_bytes=100)
        messages = [wire.frame({"value": number}) for number in range(3)]
        theirs.sendall(b"".join(messages) + messages[0][:5])
        for message in messages:
            assert channel.receive(time.monotonic() + 1) == message[wire.HEADER.size :]
        with pytest.raises(TimedOut):
            channel.receive(time.monotonic() + 0.01)
        theirs.sendall(messages[0][5:])
        assert channel.receive(time.monotonic() + 1) == messages[0][wire.HEADER.size :]


def test_what_is_announced_as_too_long_ends_the_channel_after_what_came_before() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = Channel(ours, most_bytes=100)
        theirs.sendall(wire.frame({"value": 1}) + wire.HEADER.pack(101) + b"x" * 200)
        assert channel.receive(time.monotonic() + 1) == b'{"value": 1}'
        for _ in range(2):
            with pytest.raises(OutputLimit):
                channel.receive(time.monotonic() + 1)


def test_an_interpreter_goes_on_after_its_code_has_moved() -> None:
    done = subprocess.run([sys.executable, "-c", MOVES_ITS_CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("True", "False")


def test_the_warm_interpreter_loads_random_itself_so_that_no_forked_process_seeds_it() -> None:
    """What `random` asks for at every fork costs a program more than its fork does."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import inside.zygote; print('random' in sys.modules)"
    home = Path(wire.__file__).parents[1]
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, str(home)], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
