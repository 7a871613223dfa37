"""How log-odds on paired prompts shifted from stage to stage, by group and language.

The shift is paired: the same rows under both policies. Neighbours: run.py (Stage), records/paired_prompts.py (the rows),
document.py (PairedShift), render/paired_prompts.py (the table).
"""

from collections.abc import Iterator, Mapping, Sequence

from alignment.core.statistics.estimate import UNKNOWN, Estimate
from alignment.core.statistics.intervals import mean_estimate
from alignment.records.paired_prompts import PairedPromptsRecord, PairOdds
from alignment.report.changes import evaluated_before
from alignment.report.document import PairedShift
from alignment.report.run import Run, Stage

Key = tuple[str, str]


def paired_shifts(run: Run) -> tuple[PairedShift, ...]:
    """A row for each stage, group and language that was measured."""
    return tuple(one for index in range(len(run.stages)) for one in _shifts(run, index))


def _shifts(run: Run, index: int) -> Iterator[PairedShift]:
    stage = run.stages[index]
    if stage.paired_prompts is not None:
        before = evaluated_before(run.stages, index, "non_thinking")
        yield from shifts(stage.name, stage.paired_prompts, before)


def shifts(name: str, found: PairedPromptsRecord, before: Stage | None = None) -> Iterator[PairedShift]:
    """A row for each group and language of one policy, and its shift since the stage before, where that was measured."""
    earlier = _by_key(before.paired_prompts.rows) if before is not None and before.paired_prompts is not None else {}
    for (group, language), rows in _by_key(found.rows).items():
        known = {(one.a, one.b): one.log_odds for one in earlier.get((group, language), ())}
        moved = [one.log_odds - known[one.a, one.b] for one in rows if (one.a, one.b) in known]
        yield PairedShift(
            stage=name,
            group=group,
            language=language,
            rows=len(rows),
            log_odds=_mean([one.log_odds for one in rows]),
            order_effect=_mean([one.order_effect for one in rows]),
            since=before.name if before is not None and moved else None,
            shift=_mean(moved),
            spread=_mean([abs(one) for one in moved]),
        )


def _by_key(rows: Sequence[PairOdds]) -> Mapping[Key, list[PairOdds]]:
    found: dict[Key, list[PairOdds]] = {}
    for one in rows:
        found.setdefault((one.group, one.language), []).append(one)
    return found


def _mean(values: Sequence[float]) -> Estimate:
    return mean_estimate([(value, 1) for value in values]) if values else UNKNOWN
