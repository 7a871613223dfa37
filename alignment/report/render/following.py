"""Tables of how flags were obeyed over several turns, and of where thinking helps to follow instructions.

Rows of text, so that Markdown, the page and the terminal say the same. Neighbours: read_following.py (the files),
phrases.py (how numbers read); docs/evaluation.md says what the figures mean.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alignment.report.record import MODES
from alignment.report.render import phrases
from alignment.report.render.phrases import MISSING

Facts = dict[str, Any]
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
    "The share of constraints followed, by what following them demands. The difference is thinking minus non-thinking on "
    "the same problems, with a paired bootstrap interval at 95% over problems; thinking helps or hurts where all of it lies "
    "on one side of zero. No difference seen is not no difference: it may be as large as the interval's ends."
)


def followed_stages(document: Facts) -> dict[str, Facts]:
    """The stages of a report whose conversations were measured."""
    return {stage["name"]: stage["follow"] for stage in document["stages"] if stage["follow"]}


def constrained_stages(document: Facts) -> dict[str, list[Facts]]:
    """The stages of a report that were measured on a task with constraints."""
    return {stage["name"]: stage["constraints"] for stage in document["stages"] if stage["constraints"]}


def follow_table(stages: Mapping[str, Facts]) -> tuple[tuple[str, ...], Rows]:
    """One row for each group of turns, one column for each stage: the share that obeyed, with its interval."""
    groups: dict[tuple[str, str], str] = {}
    for facts in stages.values():
        groups |= {(one["by"], one["value"]): _group_name(one) for one in facts["groups"]}
    rows: Rows = [("every turn", *(_obeyed(facts) for facts in stages.values()))]
    for key, name in groups.items():
        found = [[one for one in facts["groups"] if (one["by"], one["value"]) == key] for facts in stages.values()]
        rows.append((name, *(_obeyed(one[0]) if one else MISSING for one in found)))
    rows.append(
        (
            "a policy that always thinks",
            *(phrases.percent(facts["asked_thinking_fraction"]) for facts in stages.values()),
        )
    )
    rows.append(("whole conversations", *(phrases.percent(facts["whole_fraction"]) for facts in stages.values())))
    for name in ("trimmed", "left_out"):
        if any(facts[name] for facts in stages.values()):
            said = {"trimmed": "turns whose oldest history did not fit", "left_out": "turns too long to be asked"}[name]
            rows.append((said, *(phrases.count(facts[name]) for facts in stages.values())))
    return ("turns that obeyed, %", *stages), rows


def constraint_table(stages: Mapping[str, Sequence[Facts]]) -> tuple[tuple[str, ...], Rows]:
    """One row for each stage, task, demand and reading, with the paired difference and its verdict."""
    rows: Rows = [
        (
            stage,
            task["task"],
            one["demand"],
            one["reading"],
            phrases.count(one["constraints"]),
            _with_interval(one, "thinking"),
            _with_interval(one, "non_thinking"),
            difference(one),
            one["verdict"],
        )
        for stage, tasks in stages.items()
        for task in tasks
        for one in task["demands"]
    ]
    return CONSTRAINT_HEADINGS, rows


def narrow_constraint_table(task: Facts) -> tuple[tuple[str, ...], Rows]:
    """One task in eighty columns: the shares without intervals of their own."""
    rows: Rows = [
        (
            one["demand"],
            one["reading"],
            phrases.count(one["constraints"]),
            *(phrases.percent(one[mode]) for mode in MODES),
            difference(one),
            one["verdict"],
        )
        for one in task["demands"]
    ]
    return NARROW_HEADINGS, rows


def type_table(task: Facts) -> tuple[tuple[str, ...], Rows]:
    """The strict shares of each type of constraint of one task."""
    rows: Rows = [
        (one["type"], one["demand"], phrases.count(one["constraints"]), *(phrases.percent(one[mode]) for mode in MODES))
        for one in task["types"]
    ]  # fmt: skip
    return TYPE_HEADINGS, rows


def cautions(stages: Mapping[str, Sequence[Facts]]) -> Iterator[str]:
    """`stage, task: what to know before believing its verdicts`."""
    for stage, tasks in stages.items():
        for task in tasks:
            yield from (f"{stage}, {task['task']}: {caution}" for caution in task["cautions"])


def difference(one: Facts) -> str:
    """`+4.2 (−1.0 to +9.3)`, thinking minus non-thinking in percentage points."""
    if one["difference"] is None:
        return MISSING
    ends = [phrases.points(one[name]) for name in ("difference_low", "difference_high")]
    return f"{phrases.points(one['difference'])} ({ends[0]} to {ends[1]})"


def _group_name(group: Facts) -> str:
    if group["by"] == "position":
        return f"turn {group['value']}"
    return GROUP_NAMES.get(group["value"], str(group["value"]))


def _obeyed(facts: Facts) -> str:
    return _with_interval(facts, "obeyed")


def _with_interval(facts: Facts, name: str) -> str:
    ends = phrases.interval(facts[f"{name}_low"], facts[f"{name}_high"])
    return MISSING if facts[name] is None else f"{phrases.percent(facts[name])} ({ends})"
