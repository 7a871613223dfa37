"""From judged completions to the figures of a report. No torch, no engine: lists in, numbers out.

Neighbours: intervals.py (how sure a figure is), votes.py (several answers to one problem).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alignment.core.statistics.intervals import Cluster, fraction_interval, mean_interval


@dataclass(frozen=True)
class Outcome:
    """One answered problem. correct is None where the grader could not judge.

    Outcomes of the same `problem` are samples of one thing, which the intervals take into account; an empty name says
    that the outcome stands alone.
    """

    task: str
    correct: bool | None
    well_formed: bool
    thinking_tokens: int
    answer_tokens: int
    truncated: bool
    forced: bool
    problem: str = ""

    @property
    def finished(self) -> bool:
        """Whether the policy ended both its thinking and its answer itself: no budget and no limit cut it short."""
        return not (self.forced or self.truncated)


def accuracy(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """count, accuracy (None if nothing could be judged) and its interval; unknown counts what was left out."""
    judged = [outcome for outcome in outcomes if outcome.correct is not None]
    clusters = by_problem(judged, [float(outcome.correct or 0) for outcome in judged])
    right = sum(total for total, _ in clusters)
    low, high = fraction_interval(clusters)
    return {
        "count": len(judged),
        "accuracy": round(right / len(judged), 4) if judged else None,
        "accuracy_low": round(low, 4),
        "accuracy_high": round(high, 4),
        "unknown": len(outcomes) - len(judged),
    }


def by_problem(outcomes: Sequence[Outcome], values: Sequence[float]) -> list[Cluster]:
    """(sum of the values, how many) of each problem, in order; an outcome without a problem's name stands alone."""
    clusters: dict[object, Cluster] = {}
    for index, (outcome, value) in enumerate(zip(outcomes, values, strict=True)):
        key = outcome.problem or index
        total, count = clusters.get(key, (0.0, 0))
        clusters[key] = (total + value, count + 1)
    return list(clusters.values())


def certain(name: str, outcomes: Sequence[Outcome], values: Sequence[float]) -> dict[str, float | None]:
    """A mean over completions with its interval under `NAME`, `NAME_low`, `NAME_high`; shares are means of 0 and 1."""
    clusters = by_problem(outcomes, values)
    low, high = fraction_interval(clusters) if name.endswith("_share") else mean_interval(clusters)
    digits = 4 if name.endswith("_share") else 2
    found = {name: sum(values) / len(values) if values else None, f"{name}_low": low, f"{name}_high": high}
    return {key: None if value is None else round(value, digits) for key, value in found.items()}


def figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything one mode's evaluation says, with a breakdown by task."""
    tasks = list(dict.fromkeys(outcome.task for outcome in outcomes))
    return {
        **accuracy(outcomes),
        "format": fraction([outcome.well_formed for outcome in outcomes]),
        "mean_thinking_tokens": mean([outcome.thinking_tokens for outcome in outcomes]),
        "mean_answer_tokens": mean([outcome.answer_tokens for outcome in outcomes]),
        "truncated_fraction": fraction([outcome.truncated for outcome in outcomes]),
        "forced_fraction": fraction([outcome.forced for outcome in outcomes]),
        "tasks": [{"task": task, **accuracy([o for o in outcomes if o.task == task])} for task in tasks],
    }


def fraction(flags: Sequence[bool]) -> float:
    return round(sum(flags) / len(flags), 4) if flags else 0.0


def mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 2) if values else 0.0
