"""Asking a model behind any OpenAI-compatible endpoint: time limits, retries, structured replies, and why there is none.

verifier.py is what uses it; a local vLLM server is such an endpoint too. What goes wrong comes back as a reason, never as
a score. The API key is read from the environment when a request is made, and is kept in no object, log or evidence.
"""

import json
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

BACKOFF_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 30.0  # doubled at each retry, times a random factor
LARGEST_REPLY_BYTES = 2_000_000
REPLY_TOKENS = 2048  # for the reasoning and the verdict
TRY_AGAIN = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
FORM_REFUSED = frozenset((400, 404, 422))  # what servers say to a response_format that they do not have


@dataclass(frozen=True)
class Request:
    """One question: its messages, the JSON schema of the reply, and what reads it (None: it is not an answer)."""

    messages: Sequence[Mapping[str, str]]
    schema: Mapping[str, Any]
    read: Callable[[str], Any]


@dataclass(frozen=True)
class Reply:
    """What a question led to: the value read from the reply, or None and a reason."""

    value: Any
    reason: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    again: bool = False  # a further attempt may end better
    wait_seconds: float = 0.0  # what the server asked for before it


class Endpoint:
    """A model at a base URL. `model` left empty is the one that the server serves."""

    def __init__(
        self, base_url: str, model: str, api_key_env: str, timeout_seconds: float, concurrency: int, retries: int
    ) -> None:
        self.base_url, self.model, self.api_key_env = base_url.rstrip("/"), model, api_key_env
        self.timeout_seconds, self.concurrency, self.retries = timeout_seconds, concurrency, retries
        self._plain = False  # the server refused a response_format and then answered without

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply per request, in order, at most `concurrency` at a time."""
        if not requests:
            return []
        key = os.environ.get(self.api_key_env, "").strip() if self.api_key_env else ""
        if self.api_key_env and not key:
            return [Reply(None, "api_key_missing", {"variable": self.api_key_env})] * len(requests)
        if not (key.isascii() and key.isprintable()):
            return [Reply(None, "api_key_unusable", {"variable": self.api_key_env})] * len(requests)
        from concurrent.futures import ThreadPoolExecutor

        import httpx  # both here, because a bare `import rewards` need not wait for them

        client = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=self.timeout_seconds,
            trust_env=not is_loopback(self.base_url),  # a proxy cannot reach this machine's own server
            limits=httpx.Limits(max_connections=self.concurrency),
        )
        with client, ThreadPoolExecutor(self.concurrency, thread_name_prefix="judge") as threads:
            return list(threads.map(lambda request: self._ask(client, request), requests))

    def _ask(self, client: "httpx.Client", request: Request) -> Reply:
        """A request and its retries, with exponential back-off and jitter."""
        for attempt in range(self.retries + 1):
            reply = self._attempt(client, request)
            if not reply.again or attempt == self.retries:
                break
            backoff = BACKOFF_SECONDS * 2**attempt * random.uniform(0.5, 1.5)
            time.sleep(min(LONGEST_WAIT_SECONDS, max(backoff, reply.wait_seconds)))
        return Reply(reply.value, reply.reason, {**reply.facts, "attempts": attempt + 1})

    def _attempt(self, client: "httpx.Client", request: Request) -> Reply:
        import httpx

        try:
            body: dict[str, Any] = {"model": self._model(client), "messages": list(request.messages)}
            extras = {
                "temperature": 0,
                "max_tokens": REPLY_TOKENS,
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "verdict", "strict": True, "schema": request.schema},
                },
            }
            status, text, wait = self._post(client, body if self._plain else {**body, **extras})
            if status in FORM_REFUSED and not self._plain:
                status, text, wait = self._post(client, body)
                self._plain = status == 200
        except (httpx.TimeoutException, TimeoutError):
            return Reply(None, "judge_timed_out", {"timeout_seconds": self.timeout_seconds}, again=True)
        except httpx.HTTPError as error:
            return Reply(None, "judge_unreachable", {"error": type(error).__name__}, again=True)
        except ValueError as error:
            return Reply(None, "judge_unparsable", {"error": type(error).__name__}, again=True)
        if status != 200:
            return Reply(None, "judge_http_error", {"status": status}, again=status in TRY_AGAIN, wait_seconds=wait)
        return _read_reply(text, request.read)

    def _post(self, client: "httpx.Client", body: Mapping[str, Any]) -> tuple[int, str, float]:
        """`(status, text, seconds to wait)`. The limit is on the whole reply, not only between two of its bytes."""
        deadline, received = time.monotonic() + self.timeout_seconds, bytearray()
        with client.stream("POST", f"{self.base_url}/chat/completions", json=dict(body)) as response:
            for chunk in response.iter_bytes():
                received += chunk
                if len(received) > LARGEST_REPLY_BYTES:
                    raise ValueError("the reply is too large")
                if time.monotonic() > deadline:
                    raise TimeoutError
        wait = response.headers.get("retry-after", "")
        return response.status_code, received.decode("utf-8", "replace"), float(wait) if wait.isdecimal() else 0.0

    def _model(self, client: "httpx.Client") -> str:
        """The model's name; asked for once where none was given. Raises ValueError if the server does not say."""
        if not self.model:
            listed = client.get(f"{self.base_url}/models").raise_for_status().json()
            try:
                self.model = str(listed["data"][0]["id"])
            except (KeyError, IndexError, TypeError) as error:
                raise ValueError("the server lists no model") from error
        return self.model


def url_problem(base_url: str, *, sends_key: bool) -> str | None:
    """Why a base URL cannot be used, or None."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(base_url)
        _ = parts.port  # raises for one that is no number below 65536
    except ValueError:
        return "it is not a URL"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "write http:// or https:// and a host, such as http://127.0.0.1:8000/v1"
    if parts.username or parts.password or parts.query:
        return "it must hold no user, password or query; name the key's variable in api_key_env"
    if sends_key and parts.scheme == "http" and not is_loopback(base_url):
        return "a key would be sent unencrypted; write https://"
    return None


def is_loopback(base_url: str) -> bool:
    """Whether a URL is one of this machine's own addresses."""
    import ipaddress
    from urllib.parse import urlsplit

    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read_reply(text: str, read: Callable[[str], Any]) -> Reply:
    """The value in a chat completion's JSON."""
    try:
        choice = json.loads(text)["choices"][0]
        message = choice["message"]
        content, refusal = message.get("content"), message.get("refusal")
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError):
        return Reply(None, "judge_unparsable", {"error": "not a chat completion"}, again=True)
    if refusal or choice.get("finish_reason") == "content_filter":
        return Reply(None, "judge_refused")
    value = read(content) if isinstance(content, str) else None
    if value is None:
        cut = {"finish_reason": str(choice.get("finish_reason"))[:20]}
        return Reply(None, "judge_unparsable", cut, again=True)
    return Reply(value, "judged")
