"""Asking a model behind any OpenAI-compatible endpoint: time limits, retries, structured replies, and why there is none.

verifier.py is what uses it; a local vLLM server is such an endpoint too. What goes wrong comes back as a reason, never as
a score. What was asked before is not asked again (judgements.py). The API key is read from the environment when a request
is made, and is kept in no object, log or evidence.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rewards.kinds.judge.judgements import Judgements, judgement_key
from rewards.kinds.judge.reply import read_completion
from rewards.posting import TRY_AGAIN, client_for, posted, seconds_before
from rewards.spending import BUDGET_SPENT

if TYPE_CHECKING:
    import httpx

LARGEST_REPLY_BYTES = 2_000_000
OTHER_MODEL = "judge_other_model"  # the server says that another model answered than before
NO_REPLY = ("judge_timed_out", "judge_unreachable")
REPLY_TOKENS = 2048  # for the reasoning and the verdict
HUNG_SECONDS = 600.0  # of the patience with a server that is there and does not answer
GIVEN_UP_AFTER = 8  # questions, or as many as are asked at once, that a server has let time out without answering any
FORM_REFUSED = frozenset((400, 404, 422))  # what servers say to a response_format that they do not have


@dataclass(frozen=True)
class Connection:
    """Where a model is, and how it is asked. `model` left empty is the one that the server serves.

    patience_seconds: how long a server that is not there is waited for, beyond the retries, as one is that is being
    started again. One that does not answer in time is waited for as long, and for HUNG_SECONDS at most.
    """

    base_url: str
    model: str = ""
    api_key_env: str = ""
    timeout_seconds: float = 60.0
    concurrency: int = 8
    retries: int = 3
    patience_seconds: float = 0.0
    temperature: float = 0.0
    reply_tokens: int = REPLY_TOKENS


@dataclass(frozen=True)
class Request:
    """One question: its messages, the JSON schema of the reply, and what reads it (None: it is not an answer).

    marker: the random word in the messages, which is no part of what the question is known by.
    """

    messages: Sequence[Mapping[str, str]]
    schema: Mapping[str, Any]
    read: Callable[[str], Any]
    marker: str = ""


@dataclass(frozen=True)
class Reply:
    """What a question led to: the value read from the reply, or None and a reason."""

    value: Any
    reason: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    again: bool = False  # a further attempt may end better
    wait_seconds: float = 0.0  # what the server asked for before it


class Silence:
    """Whether a server has stopped answering: as many questions in a row as `most` were not replied to. For several threads."""

    def __init__(self, most: int) -> None:
        self._most, self._unheard = most, 0
        self.reason: str | None = None
        self._lock = threading.Lock()

    def heard(self, reply: Reply) -> None:
        """Count what a question led to; what needed not be asked says nothing."""
        with self._lock:
            if reply.reason in NO_REPLY:
                self._unheard += 1
                if self._unheard >= self._most:
                    self.reason = reply.reason
            elif not reply.facts.get("cached"):
                self._unheard = 0


class Endpoint:
    """A model at a base URL, with the judgements that it has given."""

    def __init__(self, connection: Connection, judgements: Judgements | None = None) -> None:
        self.connection, self.judgements = connection, judgements or Judgements()
        self.model, self._base_url = connection.model, connection.base_url.rstrip("/")
        self._plain = False  # the server refused a response_format and then answered without

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply per request, in order, at most `concurrency` at a time."""
        if not requests:
            return []
        variable, concurrency = self.connection.api_key_env, self.connection.concurrency
        key = os.environ.get(variable, "").strip() if variable else ""
        if variable and not key:
            return [Reply(None, "api_key_missing", {"variable": variable})] * len(requests)
        if not (key.isascii() and key.isprintable()):
            return [Reply(None, "api_key_unusable", {"variable": variable})] * len(requests)
        from concurrent.futures import ThreadPoolExecutor  # here, because a bare `import rewards` need not wait for it

        client = client_for(self._base_url, key, self.connection.timeout_seconds, concurrency)
        with client, ThreadPoolExecutor(concurrency, thread_name_prefix="judge") as threads:
            silence = Silence(max(GIVEN_UP_AFTER, concurrency))
            return list(threads.map(lambda request: self._unless_silent(silence, client, request), requests))

    def _unless_silent(self, silence: "Silence", client: "httpx.Client", request: Request) -> Reply:
        """A reply, or the reason of those before where a server has stopped answering: all of a batch would wait alike."""
        reason = silence.reason
        if reason is not None:
            return Reply(None, reason, {"asked": False})
        reply = self._ask(client, request)
        silence.heard(reply)
        return reply

    def _ask(self, client: "httpx.Client", request: Request) -> Reply:
        """A request and its retries, with exponential back-off and jitter."""
        began, attempts, failed = time.monotonic(), 0, 0
        while True:
            reply, attempts = self._attempt(client, request), attempts + 1
            patience = {"judge_unreachable": self.connection.patience_seconds}
            patience["judge_timed_out"] = min(HUNG_SECONDS, self.connection.patience_seconds)
            if time.monotonic() - began >= patience.get(reply.reason, 0.0):
                failed += 1
                if not reply.again or failed > self.connection.retries:
                    break
            time.sleep(seconds_before(attempts - 1, reply.wait_seconds))
        return Reply(reply.value, reply.reason, {**reply.facts, "attempts": attempts})

    def _attempt(self, client: "httpx.Client", request: Request) -> Reply:
        import httpx

        try:
            return self._known_or_asked(client, request)
        except (httpx.TimeoutException, TimeoutError):
            return Reply(None, "judge_timed_out", {"timeout_seconds": self.connection.timeout_seconds}, again=True)
        except httpx.HTTPError as error:
            return Reply(None, "judge_unreachable", {"error": type(error).__name__}, again=True)
        except ValueError as error:
            return Reply(None, "judge_unparsable", {"error": type(error).__name__}, again=True)

    def _known_or_asked(self, client: "httpx.Client", request: Request) -> Reply:
        """The judgement that is kept, or a new one if there is something left to spend."""
        one, known = self.connection, self.judgements
        settings = {"temperature": one.temperature, "max_tokens": one.reply_tokens, "schema": request.schema}
        key = judgement_key(self._model(client), settings, request.messages, request.marker)
        with known.alone(key):
            kept = known.find(key)
            value = None if kept is None else request.read(kept)
            if value is not None:
                known.used()
                return Reply(value, "judged", {"cached": True})
            if known.budget.is_spent(spent := known.spent_in_all()):
                return Reply(None, BUDGET_SPENT, known.budget.facts(spent))
            return self._asked(client, request, key)

    def _asked(self, client: "httpx.Client", request: Request, key: str) -> Reply:
        """What the model says now."""
        body: dict[str, Any] = {"model": self.model, "messages": list(request.messages)}
        extras = {
            "temperature": self.connection.temperature,
            "max_tokens": self.connection.reply_tokens,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "verdict", "strict": True, "schema": request.schema},
            },
        }
        status, text, wait = self._post(client, body if self._plain else {**body, **extras})
        if status in FORM_REFUSED and not self._plain:
            status, text, wait = self._post(client, body)
            self._plain = status == 200
        if status != 200:
            return Reply(None, "judge_http_error", {"status": status}, again=status in TRY_AGAIN, wait_seconds=wait)
        return self._read(text, request, key)

    def _read(self, text: str, request: Request, key: str) -> Reply:
        """The value in a chat completion, which is kept if there is one."""
        found = read_completion(text, request.messages)
        if found is None:
            return Reply(None, "judge_unparsable", {"error": "not a chat completion"}, again=True)
        value = None if found.refused or found.content is None else request.read(found.content)
        usual = None if value is None or not found.model else self.judgements.answers_as(self.model, found.model)
        value = value if usual in (None, found.model) else None
        self.judgements.keep(key, self.model, found.content if value is not None else None, found.usage, found.model)
        if found.refused:
            return Reply(None, "judge_refused")
        if usual not in (None, found.model):
            return Reply(None, OTHER_MODEL, {"answered_by": found.model, "before": usual}, again=True)
        if value is None:
            return Reply(None, "judge_unparsable", {"finish_reason": found.finish_reason}, again=True)
        return Reply(value, "judged")

    def _post(self, client: "httpx.Client", body: Mapping[str, Any]) -> tuple[int, str, float]:
        url = f"{self._base_url}/chat/completions"
        return posted(client, url, body, self.connection.timeout_seconds, LARGEST_REPLY_BYTES)

    def _model(self, client: "httpx.Client") -> str:
        """The model's name; asked for once where none was given. Raises ValueError if the server does not say."""
        if not self.model:
            listed = client.get(f"{self._base_url}/models").raise_for_status().json()
            try:
                self.model = str(listed["data"][0]["id"])
            except (KeyError, IndexError, TypeError) as error:
                raise ValueError("the server lists no model") from error
        return self.model
