"""One rollout as an episode of a verifiers v1 server, and the kind `verifiers`.

    environment: {kind: verifiers, addresses: ["tcp://127.0.0.1:5000"], max_turns: 6}

The row's column `task` goes to the server, whose harness then asks for turns (policy.py): the first request is the opening, and
what each later one has more than the one before it is what was said after a turn. The rewards of the taskset, weighted and added
up, are the score. Neighbours: wire.py, ../servers.py (which server takes an episode).
"""

import contextlib
import math
import queue
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from alignment.core.errors import RecipeError
from alignment.core.typed_json import Json
from alignment.data.rows import Message, Problem, ToolSchema
from alignment.rollout.environments.calls import shortened
from alignment.rollout.environments.protocol import EnvironmentFault, EnvironmentKind, Opening
from alignment.rollout.environments.servers import Answer, Servers
from alignment.rollout.environments.verifiers_v1.options import VerifiersOptions
from alignment.rollout.environments.verifiers_v1.policy import Asked, Policy
from alignment.rollout.environments.verifiers_v1.wire import Connection

POLL_SECONDS = 0.02
TASK = "task"  # the column with the task's data


class Session:
    """An episode that runs on a server: its connection, and the requests of its harness."""

    def __init__(self, url: str, policy: Policy, timeout_seconds: float) -> None:
        self.url, self._policy, self._timeout_seconds = url, policy, timeout_seconds
        self._connection = Connection(url)
        self._secret, self._base_url, self._mailbox = policy.opened()
        self.asked: Asked | None = None
        self.reply: Mapping[str, Any] | None = None

    def begin(self, task: Mapping[str, Json]) -> None:
        """Run the task, and wait for the first request. Raises EnvironmentFault where none comes."""
        self._connection.check()
        self._connection.run(task, self._base_url)
        self.wait()
        if self.asked is None:
            raise EnvironmentFault(
                f"{self.url} ended the episode before the policy's turn: {self.fault() or 'no reason'}"
            )

    def wait(self) -> None:
        """Wait for the next request (`asked`) or the end of the episode (`reply`). Raises EnvironmentFault."""
        until, self.asked = time.monotonic() + self._timeout_seconds, None
        while self.reply is None and self.asked is None:
            with contextlib.suppress(queue.Empty):
                self.asked = self._mailbox.get_nowait()
                return
            self.reply = self._connection.ended(POLL_SECONDS)
            if self.reply is None and time.monotonic() > until:
                raise EnvironmentFault(f"{self.url}: the harness did not ask or end in {self._timeout_seconds:g} s")

    def fault(self) -> str:
        """Why the episode that ended is no score; empty where it is one."""
        found = self.reply or {}
        if found.get("success") is False:
            return str(found.get("error"))[:300]
        head = found.get("head")
        errors = [*(head.get("errors") or () if isinstance(head, dict) else ())]
        errors += [error for trace in self._connection.traces.values() for error in trace["errors"]]
        first = errors[0] if errors else None
        return f"{first.get('type')}: {first.get('message')}"[:300] if isinstance(first, dict) else ""

    def rewards(self) -> list[float]:
        """The weighted rewards of all traces that were scored."""
        given = [one for trace in self._connection.traces.values() for one in (trace.get("rewards") or {}).values()]
        values = [float(one["score"]) * float(one.get("weight", 1.0)) for one in given if isinstance(one, dict)]
        return [one for one in values if math.isfinite(one)]

    def close(self) -> None:
        """End the episode, wherever it stands."""
        if self.reply is None:
            self._connection.cancel()
        if self.asked is not None:
            self.asked.give_up()
        self._policy.closed(self._secret)
        self._connection.close()


class Episode:
    """One rollout. Implements Environment, ScoringEnvironment and HoldingEnvironment."""

    def __init__(self, owner: "VerifiersEnvironments") -> None:
        self._owner = owner
        self._session: Session | None = None
        self._known: list[Mapping[str, Any]] = []  # messages of the last request

    def reset(self, problem: Problem) -> Opening:
        """Run the row's task; the first request of its harness is the opening, and its tools are offered."""
        task = problem.columns.get(TASK)
        if not isinstance(task, dict):
            raise RecipeError(
                f"problem {problem.id} has no column `{TASK}` with a task's data; make the rows with "
                "alignment/rollout/environments/verifiers_v1/outside.py (docs/environments.md)"
            )
        self._session, _ = self._owner.servers.begun(task)
        body = _asked(self._session).body
        self._known = _messages(body)
        tools: list[ToolSchema] = [one for one in body.get("tools") or () if isinstance(one, dict)]
        return Opening([_shown(one, self._longest) for one in self._known], tools)

    def step(self, turn: Message) -> list[Message]:
        """Answer the request that waits; what the harness then says, or nothing where the episode has ended."""
        session = self._session
        if session is None:
            raise EnvironmentFault("the episode was not begun")
        _asked(session).answer(turn)
        session.wait()
        if session.asked is None:
            if fault := session.fault():
                raise EnvironmentFault(f"{session.url}: {fault}")
            return []
        return self._said(session.asked)

    def score(self) -> float | None:
        """The task's rewards; None where it has none. A rollout that was cut off is ended by an empty answer before it is scored."""
        session = self._session
        if session is None:
            return None
        while session.reply is None:
            if session.asked is not None:
                session.asked.answer({"role": "assistant", "content": ""}, cut_off=True)
            session.wait()
        if fault := session.fault():
            raise EnvironmentFault(f"{session.url}: {fault}")
        found = session.rewards()
        return math.fsum(found) if found else None

    def release(self) -> None:
        """End the episode."""
        session, self._session = self._session, None
        if session is not None:
            self._owner.servers.ended(session)

    @property
    def _longest(self) -> int:
        return self._owner.options.result_characters

    def _said(self, asked: Asked) -> list[Message]:
        """What a request has more than the one before it and the turn. Raises EnvironmentFault for a conversation that was rewritten."""
        before, now = self._known, _messages(asked.body)
        count = len(before)
        kept = [_told(one) for one in now[:count]] == [_told(one) for one in before]
        said = now[count + 1 :]
        if not kept or len(now) <= count + 1 or now[count].get("role") != "assistant":
            raise EnvironmentFault(
                "the harness rewrote the conversation, as by compaction or for another agent; only one that grows turn by turn is "
                "trained on"
            )
        self._known = now
        return [_shown(one, self._longest) for one in said]


class VerifiersEnvironments:
    """The servers and the endpoint that rollouts share. Implements Environments and BoundedEnvironments."""

    def __init__(self, options: VerifiersOptions) -> None:
        self.options = options
        self.at_once = options.sessions * len(options.addresses)
        self.servers: Servers[Session] = Servers(
            options.addresses, options.sessions, options.patience_seconds, self._begun
        )
        self._policy: Policy | None = None

    def new(self) -> Episode:
        """A rollout, whose episode begins with its reset."""
        self._policy = self._policy or Policy()
        return Episode(self)

    def close(self) -> None:
        """End the endpoint."""
        policy, self._policy = self._policy, None
        if policy is not None:
            policy.close()

    def _begun(self, url: str, task: Mapping[str, Json]) -> tuple[Session, Answer]:
        assert self._policy is not None  # noqa: S101  `new` comes before
        session = Session(url, self._policy, self.options.timeout_seconds)
        try:
            session.begin(task)
        except EnvironmentFault:
            session.close()
            raise
        return session, {}


def _asked(session: Session | None) -> Asked:
    if session is None or session.asked is None:
        raise EnvironmentFault("the harness asked for no turn")
    return session.asked


def _messages(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = body.get("messages")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _told(message: Mapping[str, Any]) -> tuple[str, str]:
    """What of a message has to stay as it was; an assistant's is the harness's own copy."""
    role = str(message.get("role"))
    return role, "" if role == "assistant" else _text(message.get("content"))


def _shown(message: Mapping[str, Any], longest: int) -> Message:
    """A message of a request as a template takes it."""
    text, role = _text(message.get("content")), str(message.get("role"))
    if role == "developer":
        role = "system"
    return {"role": role, "content": shortened(text, longest) if role == "tool" else text}


def _text(content: Any) -> str:
    """A message's text: as it is, or of its parts that are text."""
    if isinstance(content, Sequence) and not isinstance(content, str):
        return "".join(str(one.get("text") or "") for one in content if isinstance(one, dict))
    return str(content or "")


def _fault_here(options: VerifiersOptions) -> str | None:
    """Why this machine cannot reach them: each server has to answer."""
    if any(find_spec(name) is None for name in ("zmq", "msgpack")):
        return "the environment `verifiers` needs pyzmq and msgpack; write `pip install 'alignment[verifiers]'`"
    for url in options.addresses:
        connection = Connection(url)
        try:
            connection.check()
        except EnvironmentFault as error:
            return f"{error}; start the environment server, or write its address"
        finally:
            connection.close()
    return None


KIND = EnvironmentKind("verifiers", VerifiersOptions, VerifiersEnvironments, _fault_here)
