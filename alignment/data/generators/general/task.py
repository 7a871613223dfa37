"""What a task of general RL is: its group, and a maker of problems with an answer as it should be and one with a mistake.

Neighbours: all.py (lists the tasks), and a file for each group.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from alignment.data.rows import Message, ToolSchema

Group = Literal["instructions", "format", "preference", "tools", "special"]


@dataclass(frozen=True)
class Answered:
    """One problem of a task with two demonstrations.

    right: turns that solve it. slip: turns with the mistake that the task is about, such as a forgotten constraint.
    answer and columns: what verifiers read, as in rows.py (Problem).
    """

    asked: str
    right: list[Message]
    slip: list[Message]
    columns: dict[str, Any] = field(default_factory=dict)
    answer: str = ""
    system: str = ""
    tools: list[ToolSchema] = field(default_factory=list)


Maker = Callable[[random.Random], Answered]


@dataclass(frozen=True)
class Task:
    """One task: its name in reports, its group, and what makes its problems."""

    name: str
    group: Group
    make: Maker


def said(thinking: str, content: str) -> list[Message]:
    """One answer with its thinking, as turns of a demonstration."""
    return [{"role": "assistant", "reasoning_content": thinking, "content": content}]


def constrained(*constraints: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """The columns of constraints that the verifier `instruction` reads."""
    return {"instruction_id_list": [name for name, _ in constraints], "kwargs": [kwargs for _, kwargs in constraints]}


def names(*words: object) -> tuple[str, dict[str, Any]]:
    """The constraint that an answer has these words."""
    return "keywords:existence", {"keywords": [str(word) for word in words]}


def numbers(draw: random.Random, count: int, digits: int = 2) -> list[int]:
    """Different numbers of so many digits, none of which is a part of another."""
    return draw.sample(range(10 ** (digits - 1), 10**digits), count)
