"""The gold answer that a row's own reference gives: every grader has to pass it, or the row teaches that right is wrong.

audit.py runs it over a file, and a recipe's check over a sample of its data. A kind is here when a right answer can be
written from its columns alone.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rewards.answer import MathAnswer
from rewards.code import PythonTests
from rewards.contract import Rollout, Verifier
from rewards.reading import last_box
from rewards.tool_call import CALL_CLOSE, CALL_OPEN, ToolCall
from rewards.tool_schema import read_tools
from rewards.tool_values import read_calls

BATCH = 256  # rows that are judged in one call


class GoldUnknown(ValueError):
    """A kind for which no right answer can be written from a row's columns."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"no right answer can be written from the columns of {kind!r}; write one of: {', '.join(GOLD)}"
        )


@dataclass(frozen=True)
class GoldFailure:
    """A row whose own reference does not pass: where it is, why, and the reference as it stands."""

    place: Any
    reason: str
    score: float | None
    reference: str


def gold_answer(columns: Mapping[str, Any]) -> str:
    r"""A row's `answer` in a box, as a model would give it: the part after "####" (GSM8K), or what stands in its own box."""
    text = str(columns.get("answer", "")).rpartition("####")[2].strip()
    box = last_box(text)
    return rf"\boxed{{{text if box is None else box}}}"


def gold_calls(columns: Mapping[str, Any]) -> str:
    """A row's reference calls as Qwen writes them; a plain sentence where none is to be made."""
    tools, calls = read_tools(columns.get("tools")), read_calls(columns.get("calls"))
    if tools is None or calls is None or any(call.name not in tools for call in calls):
        return "Nothing."
    made = [json.dumps(call.gold(tools[call.name]), ensure_ascii=False) for call in calls]
    return "\n".join(f"{CALL_OPEN}\n{text}\n{CALL_CLOSE}" for text in made) or "None of the tools is needed."


def gold_program(columns: Mapping[str, Any]) -> str:
    """A row's `solution` as a model would give it: fenced, where it is not already."""
    text = str(columns.get("solution", ""))
    return text if "```" in text else f"```python\n{text}\n```"


@dataclass(frozen=True)
class Gold:
    """How a kind's gold answer is written, who judges it, and the column of the reference, where a person looks first."""

    write: Callable[[Mapping[str, Any]], str]
    verifier: type[Verifier]
    reference: str


GOLD: dict[str, Gold] = {
    "math_answer": Gold(gold_answer, MathAnswer, "answer"),
    "python_tests": Gold(gold_program, PythonTests, "solution"),
    "tool_call": Gold(gold_calls, ToolCall, "calls"),
}


def gold_of(kind: str) -> Gold:
    """How a kind's gold answer is written. Raises GoldUnknown."""
    if kind not in GOLD:
        raise GoldUnknown(kind)
    return GOLD[kind]


def failures_of_gold(
    kind: str, rows: Iterable[tuple[Any, Mapping[str, Any]]], options: Mapping[str, Any] | None = None
) -> list[GoldFailure]:
    """The rows, each with its place, whose reference does not pass its own grader. Raises GoldUnknown."""
    gold, listed, failures = gold_of(kind), list(rows), []
    verifier = gold.verifier(**(options or {}))
    try:
        for start in range(0, len(listed), BATCH):
            batch = listed[start : start + BATCH]
            rollouts = [
                Rollout("", gold.write(row), columns={**dict.fromkeys(verifier.columns), **row}) for _, row in batch
            ]
            for (place, row), verdict in zip(batch, verifier.judge(rollouts), strict=True):
                if verdict.score != 1.0:
                    reference = str(row.get(gold.reference))[:200]
                    failures.append(GoldFailure(place, verdict.reason, verdict.score, reference))
    finally:
        verifier.close()
    return failures
