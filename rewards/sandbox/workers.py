"""Examines programs on all cores, with a few jails per worker, and hands back findings as they complete.

The kind python_tests judges with it. A lost jail is replaced and its program judged again, once; after that the finding is
`sandbox_fault`, which is nobody's wrong answer. Work is drawn only as fast as it is done.
"""

import math
import os
import re
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any

from rewards.lifetime import ProcessOwner
from rewards.sandbox.backends import PACKAGES, Backend, choose
from rewards.sandbox.conduct import conduct
from rewards.sandbox.examination import Examination, Finding
from rewards.sandbox.jail import Jail
from rewards.sandbox.policy import Isolation, JailLost, Limits

ATTEMPTS = 2
WAITING_PER_WORKER = 8
# Between two looks at what is done, while enough waits: to be woken up for each finding costs the workers more.
PAUSE_SECONDS = 0.004
# Imported by few programs, and at a price: of milliseconds by each that does, or of pages in every fork.
EQUIPMENT = (
    *PACKAGES, "array", "cmath", "dataclasses", "datetime", "decimal", "fractions", "statistics", "textwrap", "traceback",
)  # fmt: skip
_EQUIPMENT_IMPORTED = re.compile(rf"^[^\S\n]*+(?:import|from)\b.*\b(?:{'|'.join(EQUIPMENT)})\b", re.MULTILINE)
WORKERS_PER_CORE = 1.5  # while one program's process ends and its values are compared, another runs


def needs_equipment(text: str) -> bool:
    """Whether a piece of a program imports some of EQUIPMENT. In time linear in the text, which nobody has read."""
    return _EQUIPMENT_IMPORTED.search(text) is not None


@dataclass(frozen=True)
class Bench:
    """A worker's jails. Each is started when it is first needed."""

    plain: Jail  # for programs
    equipped: Jail  # for programs that import what makes every fork dearer
    tests: Jail  # for test code

    @property
    def jails(self) -> tuple[Jail, ...]:
        """All of them."""
        return self.plain, self.equipped, self.tests

    def for_program(self, examination: Examination) -> Jail:
        """The jail whose interpreter has imported what a program imports. In the other one it would take longer."""
        wanted = needs_equipment(examination.start) or needs_equipment(examination.spellings[0])
        return self.equipped if wanted else self.plain


@dataclass
class _Batch:
    """The work of one call to `examine`. Where it is abandoned, what has not begun is left."""

    done: "SimpleQueue[tuple[int, Finding | BaseException]]" = field(default_factory=SimpleQueue)
    abandoned: bool = False


@dataclass(frozen=True)
class _Job:
    batch: _Batch
    position: int
    examination: Examination


_Waiting = SimpleQueue["_Job | None"]  # None ends one worker


class Sandbox(ProcessOwner):
    """Examines programs in isolation. `workers`: how many at once; 0 keeps all cores busy.

    Nothing starts before it is needed. Safe to call from any thread; several calls share the workers.
    """

    def __init__(self, isolation: Isolation = "auto", workers: int = 0, limits: Limits = Limits()) -> None:
        self.isolation, self.limits = isolation, limits
        self.workers = workers or math.ceil(WORKERS_PER_CORE * len(os.sched_getaffinity(0)))
        self._forget()
        super().__init__()

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy has the same settings, and starts jails of its own."""
        return type(self), (self.isolation, self.workers, self.limits)

    def _forget(self) -> None:
        for bench in getattr(self, "_benches", ()):
            for jail in bench.jails:
                jail.forget()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._benches: list[Bench] = []
        self._waiting: _Waiting | None = None  # while it is closed
        self._dismissal: weakref.finalize[..., Sandbox] | None = None
        self.backend: Backend | None = None

    def open(self) -> Backend:
        """Find out what isolates programs here, by starting a jail. Raises IsolationUnavailable."""
        with self._lock:
            if self.backend is None:
                first: list[Jail] = []
                self.backend = choose(self.isolation, lambda backend: self._fault(backend, first))
                self._waiting = SimpleQueue()
                self._dismissal = weakref.finalize(self, _dismiss, self._waiting, self.workers)
                for number in range(self.workers):
                    plain = first.pop() if first else Jail(self.backend, self.limits)
                    equipped = Jail(self.backend, self.limits, EQUIPMENT)
                    bench = Bench(plain, equipped, Jail(self.backend, self.limits))
                    arguments = (self._waiting, bench, self.limits)
                    thread = threading.Thread(target=_work, args=arguments, name=f"sandbox-{number}", daemon=True)
                    thread.start()
                    self._benches.append(bench)
                    self._threads.append(thread)
            return self.backend

    def _fault(self, backend: Backend, started: list[Jail]) -> str | None:
        jail = Jail(backend, self.limits)
        try:
            jail.start()
        except (JailLost, OSError) as error:
            return str(error)
        started.append(jail)
        return None

    def examine(self, work: Iterable[Examination]) -> Iterator[tuple[int, Finding]]:
        """`(position, finding)` of every examination, as they complete.

        Raises IsolationUnavailable, and CancelledError where another thread closes the sandbox meanwhile.
        """
        self.open()
        waiting, batch, coming, under_way = self._waiting, _Batch(), enumerate(work), 0
        try:
            while True:
                for position, examination in islice(coming, self.workers * WAITING_PER_WORKER - under_way):
                    with self._lock:
                        if waiting is None or self._waiting is not waiting:
                            raise CancelledError
                        waiting.put(_Job(batch, position, examination))
                    under_way += 1
                if not under_way:
                    return
                if waiting is not None and batch.done.empty() and waiting.qsize() > 2 * self.workers:
                    time.sleep(PAUSE_SECONDS)
                position, finding = batch.done.get()
                under_way -= 1
                if isinstance(finding, BaseException):
                    raise finding
                yield position, finding
        finally:
            batch.abandoned = True

    def examine_all(self, work: Iterable[Examination]) -> list[Finding]:
        """The findings in the order of the examinations."""
        return [finding for _, finding in sorted(self.examine(work), key=lambda one: one[0])]

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The processes that hold the jails now."""
        return tuple(one for bench in self._benches for jail in bench.jails for one in jail.process_ids)

    def close(self) -> None:
        """End every jail. A later call to examine starts new ones."""
        # At interpreter exit another thread may hold the lock for good; its jails have to end all the same.
        held = self._lock.acquire(timeout=1.0)
        if self._dismissal is not None:
            self._dismissal()
        for thread in self._threads:
            thread.join()
        for bench in self._benches:
            for jail in bench.jails:
                jail.close()
        self._threads, self._benches, self._waiting, self.backend = [], [], None, None
        if held:
            self._lock.release()


def _work(waiting: _Waiting, bench: Bench, limits: Limits) -> None:
    """A worker's thread. It holds no Sandbox, so that one that nobody holds any more can go."""
    while (job := waiting.get()) is not None:
        if job.batch.abandoned:
            continue
        try:
            finding: Finding | BaseException = _examined(job.examination, bench, limits)
        except BaseException as error:  # noqa: BLE001  it is raised where the finding is waited for
            finding = error
        job.batch.done.put((job.position, finding))


def _examined(examination: Examination, bench: Bench, limits: Limits) -> Finding:
    candidates, lost = bench.for_program(examination), ""
    try:
        for _ in range(ATTEMPTS):
            try:
                return conduct(examination, candidates, bench.tests, limits)
            except JailLost as error:
                lost = str(error)
    finally:
        for jail in bench.jails:
            if jail.busy:  # something went wrong on this side
                jail.close()
    return Finding("sandbox_fault", 0, examination.tests.total, lost, candidates.backend.name)


def _dismiss(waiting: _Waiting, workers: int) -> None:
    """Cancel what no worker has begun, and let the workers end after what they are at."""
    try:
        while job := waiting.get_nowait():
            job.batch.done.put((job.position, CancelledError()))
    except Empty:
        pass
    for _ in range(workers):
        waiting.put(None)
