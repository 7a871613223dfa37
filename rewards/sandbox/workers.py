"""Examines programs on all cores, one pair of jails per worker, and hands back findings as they complete.

rewards/code.py judges with it. A lost jail is replaced and its program judged again, once; after that the finding is
`sandbox_fault`, which is nobody's wrong answer. Work is drawn only as fast as it is done.
"""

import math
import os
import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import islice

from rewards.lifetime import ProcessOwner
from rewards.sandbox.backends import Backend, choose
from rewards.sandbox.conduct import conduct
from rewards.sandbox.examination import Examination, Finding
from rewards.sandbox.jail import Jail
from rewards.sandbox.policy import Isolation, JailLost, Limits

ATTEMPTS = 2
WAITING_PER_WORKER = 2
WORKERS_PER_CORE = 1.5  # while one program's process ends and its values are compared, another runs

Pair = tuple[Jail, Jail]  # one for programs, one for test code


class Sandbox(ProcessOwner):
    """Examines programs in isolation. `workers`: how many at once; 0 keeps all cores busy.

    Nothing starts before it is needed. Safe to call from any thread; several calls share the workers.
    """

    def __init__(self, isolation: Isolation = "auto", workers: int = 0, limits: Limits = Limits()) -> None:
        self.isolation, self.limits = isolation, limits
        self.workers = workers or math.ceil(WORKERS_PER_CORE * len(os.sched_getaffinity(0)))
        self._forget()
        super().__init__()

    def _forget(self) -> None:
        for pair in getattr(self, "_pairs", ()):
            for jail in pair:
                jail.forget()
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._pairs: list[Pair] = []
        self._idle: queue.LifoQueue[Pair] = queue.LifoQueue()
        self.backend: Backend | None = None

    def open(self) -> Backend:
        """Find out what isolates programs here, by starting a jail. Raises IsolationUnavailable."""
        with self._lock:
            if self.backend is None:
                first: list[Jail] = []
                self.backend = choose(self.isolation, lambda backend: self._problem(backend, first))
                self._threads = ThreadPoolExecutor(self.workers, "sandbox")
                for number in range(self.workers):
                    candidates = first.pop() if number == 0 else Jail(self.backend, self.limits)
                    self._pairs.append((candidates, Jail(self.backend, self.limits, preloads_packages=False)))
                for pair in reversed(self._pairs):
                    self._idle.put(pair)
            return self.backend

    def _problem(self, backend: Backend, started: list[Jail]) -> str | None:
        jail = Jail(backend, self.limits)
        try:
            jail.start()
        except (JailLost, OSError) as error:
            return str(error)
        started.append(jail)
        return None

    def examine(self, work: Iterable[Examination]) -> Iterator[tuple[int, Finding]]:
        """`(position, finding)` of every examination, as they complete. Raises IsolationUnavailable."""
        self.open()
        assert self._threads is not None  # noqa: S101  it is open
        coming = enumerate(work)
        running: dict[Future[Finding], int] = {}
        try:
            while True:
                for position, examination in islice(coming, self.workers * WAITING_PER_WORKER - len(running)):
                    running[self._threads.submit(self._one, examination)] = position
                if not running:
                    return
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(done), done.result()
        finally:
            for future in running:
                future.cancel()

    def examine_all(self, work: Iterable[Examination]) -> list[Finding]:
        """The findings in the order of the examinations."""
        return [finding for _, finding in sorted(self.examine(work), key=lambda one: one[0])]

    def _one(self, examination: Examination) -> Finding:
        pair = self._idle.get()
        lost = ""
        try:
            for _ in range(ATTEMPTS):
                try:
                    return conduct(examination, *pair, self.limits)
                except JailLost as error:
                    lost = str(error)
        finally:
            for jail in pair:
                if jail.busy:  # something went wrong on this side
                    jail.close()
            self._idle.put(pair)
        return replace(Finding("sandbox_fault", 0, examination.tests.total, lost), isolation=pair[0].backend.name)

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The processes that hold the jails now."""
        return tuple(one for pair in self._pairs for jail in pair for one in jail.process_ids)

    def close(self) -> None:
        """End every jail. A later call to examine starts new ones."""
        # At interpreter exit another thread may hold the lock for good; its jails have to end all the same.
        held = self._lock.acquire(timeout=1.0)
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        for pair in self._pairs:
            for jail in pair:
                jail.close()
        self._threads, self.backend, self._pairs, self._idle = None, None, [], queue.LifoQueue()
        if held:
            self._lock.release()
