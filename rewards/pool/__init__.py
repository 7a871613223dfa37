"""VerificationPool: runs a function in worker processes that can be killed, with a time limit per item.

The limit is enforced from outside: a signal asks the worker to stop its item, and one that does not is killed. So it holds
whatever the code is stuck in, from any thread and inside any trainer. (math-verify's own limit is a signal, which only the
main thread may set.) Neighbours: worker_process.py (one process), worker.py (runs inside it), kinds/math_answer (uses the
pool for computer algebra).
"""

import selectors
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rewards.errors import RewardsError
from rewards.lifetime import ProcessOwner
from rewards.pool.worker_process import STARTUP_SECONDS, WorkerProcess, WorkerSettings

STARTS_BEFORE_GIVING_UP = 3
ATTEMPTS_PER_ITEM = 2
GRACE_SECONDS = 0.5  # in which a worker that was told to stop answers, so that it need not be replaced


class WorkerUnavailable(RewardsError, RuntimeError):
    """A verification process cannot start: what it runs cannot be imported, or it dies before it is ready."""


@dataclass(frozen=True)
class Outcome:
    """The result of one item: its value if `done`, else why there is none.

    `by_clock`: it timed out by the clock, within its CPU time, as on a machine that has other things to do.
    """

    status: Literal["done", "timed_out", "failed", "lost"]
    value: Any = None
    detail: str = ""
    by_clock: bool = False


class _Batch:
    """The items of one call, those not yet sent, and the outcomes so far."""

    def __init__(self, items: Sequence[Any], timeout_seconds: float) -> None:
        self.items, self.timeout_seconds = items, timeout_seconds
        self.waiting = deque(range(len(items)))
        self.outcomes: list[Outcome | None] = [None] * len(items)
        self.attempts = [0] * len(items)
        self.open = len(items)

    def settle(self, index: int, outcome: Outcome) -> None:
        self.outcomes[index] = outcome
        self.open -= 1

    def lose(self, index: int, detail: str) -> None:
        """Requeue an item whose worker died once, then report it lost."""
        self.attempts[index] += 1
        if self.attempts[index] < ATTEMPTS_PER_ITEM:
            self.waiting.appendleft(index)
        else:
            self.settle(index, Outcome("lost", detail=detail))


class VerificationPool(ProcessOwner):
    """Maps items through a function in worker processes, each item under a time limit.

    `function` is a callable importable at module level, or its path `module:function`; it takes and returns JSON
    values. Workers start when first needed and are replaced after `items_per_worker` items, which keeps memory flat.
    `cpu_seconds`: of CPU time an item may use (0: no limit); what has used it up has timed out, and its worker goes on.
    `memory_mib`: of address space of a worker. `argument`: with one, the function is called with it once in each worker,
    and what it returns judges the items.
    Safe to call from any thread; calls from several threads take turns.
    """

    def __init__(
        self,
        function: str | Callable[[Any], Any],
        workers: int = 2,
        timeout_seconds: float = 5.0,
        items_per_worker: int = 5000,
        cpu_seconds: float = 0.0,
        memory_mib: int = 2048,
        argument: str = "",
    ) -> None:
        if workers < 1 or timeout_seconds <= 0 or items_per_worker < 1:
            raise ValueError("workers, timeout_seconds and items_per_worker must be above zero")
        self.target = function if isinstance(function, str) else function_path(function)
        self.workers, self.timeout_seconds, self.items_per_worker = workers, timeout_seconds, items_per_worker
        self.cpu_seconds, self.memory_mib, self.argument = cpu_seconds, memory_mib, argument
        self._forget()
        super().__init__()

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy has the same settings, and starts workers of its own."""
        return type(self), (
            self.target,
            self.workers,
            self.timeout_seconds,
            self.items_per_worker,
            self.cpu_seconds,
            self.memory_mib,
            self.argument,
        )

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._running: list[WorkerProcess] = []
        self._selector = selectors.PollSelector()
        self._failed_starts = 0
        self._failing_since: float | None = None  # the first of the failed starts, monotonic seconds

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The worker processes that run now."""
        return tuple(worker.process.pid for worker in self._running)

    def map(self, items: Sequence[Any], timeout_seconds: float | None = None) -> list[Outcome]:
        """One outcome per item, in order. Raises WorkerUnavailable when the function cannot be run at all.

        timeout_seconds: of each of these items, where it is not the pool's own limit.
        """
        with self._lock:
            batch = _Batch(items, timeout_seconds or self.timeout_seconds)
            try:
                while batch.open:
                    self._dispatch(batch)
                    self._collect(batch)
            finally:
                for worker in [worker for worker in self._running if worker.index is not None]:
                    self._drop(worker)
            return [outcome for outcome in batch.outcomes if outcome is not None]

    def _dispatch(self, batch: _Batch) -> None:
        """Start missing workers and give every idle one an item."""
        for worker in [worker for worker in self._running if worker.judged >= self.items_per_worker]:
            if worker.index is None:
                self._drop(worker)
        while len(self._running) < min(self.workers, batch.open):
            limits = (self.timeout_seconds, self.cpu_seconds, self.memory_mib)
            worker = WorkerProcess(WorkerSettings(self.target, *limits, self.argument))
            self._running.append(worker)
            self._selector.register(worker.process.stdout, selectors.EVENT_READ, worker)  # type: ignore[arg-type]
        for worker in [worker for worker in self._running if worker.ready and worker.index is None]:
            if not batch.waiting:
                return
            if worker.process.poll() is not None:  # killed while idle
                self._drop(worker)
                continue
            index = batch.waiting.popleft()
            try:
                worker.send(index, batch.items[index], batch.timeout_seconds)
            except BrokenPipeError:
                self._handle_dead_worker(worker, batch)

    def _collect(self, batch: _Batch) -> None:
        """Wait for answers until the nearest deadline; end what has passed its own."""
        deadlines = [worker.deadline for worker in self._running if worker.deadline is not None]
        wait_seconds = max(0.0, min(deadlines) - time.monotonic()) if deadlines else 0.0
        for key, _ in self._selector.select(wait_seconds):
            worker: WorkerProcess = key.data
            messages = worker.receive()
            if messages is None:
                self._handle_dead_worker(worker, batch)
                continue
            for message in messages:
                self._accept(worker, message, batch)
        now = time.monotonic()
        for worker in [worker for worker in self._running if worker.deadline is not None and worker.deadline <= now]:
            if worker.index is None:
                self._drop(worker)
                raise WorkerUnavailable(f"a worker for {self.target} was not ready after {STARTUP_SECONDS:.0f} seconds")
            if not worker.asked_to_stop:
                worker.ask_to_stop(GRACE_SECONDS)
                continue
            self._drop(worker)
            batch.settle(worker.index, _late(batch))

    def _accept(self, worker: WorkerProcess, message: dict[str, Any], batch: _Batch) -> None:
        if "refused" in message:
            self._drop(worker)
            raise WorkerUnavailable(f"a worker cannot run {self.target}: {message['refused']}")
        worker.deadline = None
        if "ready" in message:
            worker.ready, self._failed_starts, self._failing_since = True, 0, None
            return
        worker.index = None
        worker.judged += 1
        if "over_limit" in message:
            spent = Outcome("timed_out", detail=f"more than {self.cpu_seconds} seconds of CPU time")
            batch.settle(message["id"], _late(batch) if worker.asked_to_stop else spent)
        elif "error" in message:
            batch.settle(message["id"], Outcome("failed", detail=message["error"]))
        else:
            batch.settle(message["id"], Outcome("done", value=message["value"]))

    def _handle_dead_worker(self, worker: WorkerProcess, batch: _Batch) -> None:
        """Requeue a dead worker's item once, then report it lost."""
        self._drop(worker)
        if worker.index is not None and worker.process.returncode == -signal.SIGALRM:
            batch.settle(worker.index, Outcome("timed_out", detail="the worker ended itself, long past the limit"))
            return
        ended = f"its worker ended with status {worker.process.returncode}"
        if worker.index is not None:
            batch.lose(worker.index, ended)
        elif not worker.ready:
            self._count_failed_start(worker.process.returncode, ended)

    def _count_failed_start(self, status: int, ended: str) -> None:
        """Give up on workers that fail at their start; those that were killed are restarted for a while."""
        self._failed_starts += 1
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        killed = status == -signal.SIGKILL and now - self._failing_since < STARTUP_SECONDS
        if self._failed_starts >= STARTS_BEFORE_GIVING_UP and not killed:
            raise WorkerUnavailable(f"{self._failed_starts} workers for {self.target} died at start; {ended}")

    def _drop(self, worker: WorkerProcess) -> None:
        self._running.remove(worker)
        self._selector.unregister(worker.process.stdout)  # type: ignore[arg-type]
        worker.end()

    def close(self) -> None:
        """End every worker. A later call to map starts new ones."""
        # At interpreter exit another thread may hold the lock forever; its worker has to end too.
        held = self._lock.acquire(timeout=1.0)
        for worker in list(self._running):
            self._drop(worker)
        if held:
            self._lock.release()


def _late(batch: _Batch) -> Outcome:
    return Outcome("timed_out", detail=f"no answer within {batch.timeout_seconds} seconds", by_clock=True)


def function_path(function: Callable[[Any], Any]) -> str:
    """`module:function` of a callable that another process can import. Raises ValueError when none can."""
    module, name = function.__module__, getattr(function, "__qualname__", "")
    if module == "__main__" or not name.isidentifier():
        raise ValueError(
            f"{module}:{name or function!r} cannot be imported elsewhere; define it at a module's top level"
        )
    return f"{module}:{name}"
