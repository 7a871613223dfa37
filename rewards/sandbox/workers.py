"""Examines programs on all cores, with a few jails per worker, and hands back findings as they complete.

rewards/code.py judges with it. A lost jail is replaced and its program judged again, once; after that the finding is
`sandbox_fault`, which is nobody's wrong answer. Work is drawn only as fast as it is done.
"""

import math
import os
import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice

from rewards.lifetime import ProcessOwner
from rewards.sandbox.backends import PACKAGES, Backend, choose
from rewards.sandbox.conduct import conduct
from rewards.sandbox.examination import Examination, Finding
from rewards.sandbox.jail import Jail
from rewards.sandbox.policy import Isolation, JailLost, Limits

ATTEMPTS = 2
WAITING_PER_WORKER = 2
WORKERS_PER_CORE = 1.5  # while one program's process ends and its values are compared, another runs


@dataclass(frozen=True)
class Bench:
    """A worker's jails. Each is started when it is first needed."""

    plain: Jail  # for programs
    packaged: Jail  # for programs that use the packages of backends.py, which make every fork dearer
    tests: Jail  # for test code

    @property
    def jails(self) -> tuple[Jail, ...]:
        """All of them."""
        return self.plain, self.packaged, self.tests

    def for_program(self, examination: Examination) -> Jail:
        """The jail whose interpreter has imported what a program names. In the other one it would take longer."""
        named = any(name in text for name in PACKAGES for text in examination.spellings)
        return self.packaged if named else self.plain


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
        for bench in getattr(self, "_benches", ()):
            for jail in bench.jails:
                jail.forget()
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._benches: list[Bench] = []
        self._idle: queue.LifoQueue[Bench] = queue.LifoQueue()
        self.backend: Backend | None = None

    def open(self) -> Backend:
        """Find out what isolates programs here, by starting a jail. Raises IsolationUnavailable."""
        with self._lock:
            if self.backend is None:
                first: list[Jail] = []
                self.backend = choose(self.isolation, lambda backend: self._problem(backend, first))
                self._threads = ThreadPoolExecutor(self.workers, "sandbox")
                for _ in range(self.workers):
                    plain = first.pop() if first else Jail(self.backend, self.limits)
                    packaged = Jail(self.backend, self.limits, PACKAGES)
                    self._benches.append(Bench(plain, packaged, Jail(self.backend, self.limits)))
                for bench in reversed(self._benches):
                    self._idle.put(bench)
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
        bench = self._idle.get()
        candidates, lost = bench.for_program(examination), ""
        try:
            for _ in range(ATTEMPTS):
                try:
                    return conduct(examination, candidates, bench.tests, self.limits)
                except JailLost as error:
                    lost = str(error)
        finally:
            for jail in bench.jails:
                if jail.busy:  # something went wrong on this side
                    jail.close()
            self._idle.put(bench)
        return replace(Finding("sandbox_fault", 0, examination.tests.total, lost), isolation=candidates.backend.name)

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The processes that hold the jails now."""
        return tuple(one for bench in self._benches for jail in bench.jails for one in jail.process_ids)

    def close(self) -> None:
        """End every jail. A later call to examine starts new ones."""
        # At interpreter exit another thread may hold the lock for good; its jails have to end all the same.
        held = self._lock.acquire(timeout=1.0)
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        for bench in self._benches:
            for jail in bench.jails:
                jail.close()
        self._threads, self.backend, self._benches, self._idle = None, None, [], queue.LifoQueue()
        if held:
            self._lock.release()
