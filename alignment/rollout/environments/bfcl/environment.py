"""One rollout of BFCL's multi-turn part, and the kind `bfcl`.

    evaluations: {environment: {kind: bfcl, package: ./bfcl, max_turns: 40}}

The user's turns come one after another; each ends when the policy answers without a call. The row's `scenario` says what is
simulated and what the reference does; its score is 1 or 0, as the leaderboard's (reward `environment`). Evaluation only: the
rows are public. Neighbours: simulator.py (the services, in a process of its own), rows.py.
"""

import json
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

from pydantic import Field

from alignment.core.errors import DataError
from alignment.data.rows import Message, Problem
from alignment.rollout.environments.calls import NO_CALL, calls_in, shortened
from alignment.rollout.environments.protocol import EnvironmentFault, EnvironmentKind, EnvironmentOptions, Opening
from alignment.rollout.environments.tools import MOST_CALLS
from rewards.kinds.tool_call.verifier import Call

PROGRAM = Path(__file__).with_name("simulator.py")
INSTALL = "write `pip install --no-deps --target FOLDER bfcl-eval==2026.3.23`, and the folder as `package`"
MOST_STEPS = 20  # of one user's turn, as in the leaderboard


class BfclOptions(EnvironmentOptions):
    """What a recipe may write beside `kind: bfcl`."""

    package: str = Field(description="The folder in which bfcl-eval is installed.")
    timeout_seconds: float = Field(20.0, gt=0, description="Longest call of a simulated service.")
    at_once: int = Field(8, ge=1, description="Episodes at one time, each with a process of its own.")
    result_characters: int = Field(4000, ge=1, description="Longest result of a call; more is cut.")


class BfclEpisode:
    """One rollout. Implements Environment, ScoringEnvironment and HoldingEnvironment."""

    def __init__(self, options: BfclOptions) -> None:
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self._turns: list[list[Message]] = []
        self._steps, self._ended = 0, False

    def reset(self, problem: Problem) -> Opening:
        """Begin the scenario. Raises DataError for a row without one."""
        written = problem.columns.get("scenario")
        try:
            scenario = json.loads(str(written))
            self._turns = [list(one) for one in scenario["turns"][1:]]
        except (TypeError, ValueError, KeyError) as error:
            raise DataError(
                f"problem {problem.id} has no `scenario` of BFCL; its rows are made as docs/environments.md says"
            ) from error
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(PROGRAM), self._options.package],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        self._answer(scenario)
        return Opening(problem.messages, problem.tools)

    def step(self, turn: Message) -> list[Message]:
        """The results of a turn's calls; after one without, the user's next turn, and nothing after the last."""
        calls = calls_in(turn)
        self._steps += 1
        if calls and self._steps <= MOST_STEPS:
            return [{"role": "tool", "content": self._called(call)} for call in calls[:MOST_CALLS]]
        self._answer({"do": "next"})
        self._steps = 0
        if calls or not self._turns:  # a turn that does not end is wrong, as in the leaderboard
            self._ended = True
            return []
        return self._turns.pop(0)

    def score(self) -> float | None:
        """1 where every turn of the user's was reached and is right, else 0."""
        return float(self._answer({"do": "score"})) if self._ended else 0.0

    def release(self) -> None:
        """End the simulator."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _called(self, call: Call) -> str:
        if call.name is None:
            return f"error: {NO_CALL}"
        result = str(self._answer({"do": "call", "name": call.name, "arguments": dict(call.arguments)}))
        return shortened(result, self._options.result_characters)

    def _answer(self, order: Any) -> Any:
        """What the simulator answers. Raises EnvironmentFault if it ended or is late."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise EnvironmentFault("the BFCL simulator was not begun")
        try:
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
        except OSError as error:
            raise EnvironmentFault("the BFCL simulator ended") from error
        return json.loads(_line(process.stdout, self._options.timeout_seconds))


class BfclEpisodes:
    """What the rollouts share: nothing but a bound. Implements Environments and BoundedEnvironments."""

    def __init__(self, options: BfclOptions) -> None:
        self._options, self.at_once = options, options.at_once

    def new(self) -> BfclEpisode:
        """A rollout, whose simulator starts with its reset."""
        return BfclEpisode(self._options)

    def close(self) -> None:
        """Simulators end with their rollouts."""


def _line(stream: IO[str], timeout_seconds: float) -> str:
    """One whole line; it is short, and comes at once when it comes."""
    deadline = time.monotonic() + timeout_seconds
    ready, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
    if not ready:
        raise EnvironmentFault(f"the BFCL simulator did not answer in {timeout_seconds:g} s")
    line = stream.readline()
    if not line:
        raise EnvironmentFault("the BFCL simulator ended")
    return line


def _fault_here(options: BfclOptions) -> str | None:
    if not (Path(options.package) / "bfcl_eval").is_dir():
        return f"there is no bfcl_eval in {options.package}; {INSTALL}"
    return None


KIND = EnvironmentKind("bfcl", BfclOptions, BfclEpisodes, _fault_here)
