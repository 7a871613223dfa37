"""From judged pairs to figures: win rate, what length and position explain of it, and reasons to doubt it.

Neighbours: judging.py (the pairs), core/statistics/length_control.py (the regression), records/comparison.py (what is recorded).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from alignment.core.statistics.estimate import UNKNOWN, Estimate
from alignment.core.statistics.intervals import Cluster, effective_count, fraction_estimate, mean_estimate
from alignment.core.statistics.length_control import length_controlled
from alignment.core.vocabulary import Mode
from alignment.records.comparison import AnswersFigures, ComparedPair, ComparisonFigures, RecordedAnswer

CLEAR_BIAS = 0.1  # of first_won from one half, beyond which it is a caution
MANY_UNJUDGED = 0.1  # fraction of pairs
WON = {"a": 1.0, "tie": 0.5, "b": 0.0}


@dataclass(frozen=True)
class PairOutcome:
    """A pair with the answers behind it."""

    pair: ComparedPair
    a: RecordedAnswer
    b: RecordedAnswer

    @property
    def won(self) -> float:
        """1 for a win of the first policy, 0.5 for a tie, 0 for a loss."""
        return WON[str(self.pair.winner)]

    @property
    def longer_by(self) -> int:
        """By how many characters the first policy's answer is the longer one."""
        return len(self.a.answer) - len(self.b.answer)


def figures(mode: Mode, outcomes: Sequence[PairOutcome]) -> Iterator[ComparisonFigures]:
    """The figures of one mode: all tasks together, and each of several."""
    yield _figures(mode, None, outcomes)
    tasks = list(dict.fromkeys(one.pair.task for one in outcomes))
    if len(tasks) > 1:
        yield from (_figures(mode, task, [one for one in outcomes if one.pair.task == task]) for task in tasks)


def _figures(mode: Mode, task: str | None, outcomes: Sequence[PairOutcome]) -> ComparisonFigures:
    judged = [one for one in outcomes if one.pair.winner is not None]
    asked = [one for one in judged if one.pair.a_first is not None]
    uneven = [one for one in judged if one.longer_by]
    clusters = _clusters(judged, lambda one: [one.won])
    winners = [one.pair.winner for one in judged]
    return ComparisonFigures(
        mode=mode,
        task=task,
        pairs=len(judged),
        wins=winners.count("a"),
        losses=winners.count("b"),
        ties=winners.count("tie"),
        win_rate=_fraction(clusters),
        length_controlled=length_controlled(
            [one.won for one in judged],
            [one.longer_by for one in judged],
            effective_count(clusters) / len(judged) if judged else 1.0,
        ),
        if_shorter=_fraction(_clusters([one for one in uneven if one.longer_by < 0], lambda one: [one.won])),
        if_longer=_fraction(_clusters([one for one in uneven if one.longer_by > 0], lambda one: [one.won])),
        longer_won=_fraction(_clusters(uneven, lambda one: [one.won if one.longer_by > 0 else 1 - one.won])),
        orders_disagree=_fraction(_clusters(asked, lambda one: [float(one.pair.reason == "orders_disagree")])),
        first_won=_fraction(_clusters(asked, _firsts)),
        unjudged=len(outcomes) - len(judged),
        a=_answers([one.a for one in outcomes]),
        b=_answers([one.b for one in outcomes]),
    )


def _firsts(one: PairOutcome) -> list[float]:
    """Of a pair's two verdicts, whether each prefers what stood first; ties say nothing."""
    seen = ((one.pair.a_first, "a"), (one.pair.b_first, "b"))
    return [float(verdict == first) for verdict, first in seen if verdict not in (None, "tie")]


def _clusters(outcomes: Sequence[PairOutcome], values: Callable[[PairOutcome], Sequence[float]]) -> list[Cluster]:
    """The values of each problem's pairs; a problem without any is none."""
    found: dict[tuple[str, str], list[float]] = {}
    for one in outcomes:
        found.setdefault((one.pair.task, one.pair.problem), []).extend(values(one))
    return [(sum(seen), len(seen)) for seen in found.values() if seen]


def _fraction(clusters: Sequence[Cluster]) -> Estimate:
    return fraction_estimate(clusters) if clusters else UNKNOWN


def _answers(rows: Sequence[RecordedAnswer]) -> AnswersFigures:
    def mean(length: Callable[[RecordedAnswer], int]) -> Estimate:
        found: dict[tuple[str, str], list[int]] = {}
        for row in rows:
            found.setdefault((row.task, row.problem), []).append(length(row))
        return mean_estimate([(float(sum(one)), len(one)) for one in found.values()], 1) if rows else UNKNOWN

    return AnswersFigures(
        mean_characters=mean(lambda row: len(row.answer)),
        mean_tokens=mean(lambda row: row.answer_tokens),
        no_answer=sum(not row.answer for row in rows),
        truncated_fraction=round(sum(row.truncated for row in rows) / len(rows), 4) if rows else None,
    )


def cautions(found: Sequence[ComparisonFigures]) -> Iterator[str]:
    """Why the win rates of all tasks may not mean what they say, in sentences."""
    for one in (each for each in found if each.task is None):
        mode, first, longer = one.mode.replace("_", "-"), one.first_won, one.longer_won
        if first.value is not None and abs(first.value - 0.5) > CLEAR_BIAS and _is_clear(first):
            place = "first" if first.value > 0.5 else "second"
            yield (
                f"{mode}: the judge prefers what stands {place} ({100 * max(first.value, 1 - first.value):.0f}% of its verdicts); pairs "
                "on which that decides are ties, which pull the win rate to one half"
            )
        if longer.value is not None and longer.value > 0.5 and _is_clear(longer):
            yield (
                f"{mode}: the longer answer is better in {100 * longer.value:.0f}% of the pairs; read the length-controlled win rate "
                "beside the win rate"
            )
        if one.unjudged > MANY_UNJUDGED * (one.pairs + one.unjudged):
            yield f"{mode}: {one.unjudged} of {one.pairs + one.unjudged} pairs have no verdict, and may not be like the others"


def _is_clear(found: Estimate) -> bool:
    return found.low is not None and found.high is not None and not found.low <= 0.5 <= found.high
