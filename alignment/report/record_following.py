"""How flags were obeyed over several turns, and where thinking helped to follow instructions, as values.

Neighbours: record.py (a Stage holds these), read_following.py (fills them from files), following.py (the tables).
"""

from dataclasses import dataclass
from typing import Literal

Number = float | None  # None: not recorded


@dataclass(frozen=True)
class FollowGroup:
    """The turns of conversations that have something in common (`by`), and the share of them that obeyed their flag."""

    by: str
    value: str
    count: int
    obeyed: Number
    obeyed_low: Number
    obeyed_high: Number


@dataclass(frozen=True)
class Follow:
    """How the flags of conversations were obeyed. A policy that always thinks would score `asked_thinking_fraction`."""

    conversations: int
    turns: int
    count: int
    obeyed: Number
    obeyed_low: Number
    obeyed_high: Number
    asked_thinking_fraction: Number
    whole_fraction: Number
    trimmed: int
    left_out: int
    seconds: Number
    groups: tuple[FollowGroup, ...]


Verdict = Literal["helps", "hurts", "no difference seen", "not measured"]


@dataclass(frozen=True)
class Demand:
    """Constraints of one demand, read strictly or loosely: the shares followed in both modes and their paired difference."""

    demand: str
    reading: str
    constraints: int
    problems: int
    thinking: Number
    thinking_low: Number
    thinking_high: Number
    non_thinking: Number
    non_thinking_low: Number
    non_thinking_high: Number
    difference: Number
    difference_low: Number
    difference_high: Number
    verdict: Verdict


@dataclass(frozen=True)
class ConstraintType:
    """One type of constraint, strictly: the shares followed in both modes."""

    type: str
    demand: str
    constraints: int
    thinking: Number
    non_thinking: Number


@dataclass(frozen=True)
class ConstraintTask:
    """Where thinking helped to follow the instructions of one task, and what to know before believing it."""

    task: str
    problems: int
    unknown: int
    modes: dict[str, dict[str, Number]]
    demands: tuple[Demand, ...]
    types: tuple[ConstraintType, ...]
    cautions: tuple[str, ...]
