"""What a pool and its workers say to each other: JSON, a line a message, over a socket pair.

Never pickle: what a policy wrote is on the way. Neighbours: pool.py (one end), worker.py (the other).
"""

import json
import socket
from collections.abc import Iterator
from typing import Any

from alignment.inference.engine import EngineSettings, Generation, GenerationRequest
from alignment.inference.thinking_budget import ThinkTokens
from alignment.recipe.blocks.engine import engine_options
from alignment.recipe.blocks.sampling import ThinkingBudget

RECEIVED_BYTES = 1 << 20
Message = dict[str, Any]


class Channel:
    """One end of the line."""

    def __init__(self, end: socket.socket) -> None:
        self._socket, self._held = end, b""

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def send(self, message: Message) -> None:
        """Send a message whole. Raises OSError where the other end is gone."""
        self._socket.sendall(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    def received(self) -> list[Message] | None:
        """Wait for the next messages; None where the other end is gone."""
        while True:
            try:
                found = self._socket.recv(RECEIVED_BYTES)
            except ConnectionError:
                return None
            if not found:
                return None
            *lines, self._held = (self._held + found).split(b"\n")
            if lines:
                return [json.loads(message) for message in lines]

    def messages(self) -> Iterator[Message]:
        """Every message until the other end is gone."""
        while (found := self.received()) is not None:
            yield from found

    def close(self) -> None:
        """Close this end."""
        self._socket.close()


def settings_to_json(settings: EngineSettings) -> Message:
    """The settings of an engine, for `settings_from_json`."""
    thinking = settings.thinking
    return {
        "model": settings.model,
        "max_length": settings.max_length,
        "stop_ids": list(settings.stop_ids),
        "pad_id": settings.pad_id,
        "options": settings.options.model_dump(mode="json"),
        "gpu_memory_fraction": settings.gpu_memory_fraction,
        "trust_remote_code": settings.trust_remote_code,
        "thinking": None
        if thinking is None
        else [thinking.open_id, thinking.close_id, thinking.stop_text, list(thinking.stop_ids)],
        "processes": settings.processes,
    }


def settings_from_json(found: Message) -> EngineSettings:
    """The settings that `settings_to_json` was given."""
    options, thinking = dict(found["options"]), found["thinking"]
    read: Message = {
        **found,
        "stop_ids": tuple(found["stop_ids"]),
        "options": engine_options(options.pop("type"), **options),
        "thinking": None
        if thinking is None
        else ThinkTokens(thinking[0], thinking[1], thinking[2], tuple(thinking[3])),
    }
    return EngineSettings(**read)


def request_to_json(request: GenerationRequest) -> list[Any]:
    """A request, for `request_from_json`."""
    budget = None if request.budget is None else request.budget.model_dump(mode="json")
    return [request.prompt_ids, request.mode, budget, request.max_tokens, request.seed, list(request.stop_after)]


def request_from_json(found: list[Any]) -> GenerationRequest:
    """The request that `request_to_json` was given."""
    prompt_ids, mode, budget, max_tokens, seed, stop_after = found
    asked = None if budget is None else ThinkingBudget.model_validate(budget)
    return GenerationRequest(prompt_ids, mode, asked, max_tokens, seed, tuple(stop_after))


def generation_to_json(made: Generation) -> list[Any]:
    """A generation without its request, which the other end knows, for `generation_from_json`."""
    forced = [place for place, written in enumerate(made.forced) if written]
    return [made.token_ids, made.logprobs, forced, made.stop_reason]


def generation_from_json(request: GenerationRequest, found: list[Any]) -> Generation:
    """The generation that `generation_to_json` was given."""
    token_ids, logprobs, places, stop_reason = found
    forced = [False] * len(token_ids)
    for place in places:
        forced[place] = True
    return Generation(request, token_ids, logprobs, forced, stop_reason)
