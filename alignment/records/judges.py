"""What a manifest's counts hold of a stage's judges: what they were asked, and how far they agreed before it trained.

Neighbours: manifest.py (its `counts`), rollout/judges.py and rollout/judge_agreement.py (make these), report/render/judges.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

from alignment.core.statistics.estimate import Estimate
from alignment.core.typed_json import Json, Unreadable, decode, encode

T = TypeVar("T")
SPENDING, AGREEMENT = "judges", "judge_agreement"  # names among the counts


@dataclass(frozen=True)
class JudgeSpending:
    """What a judge was asked, and what that took."""

    asked: Annotated[int, "requests that it answered, right or wrong in form"]
    tokens: Annotated[int, "tokens of requests and replies"]
    cost: Annotated[float, "by the prices that were given, in their unit; 0 without"] = 0.0


@dataclass(frozen=True)
class JudgesSpending(JudgeSpending):
    """The same of all judges of a stage's rewards, in the whole run up to the stage's end."""

    models: Annotated[Mapping[str, str], "by reward: the model that judges"] = field(default_factory=dict)

    def count(self) -> Mapping[str, Json]:
        """As it stands among the counts."""
        return {SPENDING: encode(self)}


@dataclass(frozen=True)
class KnownAgreement:
    """A judge against verdicts that were known before."""

    rows: Annotated[int, "known verdicts"]
    judged: Annotated[int, "those that it gave a verdict on"]
    agreement: Annotated[Estimate, "fraction on which the two agree, with Wilson's interval"]
    kappa: Annotated[float | None, "Cohen's kappa"]
    false_positives: Annotated[int, "wrong answers that it called right"]
    negatives: Annotated[int, "wrong answers"]
    missed: Annotated[int, "right answers that it called wrong"]
    positives: Annotated[int, "right answers"]
    mean_difference: Annotated[float | None, "mean distance of the scores"]
    planted: Annotated[int, "wrong answers with words that ask for a good grade"]
    planted_passed: Annotated[int, "those of them that it called right"]


def spending_of(counts: Mapping[str, Json]) -> JudgesSpending | None:
    """What a stage's judges were asked; None where it had none, or where that is damaged."""
    return _read(JudgesSpending, counts.get(SPENDING))


def agreements_of(counts: Mapping[str, Json]) -> dict[str, KnownAgreement]:
    """By reward: its judge's agreement. What is damaged is left out."""
    return _read(dict[str, KnownAgreement], counts.get(AGREEMENT)) or {}


def _read(kind: type[T], value: Json) -> T | None:
    try:
        return decode(kind, value, [])
    except Unreadable:
        return None
