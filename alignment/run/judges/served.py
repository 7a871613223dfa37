"""Serves the judges that a stage's rewards name: starts their servers on loopback, watches them, and ends them.

A server that has ended or does not answer is started again at the same address, and the stage waits for it; one that
cannot be kept up ends the stage in words. Neighbours: run/runner.py (asks), inference/vllm/server/judge.py (the
command), rollout/judges.py (how a stage finds them), recipe/blocks/judges.py (what a recipe says).
"""

import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from alignment.core.errors import StageFailed
from alignment.core.files import content_hash, file_hash
from alignment.core.process import end_session
from alignment.core.resources import model_place
from alignment.inference.vllm.server.place import STARTER, Place, environment
from alignment.recipe.blocks.judges import ServedJudge
from alignment.recipe.own.paths import DOUBLE
from alignment.rollout.judges import key_variable, model_variable, url_variable
from alignment.run.judges import double as judge_double

STARTING_SECONDS = 900.0
PROBED_EVERY_SECONDS, PROBE_SECONDS = 5.0, 10.0
PROBED_EARLY_SECONDS = 0.5  # while it starts: one that hangs is known as such only once it has answered
ENDING_SECONDS = 10.0
LOG_LINES_SHOWN = 15


def served_name(name: str, one: ServedJudge) -> str:
    """What a judge is served as: its name and its weights, so that judgements of other weights are not taken for its own."""
    if one.is_double:  # known by its rule
        return f"{name}-{DOUBLE}-{file_hash(Path(judge_double.__file__))[:12]}"
    path = Path(model_place(one.model))
    if path.is_dir():
        return f"{name}-{content_hash(path)[:12]}"
    return f"{name}-{one.model}" + (f"@{one.revision}" if one.revision else "")


@dataclass
class JudgeProcess:
    """The process of one served judge, at an address that it keeps when it is started again.

    inherited: the environment that a stage's process has, which vLLM on a CPU is slow without; empty for this process's.
    """

    name: str
    served_as: str
    command: Callable[[], list[str]]
    address: str
    key: str
    place: Place
    log: Path
    patience_seconds: float
    restarts: int
    inherited: Mapping[str, str] = field(default_factory=dict)
    started_again: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    answered: float | None = None  # None while it starts
    began: float = field(default_factory=time.monotonic)
    probed: float = 0.0

    def start(self) -> None:
        """Start the process; it answers later."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        cores = ",".join(map(str, self.place.cores))
        self.began, self.answered = time.monotonic(), None
        found = environment(self.place, self.key, self.inherited or os.environ)
        env = {name: value for name, value in found.items() if name != "VLLM_SERVER_DEV_MODE"}
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", STARTER, cores, *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                start_new_session=True,  # with its engine, so that both can be ended
            )

    def fault(self) -> str | None:
        """Why it has to be started again, or None."""
        status = None if self.process is None else self.process.poll()
        if status is not None:
            return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        now = time.monotonic()
        if self.answered is None:
            late = now - self.began > STARTING_SECONDS
            return f"did not start in {STARTING_SECONDS:.0f} s" if late else None
        silent = now - self.answered
        return f"has not answered for {silent:.0f} s" if silent > self.patience_seconds else None

    def probe(self) -> None:
        """Ask whether it answers, in a thread of its own, so that nobody waits for a server that hangs."""
        every = PROBED_EVERY_SECONDS if self.answered is not None else PROBED_EARLY_SECONDS
        if time.monotonic() - self.probed > every:
            self.probed = time.monotonic()
            threading.Thread(target=self._ask, args=(self.process,), daemon=True).start()

    def _ask(self, process: "subprocess.Popen[bytes] | None") -> None:
        try:
            with _DIRECT.open(f"{self.address}/health", timeout=PROBE_SECONDS) as answer:
                if answer.status == 200 and process is self.process:
                    self.answered = time.monotonic()
        except (OSError, urllib.error.URLError):
            pass  # it starts, or hangs

    def end(self, *, at_once: bool = False) -> None:
        """End the server and its engine, by force if they do not end by themselves; also the engine of a server that was killed."""
        if self.process is not None:
            end_session(self.process, 0 if at_once else ENDING_SECONDS)

    def end_of_log(self) -> str:
        """The last lines that it wrote."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES_SHOWN:])


# A proxy cannot reach this machine's own server.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ServedJudges(AbstractContextManager["ServedJudges"]):
    """The judges of one stage, up while the context is entered.

    hidden: what the stage's environment says so that it leaves their devices alone. say: prints a line for the user.
    """

    def __init__(self, servers: Sequence[JudgeProcess], hidden: Mapping[str, str], say: Callable[[str], None]) -> None:
        self.servers, self._hidden, self._say = tuple(servers), hidden, say

    def __enter__(self) -> "ServedJudges":
        for server in self.servers:
            self._say(
                f"serving the judge {server.name} as {server.served_as} at {server.address} ({server.place.words}), log {server.log}"
            )
            server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self.servers:
            server.end()

    def environment(self) -> dict[str, str]:
        """What tells a stage's process where they are."""
        found = dict(self._hidden)
        for server in self.servers:
            found |= {
                url_variable(server.name): f"{server.address}/v1",
                key_variable(server.name): server.key,
                model_variable(server.name): server.served_as,
            }
        return found

    def tick(self) -> None:
        """Start again what has ended or hangs; called often. Raises StageFailed for one that cannot be kept up."""
        for server in self.servers:
            fault = server.fault()
            if fault is None:
                server.probe()
                continue
            if server.answered is None and server.started_again == 0 and server.process is not None:
                server.end(at_once=True)
                raise StageFailed(
                    f"the judge {server.name} {fault} while it started; the end of {server.log}:\n{server.end_of_log()}"
                )
            if server.started_again >= server.restarts:
                server.end(at_once=True)
                raise StageFailed(
                    f"the judge {server.name} {fault}, after it was started again {server.started_again} times (judges."
                    f"{server.name}.restarts); what was judged is kept, and running again resumes. The end of {server.log}:\n"
                    f"{server.end_of_log()}"
                )
            server.started_again += 1
            self._say(f"warning: the judge {server.name} {fault}; it is started again, and the stage waits for it")
            server.end(at_once=True)
            server.start()


NO_JUDGES = ServedJudges((), {}, lambda _: None)
