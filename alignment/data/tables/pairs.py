"""A row with a better and a worse answer: its prompt, whichever way it is written, and the two answers.

Neighbours: shapes.py (which shape a row has), transcripts.py (chats in one text), fields.py (asks).
"""

from collections.abc import Mapping
from typing import Any

from alignment.core.errors import DataError
from alignment.data.rows import Message
from alignment.data.tables.shapes import PROMPTS, alpaca_prompt, answers_of, asked, first_of, opened
from alignment.data.tables.transcripts import transcript_of

REPEATED_WORDS = 3  # of a prompt, from which on two answers do not begin with it by chance


def pair_of(row: Any) -> tuple[list[Message], Message, Message]:
    """(prompt, chosen, rejected) of a row whose answers are texts, one message, or whole chats or transcripts with the prompt in them.

    Raises DataError for anything else, and for a pair of one answer twice.
    """
    if not isinstance(row, Mapping) or not {"chosen", "rejected"} <= row.keys():
        raise DataError('is no pair; write {"prompt": …, "chosen": …, "rejected": …}')
    name = first_of(row, PROMPTS)
    reads = answers_of if name is not None else _whole_chat
    chosen, rejected = (reads(row[key], key) for key in ("chosen", "rejected"))
    alpaca = name == "instruction" and isinstance(row[name], str)
    prompt = [] if name is None else opened(row, alpaca_prompt(row) if alpaca else asked(row[name], name))
    if len(chosen) > 1 or len(rejected) > 1:
        if chosen[:-1] != rejected[:-1]:
            raise DataError("`chosen` and `rejected` do not answer the same prompt, so they cannot be compared")
        if prompt and chosen[: len(prompt)] != prompt:
            raise DataError("`chosen` does not begin with its `prompt`; write the answers alone, or leave out `prompt`")
        prompt = chosen[:-1]
    if not prompt:
        raise DataError("`prompt` is missing, and `chosen` holds no turns before its answer")
    if chosen[-1].get("role") != "assistant" or rejected[-1].get("role") != "assistant":
        raise DataError("`chosen` and `rejected` have to end with an assistant turn")
    if _trimmed(chosen[-1]) == _trimmed(rejected[-1]):
        raise DataError("`chosen` and `rejected` are the same answer, which prefers nothing")
    if isinstance(row["chosen"], str) and _repeat(row["chosen"], row["rejected"], row.get(name or "")):
        raise DataError(
            f"`chosen` and `rejected` begin with their `{name}`, which would be trained twice; write the answers alone"
        )
    return prompt, chosen[-1], rejected[-1]


def _trimmed(answer: Message) -> Message:
    """An answer without white space at its ends, which many templates trim."""
    return {key: kept.strip() if isinstance(kept, str) else kept for key, kept in answer.items()}


def _repeat(chosen: str, rejected: Any, prompt: Any) -> bool:
    """Whether both answers begin with the whole prompt, as text for base models has them; `Hi` may begin an answer to `Hi`."""
    if not isinstance(prompt, str) or not isinstance(rejected, str) or len(prompt.split()) < REPEATED_WORDS:
        return False
    return chosen.startswith(prompt) and rejected.startswith(prompt)


def _whole_chat(value: Any, name: str) -> list[Message]:
    """The turns of a pair's side that has its prompt in it, a transcript among them; else what answers."""
    found = transcript_of(value) if isinstance(value, str) else None
    return answers_of(value, name) if found is None else found
