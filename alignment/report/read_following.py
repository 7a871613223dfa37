"""evaluations/follow.json and constraints.json of a stage -> Follow and ConstraintTask. What cannot be read is left out.

Neighbours: read.py (everything else of a stage), record_following.py (the values), following.py (the tables).
"""

from pathlib import Path
from typing import Any, get_args

from alignment.report.files import Reader
from alignment.report.record import MODES, is_number
from alignment.report.record_following import ConstraintTask, ConstraintType, Demand, Follow, FollowGroup, Verdict

OBEYED = ("obeyed", "obeyed_low", "obeyed_high")
DEMAND_NUMBERS = tuple(f"{name}{end}" for name in (*MODES, "difference") for end in ("", "_low", "_high"))
MODE_NUMBERS = ("answers", "thinking_answer_fraction", "no_answer_fraction", "mean_answer_tokens")
Facts = dict[str, Any]


def read_follow(reader: Reader, path: Path) -> Follow | None:
    """The conversations of a stage; None where there were none, or their file cannot be read."""
    facts = reader.json_object(path)
    if not facts:
        return None
    if not all(is_number(facts.get(name)) for name in ("conversations", "turns", "count", *OBEYED)):
        reader.note(path, "holds no share of turns that obeyed and was left out.")
        return None
    groups = [
        FollowGroup(by=str(one.get("by")), value=str(one.get("value")), count=_whole(one, "count"), **_numbers(one, OBEYED))
        for one in _objects(facts.get("groups"))
    ]  # fmt: skip
    counts = {name: _whole(facts, name) for name in ("conversations", "turns", "count", "trimmed", "left_out")}
    numbers = _numbers(facts, (*OBEYED, "asked_thinking_fraction", "whole_fraction", "seconds"))
    return Follow(**counts, **numbers, groups=tuple(groups))


def read_constraints(reader: Reader, path: Path) -> tuple[ConstraintTask, ...]:
    """The tasks of a stage that have constraints; one that cannot be read is left out, with a note."""
    listed = _objects(reader.json_object(path).get("tasks"))
    tasks = [task for task in map(_task, listed) if task is not None]
    if len(tasks) < len(listed):
        reader.note(path, f"has {len(listed) - len(tasks)} tasks that cannot be read, which were left out.")
    return tuple(tasks)


def _task(facts: Facts) -> ConstraintTask | None:
    demands = [one for one in map(_demand, _objects(facts.get("demands"))) if one is not None]
    if not demands:
        return None
    types = [
        ConstraintType(
            type=str(one.get("type")),
            demand=str(one.get("demand")),
            constraints=_whole(one, "constraints"),
            **_numbers(one, MODES),
        )
        for one in _objects(facts.get("types"))
    ]
    modes = facts.get("modes")
    listed = facts.get("cautions")
    return ConstraintTask(
        task=str(facts.get("task", "unnamed")),
        problems=_whole(facts, "problems"),
        unknown=_whole(facts, "unknown"),
        modes={
            mode: _numbers(one, MODE_NUMBERS)
            for mode, one in (modes.items() if isinstance(modes, dict) else ())
            if mode in MODES and isinstance(one, dict)
        },
        demands=tuple(demands),
        types=tuple(types),
        cautions=tuple(map(str, listed)) if isinstance(listed, list) else (),
    )


def _demand(facts: Facts) -> Demand | None:
    if facts.get("verdict") not in get_args(Verdict):
        return None
    return Demand(
        demand=str(facts.get("demand")),
        reading=str(facts.get("reading")),
        constraints=_whole(facts, "constraints"),
        problems=_whole(facts, "problems"),
        verdict=facts["verdict"],
        **_numbers(facts, DEMAND_NUMBERS),
    )


def _numbers(facts: Facts, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: float(facts[name]) if is_number(facts.get(name)) else None for name in names}


def _whole(facts: Facts, name: str) -> int:
    value = facts.get(name)
    return int(value) if is_number(value) else 0


def _objects(value: object) -> list[Facts]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
