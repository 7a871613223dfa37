"""The sandbox as a whole: whoever is killed, no program is lost; nothing outlives it; programs see nothing of another."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import pytest
from attacks import left_behind, world

from process_tree import descendants
from rewards.sandbox import Calls, Examination, IsolationUnavailable, Limits, Sandbox, StandardStreams
from rewards.sandbox.inside import wire
from rewards.sandbox.plain import call, plain_asserts, plain_check
from rewards.sandbox.workers import WAITING_PER_WORKER

HERE = Path(__file__).parent


def calls(program: str, *expected: object, name: str = "f") -> Examination:
    """A program whose f() has to return these values, one after the other."""
    return Examination((program,), Calls(tuple(call(name, [], {}, one) for one in expected)))


def opened(timeout_seconds: float) -> Sandbox:
    """A sandbox of two workers, where this machine can isolate programs; elsewhere the test is skipped."""
    made = Sandbox(workers=2, limits=Limits(timeout_seconds=timeout_seconds))
    try:
        made.open()
    except IsolationUnavailable as error:
        pytest.skip(str(error))
    return made


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    made = opened(timeout_seconds=5.0)
    yield made
    made.close()


def test_nothing_is_left_when_it_is_closed() -> None:
    before = world()
    with Sandbox(workers=2) as sandbox:
        try:
            sandbox.open()
        except IsolationUnavailable as error:
            pytest.skip(str(error))
        found = sandbox.examine_all([calls("open('/tmp/x', 'w').write('x')\ndef f(): return 1", 1)] * 8)
        assert [one.outcome for one in found] == ["passed"] * 8
    assert left_behind(before) == set()


def test_a_program_sees_nothing_of_the_one_before(sandbox: Sandbox) -> None:
    leaves = (
        "import os, sys, builtins, math\nopen('/tmp/mark', 'w').write('x')\nos.environ['MARK'] = '1'\n"
        "builtins.mark = math.mark = sys.mark = 1\ndef f(): return True"
    )
    finds = (
        "import os, sys, builtins, math\n"
        "def f(): return os.listdir('/tmp') + [n for n in (builtins, math, sys) if hasattr(n, 'mark')] + "
        "[n for n in os.environ if n == 'MARK']"
    )
    work = [calls(leaves, True), calls(finds, [])] * 10
    assert {one.outcome for one in sandbox.examine_all(work)} == {"passed"}


def test_random_numbers_differ_between_programs(sandbox: Sandbox) -> None:
    program = "import random\ndef f(): return random.random() < 0.5"
    found = sandbox.examine_all([calls(program, True)] * 40)
    assert {one.outcome for one in found} == {"passed", "wrong_answer"}


def test_a_package_is_there_whether_or_not_a_program_names_it(sandbox: Sandbox) -> None:
    pytest.importorskip("numpy")
    named = "import numpy\ndef f(): return int(numpy.arange(4).sum())"
    unnamed = "np = __import__('num' + 'py')\ndef f(): return int(np.arange(4).sum())"
    assert {one.outcome for one in sandbox.examine_all([calls(named, 6), calls(unnamed, 6)])} == {"passed"}


def test_a_program_of_some_milliseconds_and_one_of_many_are_judged_alike(sandbox: Sandbox) -> None:
    """The first is over before anybody looks, the second is listened to word by word."""
    slow = "import time\ndef f():\n    time.sleep(0.03)\n    return 'x' * 300_000"
    for program in (slow, slow.replace("0.03", "0")):
        right, wrong = ["x" * 300_000] * 3, ["x" * 300_000, "y", "x" * 300_000]
        found = sandbox.examine_all([calls(program, *right), calls(program, *wrong)])
        assert [(one.outcome, one.passed) for one in found] == [("passed", 3), ("wrong_answer", 1)]


def test_a_program_cannot_end_itself_as_if_it_had_been_killed() -> None:
    """Or it would be judged again and then have no score: at a limit on CPU time the kernel sends SIGKILL."""
    sandbox = opened(timeout_seconds=2.0)
    raw = "import ctypes\nctypes.CDLL(None).syscall(160, 0, (ctypes.c_ulong * 2)(1, 1))\n"
    for lowering in ("import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 1))\n", raw):
        found = sandbox.examine_all([calls(f"{lowering}def f():\n    while True: pass", 1)])
        assert found[0].outcome in ("crashed", "timed_out"), found
    sandbox.close()


def test_a_program_leaves_nothing_on_the_directory_that_it_owns_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a user namespace it can change its /tmp itself: the mode, the times and the attributes are no letter box."""
    monkeypatch.setattr("rewards.sandbox.backends.visible.spare_user", lambda: None)
    with Sandbox(workers=1) as sandbox:
        try:
            assert sandbox.open().as_user_namespace
        except IsolationUnavailable as error:
            pytest.skip(str(error))
        look = "import os\ndef f():\n    s = os.stat('/tmp')\n    return [oct(s.st_mode), int(s.st_mtime), os.listxattr('/tmp')]"
        for mark in ("os.chmod('/tmp', 0o700)", "os.utime('/tmp', (5, 5))", "os.chmod('/tmp', 0)", "open('/tmp/x', 'w')",
                     "os.setxattr('/tmp', 'user.mark', b'1')"):  # fmt: skip
            leave = f"import os\ntry: {mark}\nexcept OSError: pass\ndef f(): return 1"
            marked = sandbox.examine_all([calls(leave, 1)])[0]
            empty = Examination((look,), Calls((call("f", [], {}, ["0o41777", 0, []]),), from_json=True))
            assert (marked.outcome, sandbox.examine_all([empty])[0].outcome) == ("passed", "passed"), mark


@pytest.mark.parametrize("whom", ["programs", "zygotes", "monitors", "all"])
def test_no_program_is_lost_whoever_is_killed(sandbox: Sandbox, whom: str) -> None:
    slow = "import time\ndef f():\n    time.sleep(0.02)\n    return 1"
    stop = threading.Event()

    def kill() -> None:
        """A monitor (bwrap) has a zygote below it, which has programs below it."""
        while not stop.wait(0.3):
            for jail in list(sandbox.process_ids):
                below = descendants(jail)
                programs = [one for zygote in below[:1] for one in descendants(zygote)]
                victims = {"programs": programs, "zygotes": below[:1], "monitors": [jail], "all": [jail, *below]}
                for victim in victims[whom]:
                    try:
                        os.kill(victim, signal.SIGKILL)
                    except ProcessLookupError:
                        continue

    killer = threading.Thread(target=kill)
    killer.start()
    found = sandbox.examine_all([calls(slow, 1, 1)] * 40)
    stop.set()
    killer.join()
    assert len(found) == 40
    assert {one.outcome for one in found} <= {"passed", "sandbox_fault"}
    assert [one.outcome for one in sandbox.examine_all([calls(slow, 1)] * 4)] == ["passed"] * 4


OVERWRITES_MACHINE_CODE = """
import ctypes
page = ctypes.cast(ctypes.pythonapi.PyList_Reverse, ctypes.c_void_p).value // 4096 * 4096
assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(page), 4096, 7) == 0
ctypes.memset(page, 0xC3, 4096)  # every function in it returns at once
def f():
    one = [1, 2]
    one.reverse()
    return one
"""


def test_a_program_that_overwrites_the_interpreter_harms_itself_alone() -> None:
    right = calls("def f():\n    one = [1, 2]\n    one.reverse()\n    return one", [2, 1])
    with Sandbox(workers=1) as sandbox:
        try:
            before, overwriting, after = sandbox.examine_all([right, calls(OVERWRITES_MACHINE_CODE, [2, 1]), right])
        except IsolationUnavailable as error:
            pytest.skip(str(error))
    assert before.outcome == after.outcome == "passed"
    assert overwriting.outcome in ("crashed", "wrong_answer")


def test_work_is_drawn_as_it_is_done_and_findings_come_as_they_complete(sandbox: Sandbox) -> None:
    drawn = []

    def work() -> Iterator[Examination]:
        for number in range(100):
            drawn.append(number)
            yield calls("import time\ntime.sleep(1.0)\ndef f(): return 1" if number == 0 else "def f(): return 1", 1)

    coming = sandbox.examine(work())
    first = [next(coming)[0] for _ in range(4)]
    assert 0 not in first, "the slow one holds nobody up"
    assert len(drawn) <= 4 + WAITING_PER_WORKER * sandbox.workers + 1
    coming.close()
    assert [one.outcome for one in sandbox.examine_all([calls("def f(): return 1", 1)])] == ["passed"]


def test_it_works_from_several_threads_at_once_and_after_they_have_ended(sandbox: Sandbox) -> None:
    results: dict[int, list[str]] = {}

    def judge(number: int) -> None:
        work = [calls(f"def f(): return {number}", number)] * 10
        results[number] = [one.outcome for one in sandbox.examine_all(work)]

    for _ in range(2):
        threads = [threading.Thread(target=judge, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == {number: ["passed"] * 10 for number in range(3)}


def test_closing_ends_those_who_wait() -> None:
    sandbox, said = opened(timeout_seconds=1.0), list[str]()

    def wait() -> None:
        try:
            sandbox.examine_all([calls("def f():\n    while True: pass", 1)] * 8)
        except CancelledError:
            said.append("cancelled")

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.5)
    sandbox.close()
    waiting.join(20)
    assert said == ["cancelled"]
    assert sandbox.examine_all([calls("def f(): return 1", 1)])[0].outcome == "passed"
    sandbox.close()


def test_an_unreferenced_sandbox_ends_its_jails(sandbox: Sandbox) -> None:
    dropped = Sandbox(workers=1)
    assert dropped.examine_all([calls("def f(): return 1", 1)])[0].outcome == "passed"
    state = Path(f"/proc/{dropped.process_ids[0]}/stat")
    del dropped
    gc.collect()
    until = time.monotonic() + 10
    while state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] != "Z":  # Z: ended, and not waited for yet
        assert time.monotonic() < until, "its jail goes on"
        time.sleep(0.05)


def test_a_forked_process_has_jails_of_its_own(sandbox: Sandbox) -> None:
    child = os.fork()
    if child == 0:
        good = sandbox.process_ids == () and sandbox.examine_all([calls("def f(): return 2", 2)])[0].outcome == "passed"
        sandbox.close()
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sandbox.examine_all([calls("def f(): return 1", 1)])[0].outcome == "passed"


ORPHAN = """
import os, signal, sys, threading, time
from rewards.sandbox import Calls, Examination, Limits, Sandbox
from rewards.sandbox.plain import call
sandbox = Sandbox(workers=1, limits=Limits(timeout_seconds=60))
sandbox.open()
stuck = Examination(("def f():\\n    while True: pass",), Calls((call("f", [], {}, 1),)))
threading.Thread(target=sandbox.examine_all, args=([stuck],), daemon=True).start()
time.sleep(0.5)
print(*sandbox.process_ids, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_everything_ends_with_the_judge_even_when_it_is_killed(sandbox: Sandbox) -> None:
    path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    before = world()
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}, text=True
    ) as judge:
        assert judge.stdout is not None
        assert judge.stdout.readline().split()
        judge.wait()
    assert {one for one in left_behind(before, 10.0) if one.startswith("process")} == set()


def test_a_large_input_and_a_large_output_pass(sandbox: Sandbox) -> None:
    text = "x" * 79 + "\n"
    work = Examination(
        ("import sys\nsys.stdout.write(sys.stdin.read())",), StandardStreams((text * 20_000,), (text * 20_000,))
    )
    assert sandbox.examine_all([work])[0].outcome == "passed"


def test_a_jail_that_cannot_be_cleaned_is_replaced() -> None:
    with Sandbox(workers=1) as sandbox:
        try:
            sandbox.open()
        except IsolationUnavailable as error:
            pytest.skip(str(error))
        first = sandbox.process_ids
        mess = "import os\nos.makedirs('/tmp/a/b')\nos.chmod('/tmp/a', 0)\ndef f(): return 1"
        clean = "import os\ndef f(): return os.listdir('/tmp')"
        found = sandbox.examine_all([calls(mess, 1), calls(clean, [])])
        assert [one.outcome for one in found] == ["passed", "passed"]
        assert sandbox.process_ids != first


VALUES = [
    None, True, 0, -1, 1 << 70, 1.5, float("inf"), "x\ud800", b"\0\xff", [1, [2]], (1, (2,)), {1, 2}, frozenset({3}),
    {"a": 1, 2: (3,)}, 1 + 2j, range(3), int, type(None), [], {}, bytearray(b"x"),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_plain_data_survives_the_wire(value: object) -> None:
    payload = wire.frame(wire.pack(value))[wire.HEADER.size :]
    back = wire.Reader().unpack(wire.parse(payload))
    assert back == value
    assert type(back) is type(value)


BAD_TREES = [{}, {"$": "tuple"}, {"$": "set", "v": [[]]}, {"$": "int", "v": "0x"}, {"$": "int", "v": "f" * 10**6},
             {"$": "dict", "v": [1]}, {"$": "complex", "v": [1]}, {"$": "bytes", "v": "\u1234"}, {"$": 1, "v": 1},
             {"$": "range", "v": [1, 2, 0]}, {"$": "type", "v": "object"}]  # fmt: skip


@pytest.mark.parametrize("tree", BAD_TREES, ids=lambda tree: repr(tree)[:40])
def test_what_is_not_packed_data_is_refused(tree: object) -> None:
    with pytest.raises(wire.WireError):
        wire.Reader().unpack(tree)


def test_plain_test_code_is_read_and_other_test_code_is_left_to_be_run() -> None:
    (one,) = plain_asserts(["assert f(1, b=[2]) == (3,)"]) or ()
    assert (one.target, one.arguments, one.expected) == ("f", (1,), (3,))
    (near,) = plain_asserts(["assert abs(f(3 * 19, 'a' * 2) - 2 / 3) < 1e-6"]) or ()
    assert (near.comparison, near.arguments, near.expected) == ("near", (57, "aa"), (2 / 3, 1e-6))
    assert plain_asserts(["assert f(9 ** 9 ** 9) == 1"]) is None
    assert plain_asserts(["assert sorted(f(1)) == g(2)"]) is None
    assert plain_asserts(["x = f(1)\nassert x == 1"]) is None
    assert plain_asserts(["assert f(1) == 1"], setup="y = 2") is not None
    assert plain_asserts(["assert f(1) == 1"], setup="y = compute()") is None
    check = "def check(candidate):\n    assert candidate(1) == 2, 'no'\n    assert True, 'easy'\n    assert not candidate(0)\n"
    assert [one.comparison for one in plain_check(check, "f") or ()] == ["equal", "false"]
    assert plain_check("def check(candidate):\n    for n in [1]:\n        assert candidate(n) == n\n", "f") is None


def test_limits_must_be_above_zero() -> None:
    with pytest.raises(ValueError, match="memory_mib, threads must be above zero"):
        Limits(memory_mib=0, threads=-1)


def test_a_program_is_given_time_for_each_test_and_not_more() -> None:
    with Sandbox(workers=1, limits=Limits(timeout_seconds=0.5)) as sandbox:
        try:
            sandbox.open()
        except IsolationUnavailable as error:
            pytest.skip(str(error))
        slow = "import time\ndef f():\n    time.sleep(0.2)\n    return 1"
        started = time.monotonic()
        assert sandbox.examine_all([calls(slow, 1, 1, 1, 1)])[0].outcome == "passed"
        assert time.monotonic() - started > 0.8
