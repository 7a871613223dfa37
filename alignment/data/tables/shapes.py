"""The shapes in which people keep rows, recognised by their keys: chats, problems, pairs of answers, plain text.

`recognise` says which shape a table has; `chat_of` reads a row of any of them. A table's `fields` come first where they
name something else. Neighbours: pairs.py (rows with two answers), turns.py (one turn), fields.py (declared fields),
files.py (formats).
"""

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from alignment.core.errors import DataError
from alignment.data.rows import Message, ToolSchema, user_turn
from alignment.data.tables.json_text import WrittenNumber
from alignment.data.tables.margins import MARGIN
from alignment.data.tables.step_forms import form_of
from alignment.data.tables.turns import turn
from rewards.contract import SAMPLED_COLUMNS, THINKING_KEYS
from rewards.kinds.tool_call.schema import SCHEMA_KEYS, read_json, read_tools

Gives = Literal["conversations", "problems", "pairs", "steps", "nothing"]
# Of a pair; the first that a row has. LLaMA-Factory keeps the turns before the answers in `conversations`.
PROMPTS = ("prompt", "question", "instruction", "query", "input", "conversations")
QUESTIONS = ("problem", "question", "prompt", "query")
SOLUTIONS = ("solution", "reasoning", "trace", "rationale")
EXAMPLES = (
    '{"messages": [{"role": "user", "content": …}, {"role": "assistant", "content": …}]}, '
    '{"prompt": …, "completion": …}, {"instruction": …, "output": …}, {"prompt": …, "chosen": …, "rejected": …} or '
    '{"problem": …, "answer": …}'
)


# Labels of KTO as words, and as numbers beside a prompt and a completion; any other `label` is a column of its own.
LABEL_WORDS = ("true", "false", "good", "bad", "desirable", "undesirable", "chosen", "rejected", "accepted")
LABELS = (*LABEL_WORDS, "0", "1", "-1", "0.0", "1.0", "-1.0")
LABEL_KEYS = ("label", "desirable", "kto_tag")
LOOKED_AT = 64  # rows by which a table is recognised
# A list of messages as text: JSON in a CSV, or Python's own text of it, which is refused.
_MESSAGES = re.compile(r"""\s*\[\s*\{\s*['"](role|from|content|value)['"]\s*:""")
_PAIR_THEM = (
    "no stage trains on answers that are labelled one by one. For dpo write a good and a bad answer to each prompt as "
    '{"prompt": …, "chosen": …, "rejected": …}; for sft write the good ones as {"prompt": …, "completion": …}'
)


_ASKS = frozenset({"instruction", "input", "context", "history"})  # of Alpaca's rows
SYSTEM = ("system", "system_prompt")  # a text that opens the chat of its row
BESIDE = frozenset({*SYSTEM, "tools", "functions"})  # read of any row that has them
# Fields of a problem that mean something else where rewards read them.
NOT_KEPT = (
    *SAMPLED_COLUMNS,
    *sorted(BESIDE),
    "answer",
    "solution",
    "tests",
    "prompts",
    "completions",
    "completion_ids",
    "completion_text",
)


@dataclass(frozen=True)
class Shape:
    """What the rows of a table are. refusal: why nothing can be trained on them, where `gives` is nothing."""

    name: str
    gives: Gives
    question: str = ""
    solution: str | None = None
    kept: tuple[str, ...] = ()  # of a problem: further fields, which rewards of one's own may read
    refusal: str = ""


def recognise(row: Any) -> Shape | None:
    """The shape of a row by its keys; None for none of them."""
    if not isinstance(row, Mapping):
        return None
    keys = {key for key, value in row.items() if value is not None}
    if (form := form_of(row)) is not None:
        return Shape(f"steps with labels ({form.name})", "steps")
    if {"chosen", "rejected"} <= keys:
        return Shape("preference pairs (prompt, chosen, rejected)", "pairs")
    completed = {"prompt", "completion", "label"} <= keys and str(row["label"]).lower() in LABELS
    labelled = [name for name in LABEL_KEYS if str(row.get(name)).lower() in LABEL_WORDS]
    if completed or (labelled and keys & {"messages", "conversations", "completion", "response", "output"}):
        return Shape("KTO labels", "nothing", refusal=_PAIR_THEM)
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
        taken = {question, solution, *NOT_KEPT}
        kept = tuple(str(name) for name in row if name not in taken)
        return Shape(f"problems ({question} as {said}, answer)", "problems", question, solution, kept)
    if isinstance(row.get("text"), str):
        why = "plain text has no turns, so nothing says which of it an assistant wrote; make chats of it"
        return Shape("plain text", "nothing", refusal=why)
    return None


def recognised(where: str, rows: Iterable[Any]) -> Shape:
    """The shape of a table: that of the first of its rows that has one.

    Raises DataError for a table of which no row has a shape, or whose shape no stage can use. where: its path or id.
    """
    seen = list(itertools.islice(rows, LOOKED_AT))
    shape = next((found for row in seen if (found := recognise(row)) is not None), None)
    if not seen:
        raise DataError(f"{where}: holds no rows; write {EXAMPLES}")
    if shape is None and all(isinstance(row, DataError) for row in seen):
        raise DataError(f"{where}: none of its first {len(seen)} rows can be read; the first {seen[0]}")
    if shape is None:
        first = next((row for row in seen if not isinstance(row, DataError)), None)
        keys = ", ".join(map(str, first)) if isinstance(first, Mapping) else f"a {type(first).__name__}"
        raise DataError(
            f"{where}: the first row has {keys}, which is no shape that is known; write "
            f"{EXAMPLES}, or name its fields: [{{source: {where.rpartition('/')[2]}, fields: {{question: …, answer: …}}}}]"
        )
    if shape.gives == "nothing":
        raise DataError(f"{where}: holds {shape.name}: {shape.refusal}")
    if shape.gives != "problems":
        return shape
    others = (found for row in seen if (found := recognise(row)) is not None and found.question == shape.question)
    return replace(shape, kept=tuple(dict.fromkeys(name for found in others for name in found.kept)))


def chat_of(row: Any, name: str = "messages") -> list[Message]:
    """The turns of a row, from the field of that name or from another shape of chat. Raises DataError where there are none."""
    if not isinstance(row, Mapping):
        raise DataError(f"a row is an object, and this is a {type(row).__name__}; write {EXAMPLES}")
    if row.get(name) is not None:
        return opened(row, turns_of(row[name], name))
    if row.get("conversations") is not None and name == "messages":
        return opened(row, turns_of(row["conversations"], "conversations"))
    if "instruction" in row and name == "messages":
        return opened(row, _from_alpaca(row))
    if "prompt" in row and name == "messages" and (answer := first_of(row, ("completion", "response"))):
        return opened(row, [*asked(row["prompt"], "prompt"), *_thinking(row, answers_of(row[answer], answer))])
    raise DataError(
        f"`{name}` is no list of messages; "
        'write [{"role": "user", "content": …}, {"role": "assistant", "content": …}]'
    )


def columns_read(row: Mapping[str, Any]) -> frozenset[str]:
    """The columns of a recognised row that are read; any other is left alone, and `alignment data` names it."""
    shape = recognise(row)
    if shape is None or shape.gives == "nothing":
        return frozenset()
    if shape.gives == "steps":
        return frozenset(row)  # each form has its reader
    if shape.gives == "pairs":
        prompt = first_of(row, PROMPTS) or "prompt"
        return frozenset({"chosen", "rejected", MARGIN, *BESIDE, prompt, *(_ASKS if prompt == "instruction" else ())})
    if shape.gives == "problems":
        return frozenset({shape.question, "answer", shape.solution or "", *BESIDE})
    name = first_of(row, ("messages", "conversations"))
    if name is not None:
        return frozenset({name, *BESIDE})
    asks = _ASKS if "instruction" in row else {"prompt"}
    answers = ("output", "response") if "instruction" in row else ("completion", "response")
    return frozenset({*asks, *BESIDE, *THINKING_KEYS, first_of(row, answers) or ""})


def opened(row: Mapping[str, Any], turns: list[Message], names: tuple[str, ...] = SYSTEM) -> list[Message]:
    """A chat that opens with the system text which its row has beside it. Raises DataError where both have one."""
    name = first_of(row, names)
    if name is None or row[name] == "":
        return turns
    text = text_of(row[name], name)
    if turns[0].get("role") != "system":
        return [{"role": "system", "content": text}, *turns]
    if turns[0].get("content") != text:
        raise DataError(f"`{name}` and the chat's own system turn differ; keep one of them")
    return turns


def _thinking(row: Mapping[str, Any], answers: list[Message]) -> list[Message]:
    """The turns that answer, the last with the thinking which its row has beside it."""
    found = {name: row.get(name) for name in THINKING_KEYS}
    given = {name: value for name, value in found.items() if value not in (None, "") and value == value}
    return [*answers[:-1], turn({**answers[-1], **given})] if given and answers else answers


def asked(value: Any, name: str) -> list[Message]:
    """The messages that a question is: a text as one user turn, or a list of messages or its JSON text.

    Raises DataError otherwise, and for a list of messages that Python wrote as text.
    """
    written = isinstance(value, str) and _MESSAGES.match(value) is not None
    return [user_turn(text_of(value, name))] if isinstance(value, str) and not written else turns_of(value, name)


def turns_of(value: Any, name: str) -> list[Message]:
    """A list of messages, or its JSON text as CSV holds it, in the form of templates. Raises DataError for anything else."""
    if not isinstance(value, str | list | Mapping):
        text_of(value, name)  # says what it is
    try:
        listed = read_json(value)
    except (ValueError, RecursionError):
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
    return [_in_openai_form(one) for one in read_json(found)]


def _in_openai_form(tool: Mapping[str, Any]) -> ToolSchema:
    """A tool as servers hand it to templates, whatever its row calls the arguments' schema: else a policy is asked in other words."""
    function = dict(tool["function"] if "function" in tool else {key: tool[key] for key in tool if key != "type"})
    schema = next((key for key in SCHEMA_KEYS if function.get(key)), None)
    if schema not in (None, "parameters"):
        function = {
            "parameters" if key == schema else key: kept for key, kept in function.items() if key != "parameters"
        }
    return {**({} if "function" not in tool else tool), "type": "function", "function": function}


def text_of(value: Any, name: str) -> str:
    """A text as it stands, or a number as it is written. Raises DataError for null, NaN, true, lists and half characters."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value != value:
        found = "null" if value is None else "NaN" if value != value else f"a {type(value).__name__}"
        raise DataError(f"`{name}` is {found} where a text is needed; write the text, or remove the row")
    text = value.text if isinstance(value, WrittenNumber) else str(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(f"`{name}` is {text}, which is no finite number; write a text, or remove the row")
    if not text.strip():
        raise DataError(f"`{name}` is empty; write the text, or remove the row")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise DataError(f"`{name}` holds half a character (a lone surrogate), which has no tokens; write the whole one")
    return text


def answers_of(value: Any, name: str) -> list[Message]:
    """The turns that answer: a text or number, one message, or a list of them."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number or (isinstance(value, str) and _MESSAGES.match(value) is None):
        return [turn({"role": "assistant", "content": text_of(value, name)})]
    return [turn(dict(value))] if isinstance(value, Mapping) else turns_of(value, name)


def _from_alpaca(row: Mapping[str, Any]) -> list[Message]:
    answer = first_of(row, ("output", "response"))
    if answer is None:
        raise DataError("has an `instruction` and no `output`; write the answer, or remove the row")
    return [*alpaca_prompt(row), *_thinking(row, answers_of(text_of(row[answer], answer), answer))]


def alpaca_prompt(row: Mapping[str, Any]) -> list[Message]:
    """What an `instruction` asks with the `input` and the `history` beside it."""
    question = text_of(row["instruction"], "instruction")
    for name in ("input", "context"):
        if row.get(name) not in (None, ""):
            question += f"\n\n{text_of(row[name], name)}"
    earlier: list[Message] = []
    given = row.get("history") or []
    for pair in given if isinstance(given, list) else [given]:
        if not isinstance(pair, list) or len(pair) != 2:
            raise DataError("`history` is no list of [question, answer]")
        earlier += [user_turn(text_of(pair[0], "history")), *answers_of(text_of(pair[1], "history"), "history")]
    return [*earlier, user_turn(question)]


def first_of(row: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if row.get(name) is not None), None)
