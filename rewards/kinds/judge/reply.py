"""A chat completion as it came over the wire: what the model said, whether it refused, and the tokens that it took.

Neighbours: endpoint.py (receives it), judgements.py (keeps it), forms.py (reads what the model said).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rewards.kinds.judge.judgements import Usage

CHARACTERS_PER_TOKEN = 3  # where an endpoint does not say; of English it is about 4, and a budget had better hold
LONGEST_NAME = 200  # characters of a model's
MOST_TOKENS_TOLD = 10_000_000  # more than that of one reply is no count


@dataclass(frozen=True)
class Completion:
    """The first choice of a chat completion. content: None where the model said nothing, or nothing that is text.

    model: the one that the server says answered; empty where it does not say.
    """

    content: str | None
    refused: bool
    finish_reason: str
    usage: Usage
    model: str = ""


def read_completion(text: str, messages: Sequence[Mapping[str, str]]) -> Completion | None:
    """A chat completion's JSON; None for anything else. messages: what was asked, for an estimate of tokens."""
    try:
        whole = json.loads(text)
        choice = whole["choices"][0]
        message = choice["message"]
        content, refusal = message.get("content"), message.get("refusal")
        finish, model = choice.get("finish_reason"), whole.get("model")
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError):
        return None
    said = content if isinstance(content, str) else None
    usage = _usage(whole.get("usage"), sum(len(one["content"]) for one in messages), len(said or ""))
    return Completion(
        said,
        bool(refusal) or finish == "content_filter",
        str(finish)[:20],
        usage,
        model[:LONGEST_NAME] if isinstance(model, str) else "",
    )


def _usage(told: Any, asked_characters: int, said_characters: int) -> Usage:
    """What the endpoint says that it took; estimated where it says nothing, or what cannot be."""
    if isinstance(told, Mapping):
        asked, said = told.get("prompt_tokens"), told.get("completion_tokens")
        if isinstance(asked, int) and isinstance(said, int) and _is_count(asked, 1) and _is_count(said, 0):
            return Usage(asked, said)
    return Usage(-(-asked_characters // CHARACTERS_PER_TOKEN), -(-said_characters // CHARACTERS_PER_TOKEN), True)


def _is_count(value: int, least: int) -> bool:
    return not isinstance(value, bool) and least <= value <= MOST_TOKENS_TOLD
