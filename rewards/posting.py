"""Posts JSON to a service and reads the JSON that it answers: limits on time and size, retries, and why there is no reply.

What goes wrong comes back as a reason, never as a value. A key is read from the environment when a batch is sent, and is
kept in no object, log or evidence. Neighbours: kinds/http_verify (the user), kinds/judge/endpoint.py (asks chat models, with
the client, the limits and the waits of this file).
"""

import json
import os
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

BACKOFF_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 30.0  # doubled at each retry, times a random factor
MOST_DOUBLINGS = 6  # with which the longest wait is reached
LARGEST_REPLY_BYTES = 10_000_000  # a service may send the conversation back
TRY_AGAIN = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))


@dataclass(frozen=True)
class Answered:
    """What a request led to: the JSON object of the reply, or None, and a reason; `detail` says more for a person."""

    value: Mapping[str, Any] | None
    reason: str
    detail: str = ""
    attempts: int = 1


@dataclass(frozen=True)
class Service:
    """A service at a URL that takes POST requests. `key_env`: the environment variable that holds its key; or empty.

    largest_bytes: of a reply.
    """

    url: str
    key_env: str
    timeout_seconds: float
    concurrency: int
    retries: int
    largest_bytes: int = LARGEST_REPLY_BYTES

    def ask(self, bodies: Sequence[Mapping[str, Any]]) -> list[Answered]:
        """One reply per body, in order, at most `concurrency` at a time."""
        if not bodies:
            return []
        key = os.environ.get(self.key_env, "").strip() if self.key_env else ""
        if self.key_env and not (key and key.isascii() and key.isprintable()):
            missing = Answered(None, "api_key_missing", f"the environment variable {self.key_env} holds no key", 0)
            return [missing] * len(bodies)
        from concurrent.futures import ThreadPoolExecutor  # here, because a bare `import rewards` need not wait for it

        client = client_for(self.url, key, self.timeout_seconds, self.concurrency)
        with client, ThreadPoolExecutor(self.concurrency, thread_name_prefix="posting") as threads:
            return list(threads.map(lambda body: self._ask(client, body), bodies))

    def _ask(self, client: "httpx.Client", body: Mapping[str, Any]) -> Answered:
        """A request and its retries, with exponential back-off and jitter."""
        for attempt in range(self.retries + 1):
            found, wait_seconds = self._attempt(client, body)
            if wait_seconds is None or attempt == self.retries:
                break
            time.sleep(seconds_before(attempt, wait_seconds))
        return Answered(found.value, found.reason, found.detail, attempt + 1)

    def _attempt(self, client: "httpx.Client", body: Mapping[str, Any]) -> tuple[Answered, float | None]:
        """A reply, and the seconds to wait before another attempt; None where that would end no better."""
        import httpx

        try:
            status, text, wait_seconds = posted(client, self.url, body, self.timeout_seconds, self.largest_bytes)
        except (httpx.TimeoutException, TimeoutError):
            return Answered(None, "timed_out", f"no answer from {self.url} in {self.timeout_seconds:g} s"), 0.0
        except httpx.HTTPError as error:
            return Answered(None, "unreachable", f"{self.url}: {type(error).__name__}"), 0.0
        except ValueError as error:
            return Answered(None, "unparsable", f"{self.url}: {error}"), None
        if status != 200:
            return Answered(None, "http_error", f"{self.url} answers {status}: {text[:200]}"), (
                wait_seconds if status in TRY_AGAIN else None
            )
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            return Answered(None, "unparsable", f"{self.url} answers no JSON object: {text[:100]}"), None
        return Answered(value, "answered"), None


def client_for(url: str, key: str, timeout_seconds: float, concurrency: int) -> "httpx.Client":
    """A client for requests to a URL with a key (empty: none); to be closed by who asked for it."""
    import httpx  # here, because a bare `import rewards` need not wait for it

    return httpx.Client(
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=timeout_seconds,
        trust_env=not is_loopback(url),  # a proxy cannot reach this machine's own service
        limits=httpx.Limits(max_connections=concurrency),
    )


def posted(
    client: "httpx.Client", url: str, body: Mapping[str, Any], timeout_seconds: float, largest_bytes: int
) -> tuple[int, str, float]:
    """`(status, text, seconds to wait)`. The limit is on the whole reply, not only between two of its bytes.

    Raises TimeoutError and httpx's errors, and ValueError for a reply that is too large.
    """
    deadline, received = time.monotonic() + timeout_seconds, bytearray()
    with client.stream("POST", url, json=dict(body)) as response:
        for chunk in response.iter_bytes():
            received += chunk
            if len(received) > largest_bytes:
                raise ValueError("the reply is too large")
            if time.monotonic() > deadline:
                raise TimeoutError
    wait = response.headers.get("retry-after", "")
    return response.status_code, received.decode("utf-8", "replace"), float(wait) if wait.isdecimal() else 0.0


def seconds_before(retry: int, asked_seconds: float) -> float:
    """How long to wait before a retry, counted from 0, with what the server asked for."""
    backoff = BACKOFF_SECONDS * 2 ** min(retry, MOST_DOUBLINGS) * random.uniform(0.5, 1.5)
    return min(LONGEST_WAIT_SECONDS, max(backoff, asked_seconds))


def url_fault(base_url: str, *, sends_key: bool) -> str | None:
    """Why the base URL of an OpenAI-compatible server cannot be used, or None."""
    fault = form_fault(base_url, "http://127.0.0.1:8000/v1")
    if fault is None and sends_key and is_unencrypted(base_url):
        return "a key would be sent unencrypted; write https://"
    return fault


def service_fault(url: str) -> str | None:
    """Why a URL cannot be posted to, or None: on this machine by http, elsewhere by https."""
    fault = form_fault(url, "http://127.0.0.1:8000")
    if fault is None and is_unencrypted(url):
        return "what the policy writes would be sent unencrypted; write https://, or an address of this machine"
    return fault


def form_fault(url: str, example: str) -> str | None:
    """Why a text is no URL of a service, or None. example: one that is, for the message."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for one that is no number below 65536
    except ValueError:
        return "it is not a URL"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return f"write http:// or https:// and a host, such as {example}"
    if parts.username or parts.password or parts.query:
        return "it must hold no user, password or query; name the key's variable in api_key_env"
    return None


def is_unencrypted(url: str) -> bool:
    """Whether what is sent to a URL can be read on its way: by http, to another machine."""
    from urllib.parse import urlsplit

    return urlsplit(url).scheme == "http" and not is_loopback(url)


def is_loopback(url: str) -> bool:
    """Whether a URL is one of this machine's own addresses."""
    import ipaddress
    from urllib.parse import urlsplit

    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
