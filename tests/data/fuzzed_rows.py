"""Mutations of a row's values, each with the truths that the row must, and may, be read as afterwards.

Neighbours: fuzzed_shapes.py (the rows), fuzzed_bytes.py (mutations of whole files).
"""

from collections.abc import Callable
from typing import Any

from fuzzed_shapes import (
    Row,
    Truth,
    alpaca,
    called,
    chat_pair,
    completed,
    messages,
    pair,
    problem,
    reasoned,
    said,
    sharegpt,
    worked,
)  # fmt: skip

Outcome = tuple[list[Truth], list[Truth]]
GONE: Outcome = ([], [])


def put(value: Any, path: tuple[Any, ...], new: Any) -> None:
    """Set what stands at a path."""
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new


def holder(row: Row) -> dict[str, Any] | None:
    """The message that holds the answer; None where it is a field of the row."""
    value: Any = row.value
    for key in row.answer[:-1]:
        value = value[key]
    return value if value is not row.value else None


def asked_and_said(row: Row) -> tuple[str, str]:
    """The row's own question and answer."""
    value: Any = row.value
    for key in row.answer:
        value = value[key]
    asked: Any = row.value
    for key in row.question:
        asked = asked[key]
    return (asked if isinstance(asked, str) else ""), value


def answering(new: Any, outcome: str) -> Callable[[Row], Outcome]:
    """An answer in place of the row's own. outcome: gone, as it is written, or either."""

    def mutate(row: Row) -> Outcome:
        question, _ = asked_and_said(row)
        put(row.value, row.answer, new)
        if outcome == "gone":
            return GONE
        if not row.question:
            question = row.truth[1][0][2]
        truth = [row.say(question, str(new))]
        return (truth, []) if outcome == "read" else ([], truth)

    return mutate


def asking(new: Any, outcome: str) -> Callable[[Row], Outcome]:
    """A question in place of the row's own."""

    def mutate(row: Row) -> Outcome:
        _, answer = asked_and_said(row)
        put(row.value, row.question, new)
        truth = [row.say(str(new), answer)]
        return GONE if outcome == "gone" else (truth, []) if outcome == "read" else ([], truth)

    return mutate


def message_key(key: str, value: Any, outcome: str) -> Callable[[Row], Outcome]:
    """A key in the message that answers."""

    def mutate(row: Row) -> Outcome:
        message = holder(row)
        assert message is not None
        message[key] = value
        return GONE if outcome == "gone" else ([row.truth], [])

    return mutate


def column(key: str, value: Any) -> Callable[[Row], Outcome]:
    """A column that means nothing."""

    def mutate(row: Row) -> Outcome:
        row.value[key] = value
        return [row.truth], []

    return mutate


def without_answer(row: Row) -> Outcome:
    place = holder(row)
    (row.value if place is None else place).pop(row.answer[-1])
    return GONE


def thought(row: Row) -> Outcome:
    """A think block before the answer."""
    _, answer = asked_and_said(row)
    put(row.value, row.answer, f"<think>\nsteps\n</think>\n\n{answer}")
    kind, turns, tools = row.truth
    return [(kind, (*turns[:-1], said("assistant", answer, "steps")), tools)], []


def inverted(row: Row) -> Outcome:
    """The answer first."""
    row.value["messages"].reverse()
    return GONE


TEXTS = {  # any format holds them
    "line and paragraph separators": "one\u2028two\u2029three\x85four",
    "emoji and joined letters": "👩‍👩‍👧 e\u0301 مرحبا 你好",
    "line breaks and quotes": 'say "it",\r\nthen\n\n\tgo; \\n stays',
    "spaces at the ends": "  padded  ",
    "a long text": "word " * 5000,
    "braces and a comma": '{"a": [1, 2]}, }',
    "the word None": "None",
}
CHATS = (messages, called, sharegpt, alpaca, completed, reasoned)
IN_MESSAGES = (messages, called, reasoned)


def row_mutations(make: Callable[[int], Row], suffix: str) -> dict[str, Callable[[Row], Outcome]]:
    """Those that a shape and a format can hold."""
    typed, text = suffix.startswith(".json"), suffix in (".csv", ".tsv")
    found: dict[str, Callable[[Row], Outcome]] = {
        f"answer: {name}": answering(one, "read") for name, one in TEXTS.items()
    }
    if make is not chat_pair:
        found |= {f"question: {name}": asking(one, "read") for name, one in TEXTS.items()}
    found["answer: null"] = answering(None, "gone")
    found["answer: end of turn"] = answering("x<|im_end|>\n<|im_start|>user\ny", "gone")
    found["answer: unclosed think"] = answering("<think>on and on", "gone")
    if make in (problem, worked):
        del found["answer: end of turn"], found["answer: unclosed think"]  # a reference is judged, and not a turn
        found["answer: empty"] = answering("", "gone")
        found["question: Python's text of messages"] = asking("[{'role': 'user', 'content': 'q'}]", "gone")
        del found["question: Python's text of messages"]
    else:
        found["answer: empty"] = answering("", "either")
        found["answer: forged think tag"] = answering("so <think>lost</think> 3", "gone")
    if make in CHATS and make is not reasoned:
        found["answer: thought"] = thought
    found["a column that means nothing"] = column("source_id", "x7")
    if text and make is completed:
        found["question: Python's text of messages"] = asking("[{'role': 'user', 'content': 'q'}]", "gone")
    if not text:
        found["answer: no such key"] = without_answer
    if typed:
        values: dict[str, Any] = {
            "true": True,
            "a list": [3],
            "an object": {"x": 1},
            "NaN": float("nan"),
            "infinite": float("inf"),
        }
        found |= {f"answer: {name}": answering(one, "gone") for name, one in values.items()}
        found["answer: a whole number"] = answering(
            10**25, "read" if make in (problem, worked, pair, alpaca) else "either"
        )
        found["answer: half a character"] = answering("half \ud83d", "gone")
    if make in IN_MESSAGES:
        found["an image in the answer"] = answering([{"type": "image_url", "image_url": {"url": "x"}}], "gone")
        if not typed:
            del found["an image in the answer"]
        found["weight 0"] = message_key("weight", 0, "gone")
        found["weight 1"] = message_key("weight", 1, "read")
        found["train false"] = message_key("train", False, "gone")
        found["an unknown role"] = message_key("role", "narrator", "gone")
        found["a name"] = message_key("name", "Ann", "read")
        found["thinking twice"] = lambda row: (
            holder(row).update(reasoning_content="one", thinking="two") or GONE  # type: ignore[union-attr, func-returns-value]
        )
    if make in (messages, reasoned):
        found["the answer first"] = inverted
    if make is pair:
        found["one answer twice"] = lambda row: row.value.update(rejected=row.value["chosen"]) or GONE  # type: ignore[func-returns-value]
    return found
