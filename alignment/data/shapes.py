"""The shapes in which people keep rows, recognised by their keys: chats, problems, pairs of answers, plain text.

`recognise` says which shape a table has; `chat_of` and `pair_of` read a row of any of them. A table's `fields` come first
where they name something else. Neighbours: turns.py (one turn), fields.py (declared fields), table_files.py (formats).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from alignment.core.errors import DataError
from alignment.data.rows import Message, ToolSchema, user_turn
from alignment.data.turns import turn
from rewards.kinds.tool_call.schema import read_json, read_tools

Gives = Literal["conversations", "problems", "pairs", "nothing"]
QUESTIONS = ("problem", "question", "prompt", "query")
SOLUTIONS = ("solution", "reasoning", "trace", "rationale")
EXAMPLES = (
    '{"messages": [{"role": "user", "content": …}, {"role": "assistant", "content": …}]}, '
    '{"prompt": …, "completion": …}, {"instruction": …, "output": …}, {"prompt": …, "chosen": …, "rejected": …} or '
    '{"problem": …, "answer": …}'
)


@dataclass(frozen=True)
class Shape:
    """What the rows of a table are. refusal: why nothing can be trained on them, where `gives` is nothing."""

    name: str
    gives: Gives
    question: str = ""
    solution: str | None = None
    refusal: str = ""


def recognise(row: Any) -> Shape | None:
    """The shape of a row by its keys; None for none of them."""
    if not isinstance(row, Mapping):
        return None
    keys = {key for key, value in row.items() if value is not None}
    if {"chosen", "rejected"} <= keys:
        return Shape("preference pairs (prompt, chosen, rejected)", "pairs")
    if {"prompt", "completion", "label"} <= keys:
        return Shape("KTO labels", "nothing", refusal="no stage trains on single labelled answers; pair them for dpo")
    for name, title in (("messages", "OpenAI messages"), ("conversations", "ShareGPT conversations")):
        if name in keys:
            return Shape(title, "conversations")
    if "instruction" in keys and keys & {"output", "response"}:
        return Shape("Alpaca (instruction, input, output)", "conversations")
    if "prompt" in keys and keys & {"completion", "response"}:
        return Shape("prompt and completion", "conversations")
    question = next((name for name in QUESTIONS if name in row), None)
    if question is not None and "answer" in row:
        solution = next((name for name in SOLUTIONS if isinstance(row.get(name), str)), None)
        said = "messages" if isinstance(row[question], list) else "text"
        return Shape(f"problems ({question} as {said}, answer)", "problems", question, solution)
    if isinstance(row.get("text"), str):
        why = "plain text has no turns, so nothing says which of it an assistant wrote; make chats of it"
        return Shape("plain text", "nothing", refusal=why)
    return None


def chat_of(row: Any, name: str = "messages") -> list[Message]:
    """The turns of a row, from the field of that name or from another shape of chat. Raises DataError where there are none."""
    if not isinstance(row, Mapping):
        raise DataError(f"a row is an object, and this is a {type(row).__name__}; write {EXAMPLES}")
    if row.get(name) is not None:
        return turns_of(row[name], name)
    if row.get("conversations") is not None:
        turns = turns_of(row["conversations"], "conversations")
        opened = isinstance(row.get("system"), str) and row["system"] and turns[0].get("role") != "system"
        return [{"role": "system", "content": row["system"]}, *turns] if opened else turns
    if "instruction" in row and name == "messages":
        return _from_alpaca(row)
    if "prompt" in row and name == "messages" and (answer := _first(row, ("completion", "response"))):
        return [*asked(row["prompt"], "prompt"), *_answers(row[answer], answer)]
    raise DataError(
        f"`{name}` is no list of messages; "
        'write [{"role": "user", "content": …}, {"role": "assistant", "content": …}]'
    )


def pair_of(row: Any) -> tuple[list[Message], Message, Message]:
    """(prompt, chosen, rejected) of a row whose answers are texts, one message, or whole chats with the prompt in them.

    Raises DataError for anything else, and for a pair of one answer twice.
    """
    if not isinstance(row, Mapping) or not {"chosen", "rejected"} <= row.keys():
        raise DataError('is no pair; write {"prompt": …, "chosen": …, "rejected": …}')
    chosen, rejected = (_answers(row[name], name) for name in ("chosen", "rejected"))
    prompt = asked(row["prompt"], "prompt") if row.get("prompt") is not None else []
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
    if chosen[-1] == rejected[-1]:
        raise DataError("`chosen` and `rejected` are the same answer, which prefers nothing")
    return prompt, chosen[-1], rejected[-1]


def asked(value: Any, name: str) -> list[Message]:
    """The messages that a question is: a text as one user turn, or a list of messages. Raises DataError otherwise."""
    return [user_turn(text_of(value, name))] if isinstance(value, str) else turns_of(value, name)


def turns_of(value: Any, name: str) -> list[Message]:
    """A list of messages, or its JSON text as CSV holds it, in the form of templates. Raises DataError for anything else."""
    try:
        listed = read_json(value)
    except ValueError:
        listed = None
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        raise DataError(
            f"`{name}` is no list of messages; "
            'write [{"role": "user", "content": …}, {"role": "assistant", "content": …}]'
        )
    return [turn(one) for one in listed]


def tools_of(row: Any, name: str = "tools") -> list[ToolSchema]:
    """The tools that a row declares; none without the field. Raises DataError for what is no list of tools."""
    found = row.get(name) if isinstance(row, Mapping) else None
    if found is None and isinstance(row, Mapping) and row.get("functions"):
        name, found = "functions", row["functions"]
    if found in (None, "", []):
        return []
    if read_tools(found) is None:
        raise DataError(
            f"`{name}` is no list of tools; "
            'write [{"type": "function", "function": {"name": …, "parameters": {…}}}], or its JSON text'
        )
    return list(read_json(found))


def text_of(value: Any, name: str) -> str:
    """A text as it stands, or a number as it is written. Raises DataError for null, NaN, true, lists and half characters."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value != value:
        found = "null" if value is None else "NaN" if value != value else f"a {type(value).__name__}"
        raise DataError(f"`{name}` is {found} where a text is needed; write the text, or remove the row")
    text = str(value)
    if not text.strip():
        raise DataError(f"`{name}` is empty; write the text, or remove the row")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise DataError(f"`{name}` holds half a character (a lone surrogate), which has no tokens; write the whole one")
    return text


def _answers(value: Any, name: str) -> list[Message]:
    """The turns that answer: a text, one message, or a list of them."""
    if isinstance(value, str) and not value.lstrip().startswith('[{"'):
        return [turn({"role": "assistant", "content": text_of(value, name)})]
    return [turn(dict(value))] if isinstance(value, Mapping) else turns_of(value, name)


def _from_alpaca(row: Mapping[str, Any]) -> list[Message]:
    answer = _first(row, ("output", "response"))
    if answer is None:
        raise DataError("has an `instruction` and no `output`; write the answer, or remove the row")
    question = text_of(row["instruction"], "instruction")
    if row.get("input") not in (None, ""):
        question += f"\n\n{text_of(row['input'], 'input')}"
    system = [{"role": "system", "content": row["system"]}] if row.get("system") else []
    earlier: list[Message] = []
    given = row.get("history") or []
    for pair in given if isinstance(given, list) else [given]:
        if not isinstance(pair, list) or len(pair) != 2:
            raise DataError("`history` is no list of [question, answer]")
        earlier += [user_turn(text_of(pair[0], "history")), *_answers(text_of(pair[1], "history"), "history")]
    return [*system, *earlier, user_turn(question), *_answers(text_of(row[answer], answer), answer)]


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if row.get(name) is not None), None)
