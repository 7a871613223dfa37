"""evaluations/constraints.json: constraints followed with and without thinking.

Neighbours: evaluation/measures/constraints.py (computes it), report/render/following.py (the tables).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from alignment.core.statistics.estimate import Estimate
from alignment.core.statistics.pairs import Verdict
from alignment.core.typed_json import Json
from alignment.core.vocabulary import Mode
from alignment.records.file_record import FileRecord


@dataclass(frozen=True)
class ModeAnswers:
    """Properties of one mode's answers, whether or not they follow the constraints."""

    answers: Annotated[int, "how many"]
    thinking_answer_fraction: Annotated[float, "fraction that thought"]
    no_answer_fraction: Annotated[float, "fraction that holds no answer at all"]
    mean_answer_tokens: Annotated[float, "mean length after the thinking"]


@dataclass(frozen=True)
class DemandComparison:
    """The fractions of constraints followed in both modes, and their difference on the same problems."""

    demand: Annotated[str, "`planning`, `precision` or `all`"]
    reading: Annotated[Literal["strict", "loose"], "how the answer was read"]
    constraints: Annotated[int, "how many were asked in each mode"]
    problems: Annotated[int, "pairs of answers"]
    thinking: Annotated[Estimate, "fraction followed in thinking mode"]
    non_thinking: Annotated[Estimate, "fraction followed in non-thinking mode"]
    difference: Annotated[Estimate, "thinking minus non-thinking, with a paired bootstrap interval"]
    verdict: Annotated[Verdict, "whether the whole interval lies on one side of zero"]


@dataclass(frozen=True)
class ConstraintType:
    """One type of constraint, scored strictly."""

    type: Annotated[str, "the type"]
    demand: Annotated[str, "what following it demands"]
    constraints: Annotated[int, "how many were asked in each mode"]
    thinking: Annotated[float | None, "fraction followed in thinking mode"] = None
    non_thinking: Annotated[float | None, "fraction followed in non-thinking mode"] = None


@dataclass(frozen=True)
class ConstraintTask:
    """One task with constraints."""

    task: Annotated[str, "the task's name"]
    demands: Annotated[tuple[DemandComparison, ...], "by demand and reading"]
    problems: Annotated[int, "problems with an answer that could be judged"] = 0
    unknown: Annotated[int, "answers that could not be judged, of both modes"] = 0
    modes: Annotated[Mapping[Mode, ModeAnswers], "by mode"] = field(default_factory=dict)
    types: Annotated[tuple[ConstraintType, ...], "by type"] = ()
    cautions: Annotated[tuple[str, ...], "what to know before believing a verdict"] = ()


@dataclass(frozen=True)
class ConstraintsRecord(FileRecord):
    """Constraints followed with and without thinking; written if a task has constraints."""

    tasks: Annotated[tuple[ConstraintTask, ...], "one for each task with constraints"]
    stage: Annotated[str | None, "the stage whose policy answered"] = None
    identity: Annotated[Mapping[str, Json] | None, "what decides the figures: settings, policy, seed"] = None
    seed: Annotated[int | None, "seed of the problems"] = None
