"""Alarms of a stage's evaluations: answers cut off, not judged or not asked, and flags that are not followed.

Neighbours: modes.py (from which stage on flags are trained), evidence.py.
"""

from collections.abc import Iterator

from alignment.records.evaluation import EvaluationFigures
from alignment.report.alarms.evidence import alarm
from alignment.report.document import Alarm, Level
from alignment.report.run import Stage

TRUNCATED_FRACTION = 0.2
UNKNOWN_FRACTION = 0.05
THINK_FOLLOW = 0.9


def evaluation_alarms(stage: Stage, fused: bool) -> Iterator[Alarm]:
    """Answers of an evaluation that were cut off, not judged or not asked, and flags that were not followed."""
    for mode, record in stage.evaluations.items():
        evaluation = record.figures
        spoken = mode.replace("_", "-")
        cut, follow = evaluation.truncated_fraction, evaluation.think_follow
        if cut is not None and cut > TRUNCATED_FRACTION:
            message = f"{cut:.0%} of the {spoken} evaluation answers were cut off at their token limit."
            yield alarm(stage, "evaluation_truncated", cut, TRUNCATED_FRACTION, message)
        if fused and follow is not None and follow < THINK_FOLLOW:
            message = f"The {spoken} flag alone is followed in {follow:.0%} of answers, after both modes were trained."
            yield alarm(stage, "think_follow", follow, THINK_FOLLOW, message)
        unknown = unknown_fraction(evaluation)
        if unknown:
            message = f"{unknown:.1%} of the {spoken} evaluation answers could not be judged."
            level: Level = "warning" if unknown > UNKNOWN_FRACTION else "notice"
            yield alarm(stage, "evaluation_unknown", unknown, UNKNOWN_FRACTION, message, level)
        if evaluation.left_out_too_long:
            message = (
                f"{evaluation.left_out_too_long} problems of the {spoken} evaluation have prompts above max_prompt_tokens "
                "and were not asked: accuracy is that of the others."
            )
            yield alarm(stage, "evaluation_too_long", evaluation.left_out_too_long, 0, message)


def conversation_alarms(stage: Stage, fused: bool) -> Iterator[Alarm]:
    """Flags that are not followed over several turns."""
    obeyed = None if stage.follow is None else stage.follow.obeyed.value
    if fused and obeyed is not None and obeyed < THINK_FOLLOW:
        message = (
            f"Over several turns the flag in force is followed in {obeyed:.0%} of them, after both modes were trained."
        )
        yield alarm(stage, "follow_turns", obeyed, THINK_FOLLOW, message)


def unknown_fraction(figures: EvaluationFigures) -> float:
    """The fraction of answers that could not be judged."""
    return figures.unknown / (figures.count + figures.unknown) if figures.unknown else 0.0
