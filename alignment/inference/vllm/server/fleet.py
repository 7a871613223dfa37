"""The servers of a pool: which answer, what each is waited for, and what became of those that do not.

A thread for each server asks it for its weight version while something is waited for. One that does not answer is named
after NAMED_AFTER seconds, and given up after the recipe's `patience_seconds`. Neighbours: launch.py (starts servers),
client.py (asks one), calls.py (hands out requests).
"""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from alignment.core.errors import EngineError
from alignment.inference.vllm.server.client import Json, ServerClient, ServerLost
from alignment.inference.vllm.server.launch import LaunchedServer

WATCH_SECONDS, PROBE_SECONDS, NAMED_AFTER = 3.0, 4.0, 18.0  # together below 30
DYING_SECONDS = 5.0  # between a connection that breaks and the end of its process
VERSION = "/weight_info"


@dataclass
class Server:
    """One server as a rank sees it. launched: its process, on the rank that started it."""

    number: int  # from 1
    count: int
    place: str  # its devices, in words
    client: ServerClient
    launched: LaunchedServer | None = None
    load: int = 0  # completions that it has been asked for and has not answered
    task: str = ""  # what else it is waited for
    answered: float = field(default_factory=time.monotonic)
    named: bool = False  # as one that does not answer
    lost: str = ""  # why it was given up

    @property
    def title(self) -> str:
        """Which one it is."""
        process = "" if self.launched is None else f", process {self.launched.process.pid}"
        return f"engine worker {self.number} of {self.count} ({self.place}, {self.client.address}{process})"

    @property
    def waited_for(self) -> str:
        """What it is asked for now; empty where nothing is."""
        return self.task or (f"{self.load} completions" if self.load else "")

    def version(self) -> str:
        """The version of the weights that it holds. Raises ServerLost."""
        self.task = "the version of its weights"
        try:
            return str(self.client.ask("GET", VERSION).get("weight_version"))
        finally:
            self.task = ""


class Fleet:
    """All servers of a pool. Use `close` when done."""

    def __init__(self, servers: list[Server], patience_seconds: float) -> None:
        self.servers, self._patience = servers, patience_seconds
        self._lock, self._closed = threading.RLock(), threading.Event()
        self._watches = [threading.Thread(target=self._watch, args=(one,), daemon=True) for one in servers]
        for thread in self._watches:
            thread.start()

    def alive(self) -> list[Server]:
        """The servers that were not given up. Raises EngineError if none is left."""
        alive = [server for server in self.servers if not server.lost]
        if not alive:
            fates = " ".join(server.lost for server in self.servers)
            raise EngineError(f"no engine worker is left. {fates}")
        return alive

    def taken(self, most: int) -> Server | None:
        """The server with the least to do, with one completion more; None where each has `most`."""
        with self._lock:
            server = min(self.alive(), key=lambda one: one.load)
            if server.load >= most:
                return None
            server.load += 1
            return server

    def begun(self, server: Server) -> None:
        """One completion more is waited for."""
        with self._lock:
            server.load += 1

    def done(self, server: Server) -> None:
        """One completion less is waited for."""
        with self._lock:
            server.load -= 1
            server.answered = time.monotonic()

    def lose(self, server: Server, reason: str) -> None:
        """Give a server up, with a warning that says why; once for each."""
        with self._lock:
            if server.lost or self._closed.is_set():
                return
            server.lost = f"{server.title}: {reason}."
            waited = server.waited_for
            left = sum(not one.lost for one in self.servers)
        # Its process may take seconds to end, in which the others go on.
        server.lost = f"{server.title} {self._fate(server, reason)}."
        others = f" {left} other(s) take its {waited}." if waited and left else ""
        print(f"warning: {server.lost}{others}", file=sys.stderr, flush=True)
        server.client.close()
        if server.launched is not None:
            server.launched.end(at_once=True)

    def everywhere(self, path: str, body: Json | None, task: str) -> None:
        """Ask every server at once, by POST. One that does not do it is given up. Raises EngineError if none is left."""

        def ask(server: Server) -> None:
            server.task = task
            try:
                server.client.tell(path, body)
            except (ServerLost, EngineError) as error:
                self.lose(server, f"did not take {task}: {error}")
            finally:
                server.task = ""

        alive = self.alive()
        with ThreadPoolExecutor(len(alive), thread_name_prefix="weights") as threads:
            list(threads.map(ask, alive))
        self.alive()

    def close(self) -> None:
        """Stop watching, and end the servers that were started."""
        self._closed.set()
        for server in self.servers:
            server.client.close()
        launched = [server.launched for server in self.servers if server.launched is not None]
        for process in launched:
            process.process.terminate()
        for process in launched:
            process.end()
        for thread in self._watches:
            thread.join(WATCH_SECONDS + PROBE_SECONDS)

    def _fate(self, server: Server, reason: str) -> str:
        """How a server ended, if it was started here and has ended; else the reason as it was given."""
        ended = None if server.launched is None else server.launched.ended(DYING_SECONDS)
        return reason if ended is None else ended

    def _watch(self, server: Server) -> None:
        probe = ServerClient(server.client.address, server.client.key)
        while not self._closed.wait(WATCH_SECONDS) and not server.lost:
            if not server.waited_for:
                server.answered = time.monotonic()
                continue
            try:
                probe.ask("GET", VERSION, timeout=PROBE_SECONDS)
                self._answers(server)
            except ServerLost as error:
                self._silent(server, str(error))
        probe.close()

    def _answers(self, server: Server) -> None:
        server.answered = time.monotonic()
        if server.named:
            server.named = False
            print(f"{server.title} answers again", file=sys.stderr, flush=True)

    def _silent(self, server: Server, why: str) -> None:
        """Name a server that has been silent for long, or give it up."""
        seconds = time.monotonic() - server.answered
        since = time.strftime("%H:%M:%S", time.localtime(time.time() - seconds))
        told = f"has not answered since {since} ({seconds:.0f} s), waited for: {server.waited_for} ({why})"
        if server.launched is not None and server.launched.process.poll() is not None:
            self.lose(server, told)
        elif seconds > self._patience:
            self.lose(server, f"{told}, and was given up")
        elif seconds > NAMED_AFTER and not server.named:
            server.named = True
            print(
                f"warning: {server.title} {told}; it is given up after {self._patience:g} s",
                file=sys.stderr,
                flush=True,
            )
