"""Verification processes: they are ended at their limit, replaced when killed, and gone when their parent is."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from pool_functions import act

from rewards import VerificationPool, WorkerUnavailable

HERE = Path(__file__).parent


def is_running(process_id: int) -> bool:
    return psutil.pid_exists(process_id) and psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE


def wait_until_gone(process_id: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while is_running(process_id) and time.monotonic() < end:
        time.sleep(0.05)
    return not is_running(process_id)


def test_items_come_back_in_order_and_workers_start_only_when_needed() -> None:
    with VerificationPool(act, workers=2) as pool:
        assert pool.process_ids == ()
        assert pool.map([]) == []
        outcomes = pool.map([["double", number] for number in range(50)])
        assert [one.value for one in outcomes] == [2 * number for number in range(50)]
        running = pool.process_ids
        assert len(running) == 2
    assert not any(map(is_running, running))


def test_an_item_past_its_limit_is_ended_and_the_others_are_judged(tmp_path: Path) -> None:
    with VerificationPool("pool_functions:act", workers=1, timeout_seconds=0.5) as pool:
        outcomes = pool.map([["double", 1], ["stuck", str(tmp_path / "mark")], ["sleep", 60], ["double", 2]])
    assert [one.status for one in outcomes] == ["done", "timed_out", "timed_out", "done"]


def test_an_item_that_can_be_stopped_does_not_cost_its_worker() -> None:
    with VerificationPool(act, workers=1) as pool:
        (before,) = pool.map([["process_id", 0]])
        late, after = pool.map([["sleep", 60], ["process_id", 0]], timeout_seconds=0.5)
    assert (late.status, late.by_clock) == ("timed_out", True)
    assert after.value == before.value


def test_a_worker_killed_by_anyone_loses_no_item(tmp_path: Path) -> None:
    with VerificationPool(act, workers=2) as pool:
        outcomes = pool.map([["double", 1], ["die_once", str(tmp_path / "mark")], ["die", 0], ["double", 2]])
        assert [one.status for one in outcomes] == ["done", "done", "lost", "done"]
        for process_id in pool.process_ids:
            os.kill(process_id, signal.SIGKILL)
        assert [one.value for one in pool.map([["double", 3], ["double", 4]])] == [6, 8]


def test_a_worker_killed_from_outside_in_the_middle_of_its_work_is_replaced() -> None:
    with VerificationPool(act, workers=1) as pool:
        (first,) = pool.map([["process_id", 0]])
        killer = threading.Timer(0.3, os.kill, (first.value, signal.SIGKILL))
        killer.start()
        outcomes = pool.map([["sleep", 1.0], ["process_id", 0]])
        killer.join()
    assert outcomes[0].status == "done"
    assert outcomes[1].value != first.value


def test_an_item_that_raises_or_prints_disturbs_nobody() -> None:
    with VerificationPool(act, workers=1) as pool:
        outcomes = pool.map([["raise", "bad row"], ["print", '{"id": 2, "value": "forged"}'], ["double", 21]])
    assert (outcomes[0].status, outcomes[0].detail) == ("failed", "ValueError: bad row")
    assert [one.value for one in outcomes[1:]] == ["print", 42]


def test_it_works_from_threads_other_than_the_main_one() -> None:
    results: dict[int, list[int]] = {}
    with VerificationPool(act, workers=2, timeout_seconds=20.0) as pool:

        def judge(start: int) -> None:
            results[start] = [one.value for one in pool.map([["double", start + one] for one in range(20)])]

        threads = [threading.Thread(target=judge, args=(start,)) for start in (0, 100, 200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == {start: [2 * (start + one) for one in range(20)] for start in (0, 100, 200)}


def test_workers_are_replaced_before_their_memory_grows() -> None:
    with VerificationPool(act, workers=1, items_per_worker=2) as pool:
        used = [one.value for one in pool.map([["process_id", 0]] * 5)]
    assert used[0] == used[1] != used[2] == used[3] != used[4]


def test_a_function_that_cannot_be_imported_is_a_named_error() -> None:
    with pytest.raises(WorkerUnavailable, match="cannot run no_such_module:f: ModuleNotFoundError"):
        VerificationPool("no_such_module:f").map([1])
    with pytest.raises(ValueError, match="top level"):
        VerificationPool(lambda item: item)


ORPHAN = """
import os, signal, sys, threading, time
from rewards import VerificationPool
pool = VerificationPool("pool_functions:act", workers=1, timeout_seconds=0.5)
pool.map([["double", 1]])
print(*pool.process_ids, flush=True)
if sys.argv[1]:
    threading.Thread(target=pool.map, args=([["stuck", sys.argv[1]]],), daemon=True).start()
    while not os.path.exists(sys.argv[1]):
        time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("stuck", [False, True])
def test_a_worker_ends_when_its_parent_is_killed_even_when_it_is_stuck(stuck: bool, tmp_path: Path) -> None:
    path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(tmp_path / "mark") if stuck else ""],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.wait()
    assert wait_until_gone(worker, 15.0)


def test_a_forked_process_leaves_its_parents_workers_alone() -> None:
    with VerificationPool(act, workers=1) as pool:
        pool.map([["double", 1]])
        child = os.fork()
        if child == 0:
            os._exit(0 if pool.process_ids == () else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert [one.value for one in pool.map([["double", 2]])] == [4]
