"""One call of `generate` under way: requests are handed to the servers with the least to do, and each is answered once.

A request of a server that is lost goes to another, once. Neighbours: fleet.py (the servers), pool.py.
"""

import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from alignment.core.errors import EngineError
from alignment.inference.engine import Generation
from alignment.inference.vllm.server.client import ServerLost
from alignment.inference.vllm.server.fleet import Fleet, Server

TRIES = 2  # of one request: it is handed out again once


class Call:
    """A call for `count` completions, at most `at_once` of them from each server at a time.

    sample: asks a server for the completion with a number; it raises ServerLost.
    """

    def __init__(self, fleet: Fleet, sample: Callable[[Server, int], Generation], count: int, at_once: int) -> None:
        self._fleet, self._sample, self._count, self._at_once = fleet, sample, count, at_once
        self._lock, self._waiting, self._tries = threading.Lock(), deque(range(count)), Counter[int]()
        self._answers: queue.SimpleQueue[tuple[int, Future[Generation]]] = queue.SimpleQueue()
        self._given_up = False

    def results(self, threads: ThreadPoolExecutor) -> Iterator[tuple[int, Generation]]:
        """`(number, completion)` as each is finished. Raises EngineError where no server can finish one."""
        self._hand_out(threads)
        left = self._count
        while left:
            number, answer = self._answers.get()
            if isinstance(answer.exception(), ServerLost):
                self._again(number, str(answer.exception()))
                self._hand_out(threads)
                continue
            left -= 1
            yield number, answer.result()

    def give_up(self) -> None:
        """Ask for nothing more, and end what is under way."""
        with self._lock:
            self._given_up = True
            self._waiting.clear()

    def _hand_out(self, threads: ThreadPoolExecutor) -> None:
        """Give waiting requests to servers until each has as many as it may have. From any thread."""
        with self._lock:
            while self._waiting and not self._given_up:
                server = self._fleet.taken(self._at_once)
                if server is None:
                    return
                number = self._waiting.popleft()
                self._tries[number] += 1
                future = threads.submit(self._asked, server, number, threads)
                future.add_done_callback(partial(self._answered, number))

    def _answered(self, number: int, answer: Future[Generation]) -> None:
        self._answers.put((number, answer))

    def _asked(self, server: Server, number: int, threads: ThreadPoolExecutor) -> Generation:
        try:
            if self._given_up:
                raise ServerLost("the call was given up")
            made = self._sample(server, number)
        except ServerLost as error:
            if not self._given_up:
                self._fleet.lose(server, str(error))
            raise
        finally:
            self._fleet.done(server)
        try:
            self._hand_out(threads)
        except EngineError:
            pass  # the last server was lost meanwhile; whoever waits for its requests hears of it
        return made

    def _again(self, number: int, reason: str) -> None:
        """Put back a request that a server lost. Raises EngineError if another had lost it before."""
        if self._tries[number] >= TRIES:
            lost = " ".join(one.lost for one in self._fleet.servers if one.lost)
            raise EngineError(f"a request was lost by two engine workers, the second time because: {reason}. {lost}")
        self._fleet.alive()
        with self._lock:
            self._waiting.appendleft(number)
