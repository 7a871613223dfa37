"""Servers that play episodes: which takes the next one, how many each has, and what becomes of one that is gone.

An episode is one session's: if its server dies, the episode is lost and another server takes the next one. Neighbours:
openenv/, nemo_gym.py and verifiers_v1/ (begin a session, and speak with it).
"""

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from pydantic import Field, model_validator

from alignment.core.typed_json import Json
from alignment.data.rows import Problem
from alignment.rollout.environments.protocol import EnvironmentFault, EnvironmentOptions, EnvironmentsFull
from rewards.posting import service_fault

BETWEEN_TRIES_SECONDS = 0.2
LEFT_ALONE_SECONDS = 5.0  # a server that could not be reached, while another can
Answer = Mapping[str, Json]


class ServerOptions(EnvironmentOptions):
    """What a recipe may write of servers that play episodes, whatever is spoken with them."""

    urls: list[str] = Field(min_length=1, description="Servers of this environment; an episode stays on one.")

    @model_validator(mode="after")
    def _addresses(self) -> "ServerOptions":
        for url in self.urls:
            if fault := service_fault(url):
                raise ValueError(f"{url} cannot be used: {fault}")
        return self


def key_in(variable: str, url: str) -> str:
    """The key of a server; empty where no variable is named. Raises EnvironmentFault where the variable holds none."""
    key = os.environ.get(variable, "").strip() if variable else ""
    if variable and not key:
        raise EnvironmentFault(f"the environment variable {variable} holds no key for {url}")
    return key


class PlayedSession(Protocol):
    """One episode's connection to a server."""

    url: str

    def close(self) -> None:
        """End it; never raises."""
        ...


S = TypeVar("S", bound=PlayedSession)


class Servers(Generic[S]):
    """The servers of one environment, and how many sessions each has.

    begin: opens a session on a server, and resets it with a row. It raises EnvironmentFault, or EnvironmentsFull.
    """

    def __init__(
        self,
        urls: Sequence[str],
        sessions: int,
        patience_seconds: float,
        begin: Callable[[str, Mapping[str, Json]], tuple[S, Answer]],
    ) -> None:
        self.urls, self._most, self._patience, self._begin = list(urls), sessions, patience_seconds, begin
        self._sessions, self._left_alone_until = dict.fromkeys(self.urls, 0), dict.fromkeys(self.urls, 0.0)
        self._full_since: float | None = None
        self._why: dict[str, str] = {}  # why each server did not take an episode when it was last asked
        self._lock = threading.Lock()

    def begun(self, row: Mapping[str, Json]) -> tuple[S, Answer]:
        """A session whose episode was reset with a row, and the first answer.

        A server that is gone or full is passed over. Raises EnvironmentsFull where another episode has to end first, and
        EnvironmentFault where no server takes it while there is patience.
        """
        deadline, full = time.monotonic() + self._patience, False
        while True:
            while url := self._reserved():
                try:
                    found = self._begin(url, row)
                except EnvironmentFault as error:
                    full = full or isinstance(error, EnvironmentsFull)
                    self._failed(url, str(error))
                else:
                    self._full_since = None
                    self._why.pop(url, None)
                    return found
            self._refuse_if_full(full=full)
            if time.monotonic() > deadline:
                raise EnvironmentFault(self._reasons())
            time.sleep(BETWEEN_TRIES_SECONDS)
            with self._lock:
                self._left_alone_until = dict.fromkeys(self.urls, 0.0)

    def ended(self, session: S) -> None:
        """End a session, and make room for another."""
        session.close()
        with self._lock:
            self._sessions[session.url] -= 1

    def _reserved(self) -> str | None:
        """The server with the fewest sessions, where a session is counted; None if none has room and answered lately."""
        now = time.monotonic()
        with self._lock:
            open_now = [one for one in self.urls if self._left_alone_until[one] <= now]
            roomy = [one for one in open_now if self._sessions[one] < self._most]
            if not roomy:
                return None
            url = min(roomy, key=self._sessions.__getitem__)
            self._sessions[url] += 1
            return url

    def _refuse_if_full(self, *, full: bool) -> None:
        """Raise EnvironmentsFull where a session that ends may make room, unless that was so for too long."""
        with self._lock:
            if not full and not any(self._sessions.values()):
                return
            now = time.monotonic()
            self._full_since = self._full_since or now
            waited = now - self._full_since
        if not any(self._sessions.values()) and waited > self._patience:
            raise EnvironmentFault(self._reasons())
        raise EnvironmentsFull(self._reasons())

    def _reasons(self) -> str:
        """Why no server takes an episode, of each server that was asked."""
        with self._lock:
            return "; ".join(dict.fromkeys(self._why.values())) or "every session is taken"

    def _failed(self, url: str, why: str) -> None:
        with self._lock:
            self._why[url] = why
            self._sessions[url] -= 1
            self._left_alone_until[url] = time.monotonic() + LEFT_ALONE_SECONDS


def sent_columns(problem: Problem) -> dict[str, Json]:
    """The columns of a problem that are JSON; a server takes those that its reset names."""
    row: dict[str, Json] = {}
    for name, value in {"answer": problem.answer, **problem.columns}.items():
        try:
            row[name] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError):
            continue
    return {name: value for name, value in row.items() if value not in (None, "")}
