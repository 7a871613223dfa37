"""Tables of how flags were obeyed over several turns, and of where thinking helps to follow instructions.

Rows of text, so that Markdown, the page and the terminal say the same. Neighbours: records/follow.py and
records/constraints.py (the figures), report/phrases.py (how numbers read); docs/evaluation.md says what the figures
mean.
"""

from collections.abc import Iterator, Mapping, Sequence

from alignment.records.constraints import ConstraintTask, DemandComparison
from alignment.records.follow import FollowFigures, FollowGroup
from alignment.report import phrases
from alignment.report.document import Report
from alignment.report.phrases import MISSING

Rows = list[tuple[str, ...]]

GROUP_NAMES = {
    "same": "mode as before",
    "changed": "mode changed",
    "carried": "flag of an earlier turn",
    "default": "no flag yet",
    "thinking": "asked to think",
    "non_thinking": "asked not to",
}
CONSTRAINT_HEADINGS = ("stage", "task", "demand", "scored", "constraints", "thinking %", "non-thinking %",
                       "difference, points", "thinking …")  # fmt: skip
NARROW_HEADINGS = ("demand", "scored", "of", "thinking\n%", "non-\nthinking\n%", "difference, points", "thinking …")
TYPE_HEADINGS = ("type", "demand", "constraints", "thinking %", "non-thinking %")


FOLLOW_LEGEND = (
    "Conversations on held-out questions with random flags; the last flag wins, and without any the policy is to think. "
    "Intervals are Wilson's at 95%, over conversations."
)
CONSTRAINT_LEGEND = (
    "The fraction of constraints followed, by what they demand. The difference is thinking minus non-thinking on "
    "the same problems, with a paired bootstrap interval at 95% over problems; thinking helps or hurts where all of it lies "
    "on one side of zero. No difference seen is not no difference: it may be as large as the interval's ends."
)


def followed_stages(report: Report) -> dict[str, FollowFigures]:
    """The stages of a report whose conversations were measured."""
    return {stage.name: stage.follow for stage in report.stages if stage.follow is not None}


def constrained_stages(report: Report) -> dict[str, Sequence[ConstraintTask]]:
    """The stages of a report that were measured on a task with constraints."""
    return {stage.name: stage.constraints for stage in report.stages if stage.constraints}


def follow_table(stages: Mapping[str, FollowFigures]) -> tuple[tuple[str, ...], Rows]:
    """One row for each group of turns, one column for each stage: the fraction that obeyed, with its interval."""
    groups: dict[tuple[str, str], str] = {}
    for facts in stages.values():
        groups |= {(one.by, one.value): _group_name(one) for one in facts.groups}
    rows: Rows = [("every turn", *(phrases.with_interval(facts.obeyed) for facts in stages.values()))]
    for key, name in groups.items():
        found = [[one for one in facts.groups if (one.by, one.value) == key] for facts in stages.values()]
        rows.append((name, *(phrases.with_interval(one[0].obeyed) if one else MISSING for one in found)))
    rows.append(
        (
            "a policy that always thinks",
            *(phrases.percent(facts.asked_thinking_fraction) for facts in stages.values()),
        )
    )
    rows.append(("whole conversations", *(phrases.percent(facts.whole_fraction) for facts in stages.values())))
    trimmed, left_out = ([getattr(one, name) for one in stages.values()] for name in ("trimmed", "left_out"))
    if any(trimmed):
        rows.append(("turns whose oldest history did not fit", *map(phrases.count, trimmed)))
    if any(left_out):
        rows.append(("turns too long to be asked", *map(phrases.count, left_out)))
    return ("turns that obeyed, %", *stages), rows


def constraint_table(stages: Mapping[str, Sequence[ConstraintTask]]) -> tuple[tuple[str, ...], Rows]:
    """One row for each stage, task, demand and reading, with the paired difference and its verdict."""
    rows: Rows = [
        (
            stage,
            task.task,
            one.demand,
            one.reading,
            phrases.count(one.constraints),
            phrases.with_interval(one.thinking),
            phrases.with_interval(one.non_thinking),
            difference(one),
            one.verdict,
        )
        for stage, tasks in stages.items()
        for task in tasks
        for one in task.demands
    ]
    return CONSTRAINT_HEADINGS, rows


def narrow_constraint_table(task: ConstraintTask) -> tuple[tuple[str, ...], Rows]:
    """One task in eighty columns: the fractions without intervals."""
    rows: Rows = [
        (
            one.demand,
            one.reading,
            phrases.count(one.constraints),
            phrases.percent(one.thinking.value),
            phrases.percent(one.non_thinking.value),
            difference(one),
            one.verdict,
        )
        for one in task.demands
    ]
    return NARROW_HEADINGS, rows


def type_table(task: ConstraintTask) -> tuple[tuple[str, ...], Rows]:
    """The strict fractions of each type of constraint of one task."""
    rows: Rows = [
        (one.type, one.demand, phrases.count(one.constraints), phrases.percent(one.thinking), phrases.percent(one.non_thinking))
        for one in task.types
    ]  # fmt: skip
    return TYPE_HEADINGS, rows


def cautions(stages: Mapping[str, Sequence[ConstraintTask]]) -> Iterator[str]:
    """`stage, task: what to know before believing its verdicts`."""
    for stage, tasks in stages.items():
        for task in tasks:
            yield from (f"{stage}, {task.task}: {caution}" for caution in task.cautions)


def difference(one: DemandComparison) -> str:
    """`+4.2 (−1.0 to +9.3)`, thinking minus non-thinking in percentage points."""
    found = one.difference
    if found.value is None:
        return MISSING
    return f"{phrases.points(found.value)} ({phrases.points(found.low)} to {phrases.points(found.high)})"


def _group_name(group: FollowGroup) -> str:
    if group.by == "position":
        return f"turn {group.value}"
    return GROUP_NAMES.get(group.value, group.value)
