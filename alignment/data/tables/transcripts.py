"""Chats that are one text, as Anthropic's hh-rlhf has them: `\\n\\nHuman: …\\n\\nAssistant: …`. Neighbour: shapes.py (asks)."""

import itertools
import re

from alignment.core.errors import DataError
from alignment.data.rows import Message

_SPEAKER = re.compile(r"\n\n(Human|Assistant):")
ROLES = {"Human": "user", "Assistant": "assistant"}


def transcript_of(text: str) -> list[Message] | None:
    """The turns of a text that begins with `\\n\\nHuman:`; None for any other. Raises DataError for an empty turn, or two of one speaker."""
    if not text.startswith("\n\nHuman:"):
        return None
    _, *parts = _SPEAKER.split(text)
    turns: list[Message] = [
        {"role": ROLES[speaker], "content": said.strip()} for speaker, said in zip(parts[::2], parts[1::2], strict=True)
    ]
    if any(not one["content"] for one in turns):
        raise DataError("a turn of its transcript is empty")
    if any(one["role"] == other["role"] for one, other in itertools.pairwise(turns)):
        raise DataError("two turns of its transcript are of one speaker")
    return turns
