"""Any process of `math_answer` or `python_tests`, killed at any moment: every rollout has its verdict, and no wrong one.

Whoever is killed twice over the same rollout leaves it without a score; it is never scored wrongly, and judged again it
is judged rightly. test_pool.py and test_sandbox.py kill at chosen moments; here they are random.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing

import pytest

from process_tree import descendants
from rewards import IsolationUnavailable, Rollout, Verdict
from rewards.kinds.math_answer.verifier import MathAnswer
from rewards.kinds.python_tests.verifier import PythonTests

SECONDS = 3.0
SEEDS = (1, pytest.param(2, marks=pytest.mark.long))


def judged_under_fire(
    judge: Callable[[int], list[Verdict]], victims: Callable[[], Iterable[int]], longest_pause: float, seed: int
) -> tuple[list[list[Verdict]], int]:
    """Batches, each judged by its number, while a random victim is killed at random moments; and how many were."""
    chance, end, killed = random.Random(seed), time.monotonic() + SECONDS, 0
    stop = threading.Event()

    def kill() -> None:
        nonlocal killed
        while time.monotonic() < end and not stop.wait(chance.uniform(0.001, longest_pause)):
            alive = list(victims())
            if not alive:
                continue
            try:
                os.kill(chance.choice(alive), signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                continue

    killer = threading.Thread(target=kill)
    killer.start()
    batches: list[list[Verdict]] = []
    try:
        while killer.is_alive() or not batches:
            batches.append(judge(len(batches)))
    finally:
        stop.set()
        killer.join()
    return batches, killed


def check(batches: list[list[Verdict]], expected: list[float], unknown: str, killed: int) -> None:
    """Every verdict is there and right, or says that it could not be reached, which takes two kills."""
    for verdicts in batches:
        for verdict, score in zip(verdicts, expected, strict=True):
            assert verdict.score == score or (verdict.score, verdict.reason) == (None, unknown), verdict
    missed = sum(verdict.score is None for verdicts in batches for verdict in verdicts)
    assert 2 * missed <= killed


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("longest_pause", [0.1, 1.5], ids=["while_they_start", "while_they_work"])
def test_no_mathematical_answer_is_lost(longest_pause: float, seed: int) -> None:
    expected = [1.0, 0.0] * 20

    def rollouts(number: int) -> list[Rollout]:
        """Answers that need a process, new in each batch."""
        texts = [(rf"\cos({number}x + {n})", rf"\cos({n} + {number}x) + {n % 2}") for n in range(40)]
        return [Rollout("q", rf"\boxed{{{answer}}}", columns={"answer": reference}) for reference, answer in texts]

    with closing(MathAnswer(workers=2, timeout_seconds=30.0)) as verifier:
        batches, killed = judged_under_fire(
            lambda number: verifier.judge(rollouts(number)), lambda: verifier._pool.process_ids, longest_pause, seed
        )
        again = verifier.judge(rollouts(0))
    assert killed
    check(batches, expected, "worker_lost", killed)
    assert [one.score for one in again] == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_no_program_is_lost(seed: int) -> None:
    expected = [1.0, 0.0] * 10
    tests = {"form": "calls", "entry_point": "f", "calls": [[1], [2]], "outputs": [1, 2]}
    computed = {"form": "asserts", "asserts": ["for n in range(2):\n    assert f(n) == n"]}
    rollouts = [
        Rollout(
            "q",
            f"```python\nimport time\ndef f(x):\n    time.sleep(0.01)\n    return x + {n % 2}\n```",
            columns={"tests": computed if n % 4 < 2 else tests},
        )
        for n in range(20)
    ]
    with closing(PythonTests(workers=2, timeout_seconds=30.0)) as verifier:
        try:
            verifier.judge(rollouts[:1])
        except IsolationUnavailable as error:
            pytest.skip(str(error))

        def victims() -> list[int]:
            jails = verifier._sandbox.process_ids
            return [one for jail in jails for one in (jail, *descendants(jail))]

        batches, killed = judged_under_fire(lambda _: verifier.judge(rollouts), victims, 0.3, seed)
        again = verifier.judge(rollouts)
    assert killed
    check(batches, expected, "sandbox_fault", killed)
    assert [one.score for one in again] == expected
