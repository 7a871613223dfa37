"""Several engines on one machine as one: a process for each device, or for each group of cores.

For sampling from weights that stand still: sample stages and evaluations. Seeds belong to requests, so that a pool gives
what one engine gives. A worker that dies hands its requests to the others, once. Neighbours: worker.py (a process),
wire.py (what is said), start.py (decides how many).
"""

import os
import selectors
import socket
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from alignment.core.errors import EngineError
from alignment.core.machine import core_groups, visible_gpus
from alignment.core.process import die_with_parent
from alignment.inference.engine import EngineSettings, Generation, GenerationRequest, SamplingSettings
from alignment.inference.wire import (
    Channel,
    Message,
    generation_from_json,
    request_to_json,
    settings_to_json,
)

if TYPE_CHECKING:
    import torch

ENDING_SECONDS = 10.0  # that a worker has to end by itself
TRIES = 2  # of one request: it is handed out again once


@dataclass
class _Worker:
    """A process with an engine, and the numbers of the requests that it has."""

    number: int  # from 1
    place: str  # its device or cores, in words
    process: "subprocess.Popen[bytes]"
    channel: Channel
    call: int = 0  # for which it has them
    numbers: set[int] = field(default_factory=set)  # of requests that it has not answered; none while it is idle


class EnginePool:
    """Engine over workers that were all started with the same settings. Raises EngineError where none can start."""

    def __init__(self, settings: EngineSettings, workers: int) -> None:
        self._settings, self._count, self._call = settings, workers, 0
        self._workers = [_started(number, workers) for number in range(workers)]
        self._selector = selectors.DefaultSelector()
        for worker in self._workers:
            self._selector.register(worker.channel, selectors.EVENT_READ, worker)
            worker.channel.send(settings_to_json(settings))
        self.name, self.weight_version = "", 0
        for worker in list(self._workers):
            (answer,) = worker.channel.received() or [{"error": self._fate(worker)}]
            if "error" in answer:
                self.close()
                raise EngineError(str(answer["error"]))
            self.name = str(answer["ready"])

    def generate(
        self, requests: Sequence[GenerationRequest], settings: SamplingSettings
    ) -> Iterator[tuple[int, Generation]]:
        """As Engine.generate. A piece of the requests goes to each worker that has nothing to do."""
        self._call += 1
        waiting, tries, left = deque(self._pieces(len(requests))), Counter[int](), len(requests)
        while left:
            self._hand_out(waiting, requests, settings, tries)
            for worker, message in self._next():
                if message is None:
                    lost = self._handle_dead(worker, tries)
                    if lost:
                        waiting.append(lost)
                elif "error" in message:
                    raise EngineError(str(message["error"]))
                elif message["call"] == self._call and "number" in message:
                    number = message["number"]
                    left -= 1
                    yield number, generation_from_json(requests[number], message["made"])

    def logprobs(self, sequences: Sequence[list[int]]) -> list[list[float]]:
        """As Engine.logprobs, by the first worker."""
        while any(worker.numbers for worker in self._workers):  # of a call that was given up half-way
            for worker, message in self._next():
                if message is None:
                    self._handle_dead(worker, Counter())
        asked = self._alive()[0]
        asked.channel.send({"sequences": list(sequences)})
        while True:
            for worker, message in self._next():
                if message is None and worker is not asked:
                    self._handle_dead(worker, Counter())
                elif message is None or "error" in message:
                    raise EngineError(self._fate(asked) if message is None else str(message["error"]))
                elif "logprobs" in message:
                    found: list[list[float]] = message["logprobs"]
                    return found

    def load_weights(self, weights: "Iterable[tuple[str, torch.Tensor]]") -> int:
        """Raises EngineError: a pool samples from the weights that it was started with."""
        raise EngineError("a pool of engines takes no new weights; a training stage samples in its own process")

    def rest(self) -> None:
        """Nothing: there is no trainer beside a pool."""

    def close(self) -> None:
        """End every worker."""
        for worker in self._workers:
            worker.channel.close()
        for worker in self._workers:
            _ended(worker)
        self._selector.close()
        self._workers = []

    def _pieces(self, count: int) -> list[list[int]]:
        """Numbers of requests in pieces: at most what an engine samples at once, and as many for each worker."""
        workers = len(self._alive())
        rounds = -(-count // (self._settings.options.max_sequences * workers))
        pieces = min(count, rounds * workers)
        return [list(range(count * one // pieces, count * (one + 1) // pieces)) for one in range(pieces)]

    def _hand_out(
        self,
        waiting: "deque[list[int]]",
        requests: Sequence[GenerationRequest],
        settings: SamplingSettings,
        tries: Counter[int],
    ) -> None:
        for worker in self._alive():
            if worker.numbers or not waiting:
                continue
            numbers = waiting.popleft()
            tries.update(numbers)
            worker.call, worker.numbers = self._call, set(numbers)
            work = {"call": self._call, "numbers": numbers, "settings": asdict(settings)}
            try:
                worker.channel.send({**work, "requests": [request_to_json(requests[number]) for number in numbers]})
            except OSError:
                pass  # it is gone, which the next look at its channel finds

    def _next(self) -> list[tuple[_Worker, Message | None]]:
        """Wait for messages; None stands for a worker that is gone."""
        found: list[tuple[_Worker, Message | None]] = []
        for key, _ in self._selector.select():
            worker: _Worker = key.data
            messages = worker.channel.received()
            found += [(worker, None)] if messages is None else [(worker, message) for message in messages]
            for message in messages or ():
                if "number" in message:
                    worker.numbers.discard(message["number"])
                elif "error" in message:
                    worker.numbers.clear()
        return found

    def _handle_dead(self, worker: _Worker, tries: Counter[int]) -> list[int]:
        """Take a dead worker out; returns its unfinished requests. Raises EngineError if any was tried before."""
        fate = self._fate(worker)
        self._selector.unregister(worker.channel)
        worker.channel.close()
        self._workers.remove(worker)
        lost = sorted(worker.numbers) if worker.call == self._call else []  # else of a call that was given up half-way
        again = [number for number in lost if tries[number] >= TRIES]
        if again or not self._workers:
            more = f", {len(again)} of which another worker had lost before" if again else ", and no other is left"
            raise EngineError(f"{fate} It had {len(lost)} requests{more}. The log above has its messages.")
        print(f"warning: {fate} The others take its {len(lost)} requests.", file=sys.stderr)
        return lost

    def _fate(self, worker: _Worker) -> str:
        status = _ended(worker)
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return f"engine worker {worker.number} of {self._count} ({worker.place}, process {worker.process.pid}) {how}."

    def _alive(self) -> list[_Worker]:
        if not self._workers:
            raise EngineError("the pool of engines is closed, or every worker of it has died")
        return self._workers


def _started(number: int, count: int) -> _Worker:
    """The worker with this number, from 0, on its share of the machine."""
    ours, theirs = socket.socketpair()
    gpus, cores = visible_gpus(), core_groups(count)[number]
    env = {**os.environ}
    if gpus:
        place = f"GPU {gpus[number % len(gpus)]}"
        env["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    else:
        place = f"cores {','.join(map(str, cores))}"
        env |= {"OMP_NUM_THREADS": str(len(cores)), "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, cores))}

    def settle() -> None:
        die_with_parent()
        if not gpus and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, cores)

    process = subprocess.Popen(
        [sys.executable, "-m", "alignment.inference.worker", str(theirs.fileno())],
        stdin=subprocess.DEVNULL,
        env=env,
        pass_fds=[theirs.fileno()],
        preexec_fn=settle,  # noqa: PLW1509  two system calls; nothing here holds a lock that a fork could copy
    )
    theirs.close()
    return _Worker(number + 1, place, process, Channel(ours))


def _ended(worker: _Worker) -> int:
    """The exit status of a worker whose channel is closed, ended by force if it does not end."""
    try:
        return worker.process.wait(ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        return worker.process.wait()
