"""Constraints followed in thinking and non-thinking mode, from the judged answers of both.

Constraints are grouped by what they demand, planning or precision (rewards/kinds/instruction/constraints), and scored
strictly and loosely. Every problem is answered in both modes, so the difference is taken problem by problem.
Neighbours: evaluation/answering.py (the answers), evaluation/pairs.py (how sure a difference is), docs/evaluation.md
(what it means).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from alignment.core.statistics.estimate import Estimate
from alignment.core.statistics.intervals import Cluster, fraction_estimate
from alignment.core.statistics.pairs import Pair, difference, difference_interval, verdict
from alignment.core.vocabulary import Mode
from alignment.evaluation.outcomes import fraction, mean
from alignment.records.constraints import ConstraintTask, ConstraintType, DemandComparison, ModeAnswers
from alignment.rollout.scoring import Judged
from rewards.contract import split_thinking
from rewards.kinds.instruction.constraints import CONSTRAINTS, DEMANDS
from rewards.kinds.instruction.verifier import READINGS, Reading, marks_of
from rewards.kinds.think_format import thought

ALL = "all"
SELDOM = 0.5  # a mode in which fewer answers think, or more than this where none should, is no test of thinking
UNANSWERED = 0.05  # above this fraction, the token limit affects the result


@dataclass(frozen=True)
class Mark:
    """One constraint of one answer: of which problem, what it demands, and whether it was followed."""

    problem: str
    type: str
    followed: Mapping[Reading, bool]

    @property
    def demand(self) -> str:
        """What following it demands: planning or precision."""
        return CONSTRAINTS[self.type].demand


def constraint_figures(
    answers: Mapping[Mode, Sequence[Judged]], *, same_prompts: bool = False
) -> tuple[ConstraintTask, ...]:
    """One entry for each task that has constraints; empty where none has.

    same_prompts: whether the chat template writes the same prompt for both modes, so that there is nothing to compare.
    """
    asked = {mode: [row for row in rows if _constrained(row)] for mode, rows in answers.items()}
    tasks = dict.fromkeys(_source(row) for rows in asked.values() for row in rows)
    return tuple(
        _task(task, {mode: [row for row in rows if _source(row) == task] for mode, rows in asked.items()}, same_prompts)
        for task in tasks
    )  # fmt: skip


def _source(row: Judged) -> str:
    """The source of a row, under which its constraints are compared: of many small tasks none has enough by itself."""
    source = row.problem.id.rpartition("/")[0]
    return source if source and row.problem.family.startswith(f"{source}/") else row.problem.family


def marks(rows: Sequence[Judged]) -> list[Mark]:
    """The constraints of answers that could be judged, one by one."""
    return [mark for row in rows if _judged(row) for mark in _marks(row)]


def _task(task: str, answers: Mapping[Mode, Sequence[Judged]], same_prompts: bool) -> ConstraintTask:
    found = {mode: marks(rows) for mode, rows in answers.items()}
    modes = {mode: _mode(rows) for mode, rows in answers.items()}
    asked = {one.type for one in found["thinking"]}
    return ConstraintTask(
        task=task,
        problems=len({mark.problem for one in found.values() for mark in one}),
        unknown=sum(not _judged(row) for rows in answers.values() for row in rows),
        modes=modes,
        demands=tuple(_comparison(found, demand, reading) for demand in (*DEMANDS, ALL) for reading in READINGS),
        types=tuple(_type(found, name) for name in CONSTRAINTS if name in asked),
        cautions=tuple(_cautions(modes, same_prompts)),
    )


def _mode(rows: Sequence[Judged]) -> ModeAnswers:
    """Properties of one mode's answers, whether or not they follow the constraints."""
    return ModeAnswers(
        answers=len(rows),
        thinking_answer_fraction=fraction([thought(row.trajectory.text) for row in rows]),
        no_answer_fraction=fraction([not split_thinking(row.trajectory.text)[1] for row in rows]),
        mean_answer_tokens=mean([row.trajectory.answer_tokens for row in rows]),
    )


def _comparison(found: Mapping[Mode, Sequence[Mark]], demand: str, reading: Reading) -> DemandComparison:
    chosen = {mode: [one for one in rows if demand in (ALL, one.demand)] for mode, rows in found.items()}
    clusters = {mode: _clusters(rows, reading) for mode, rows in chosen.items()}
    pairs: list[Pair] = [
        (cluster, clusters["non_thinking"][problem])
        for problem, cluster in clusters["thinking"].items()
        if problem in clusters["non_thinking"]
    ]
    interval = difference_interval(pairs)
    return DemandComparison(
        demand=demand,
        reading=reading,
        constraints=len(chosen["thinking"]),
        problems=len(pairs),
        thinking=fraction_estimate(list(clusters["thinking"].values())),
        non_thinking=fraction_estimate(list(clusters["non_thinking"].values())),
        difference=Estimate(difference(pairs), *interval).rounded(4),
        verdict=verdict(pairs, interval),
    )


def _type(found: Mapping[Mode, Sequence[Mark]], name: str) -> ConstraintType:
    """One type's fractions, strictly. Too many and too small to be tested one by one, so without a verdict."""
    chosen = {mode: [one for one in rows if one.type == name] for mode, rows in found.items()}
    return ConstraintType(
        type=name,
        demand=CONSTRAINTS[name].demand,
        constraints=len(chosen["thinking"]),
        thinking=_followed(chosen["thinking"], "strict"),
        non_thinking=_followed(chosen["non_thinking"], "strict"),
    )


def _clusters(rows: Sequence[Mark], reading: Reading) -> dict[str, Cluster]:
    """(followed, asked) of each problem."""
    clusters: dict[str, Cluster] = {}
    for one in rows:
        followed, asked = clusters.get(one.problem, (0.0, 0))
        clusters[one.problem] = (followed + one.followed[reading], asked + 1)
    return clusters


def _followed(rows: Sequence[Mark], reading: Reading) -> float | None:
    return fraction([one.followed[reading] for one in rows]) if rows else None


def _constrained(row: Judged) -> bool:
    """Whether a row has constraints, and they are what its task is graded by."""
    return bool(row.problem.columns.get("instruction_id_list")) and "instruction" in row.verdicts


def _judged(row: Judged) -> bool:
    return row.verdicts["instruction"].score is not None


def _marks(row: Judged) -> Iterator[Mark]:
    names, kwargs = (row.problem.columns.get(name) for name in ("instruction_id_list", "kwargs"))
    answer = split_thinking(row.trajectory.text)[1]
    read = {reading: marks_of(answer, names or [], kwargs, reading) for reading in READINGS}
    for index, name in enumerate(names or []):
        yield Mark(row.problem.id, name, {reading: read[reading][index] for reading in READINGS})


def _cautions(modes: Mapping[Mode, ModeAnswers], same_prompts: bool) -> Iterator[str]:
    """What a reader has to know before believing a verdict."""
    if same_prompts:
        yield "the chat template writes the same prompt for both modes, so the two columns differ by chance alone"
    thinking, plain = modes["thinking"], modes["non_thinking"]
    if thinking.thinking_answer_fraction < SELDOM:
        yield f"in thinking mode only {thinking.thinking_answer_fraction:.0%} of the answers thought"
    if plain.thinking_answer_fraction > SELDOM:
        yield f"in non-thinking mode {plain.thinking_answer_fraction:.0%} of the answers thought"
    for mode, facts in modes.items():
        if facts.no_answer_fraction > UNANSWERED:
            yield (
                f"in {mode.replace('_', '-')} mode {facts.no_answer_fraction:.0%} of the completions hold no answer, which "
                "follows nothing: thinking that was cut off before its end is the likeliest cause"
            )
