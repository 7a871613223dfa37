"""From judged completions to the figures of a report. No torch, no engine: lists in, numbers out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Outcome:
    """One answered problem. correct is None where the grader could not judge."""

    task: str
    correct: bool | None
    well_formed: bool
    thinking_tokens: int
    answer_tokens: int
    truncated: bool
    forced: bool


def wilson(successes: int, count: int) -> tuple[float, float]:
    """Wilson's score interval for a share at 95%; (0, 1) when nothing was counted."""
    if count == 0:
        return 0.0, 1.0
    share, z2 = successes / count, Z_95**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z_95 * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(0.0, centre - half), min(1.0, centre + half)


def accuracy(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """count, accuracy (None if nothing could be judged) and its interval; unknown counts what was left out."""
    judged = [outcome.correct for outcome in outcomes if outcome.correct is not None]
    right = sum(judged)
    low, high = wilson(right, len(judged))
    return {
        "count": len(judged),
        "accuracy": round(right / len(judged), 4) if judged else None,
        "accuracy_low": round(low, 4),
        "accuracy_high": round(high, 4),
        "unknown": len(outcomes) - len(judged),
    }


def figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Everything one mode's evaluation says, with a breakdown by task."""
    tasks = list(dict.fromkeys(outcome.task for outcome in outcomes))
    return {
        **accuracy(outcomes),
        "format": share([outcome.well_formed for outcome in outcomes]),
        "mean_thinking_tokens": mean([outcome.thinking_tokens for outcome in outcomes]),
        "mean_answer_tokens": mean([outcome.answer_tokens for outcome in outcomes]),
        "truncated_share": share([outcome.truncated for outcome in outcomes]),
        "forced_share": share([outcome.forced for outcome in outcomes]),
        "tasks": [{"task": task, **accuracy([o for o in outcomes if o.task == task])} for task in tasks],
    }


def as_text(found: dict[str, Any]) -> str:
    """`0.812 (0.764–0.853)`, or that nothing could be judged."""
    if found["accuracy"] is None:
        return f"unknown ({found['unknown']} answers could not be judged)"
    return f"{found['accuracy']:.3f} ({found['accuracy_low']:.3f}–{found['accuracy_high']:.3f})"


def share(flags: Sequence[bool]) -> float:
    return round(sum(flags) / len(flags), 4) if flags else 0.0


def mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 2) if values else 0.0
