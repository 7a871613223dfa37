"""budget/budget.json of a run -> Sweep. What cannot be read is left out, with a note.

Neighbours: read.py (everything else of a run), sweep_charts.py (the pictures). The file is written by `alignment budget`.
"""

from pathlib import Path
from typing import Any

from alignment.report.files import Reader
from alignment.report.record import MODES, Number, Sweep, SweepPoint, VotePoint, is_number

FIELDS = ("accuracy", "accuracy_low", "accuracy_high", "mean_thinking_tokens", "mean_answer_tokens", "forced_fraction",
          "finished_fraction")  # fmt: skip
VOTE_FIELDS = ("mean_tokens", "majority", "majority_low", "majority_high", "best_of_upper_bound")


def read_sweep(reader: Reader, path: Path) -> Sweep | None:
    """The sweep of a run; None where there is none, or none of its points can be read."""
    facts = reader.json_object(path)
    listed = _objects(facts.get("points"))
    points = tuple(point for point in map(_point, listed) if point is not None)
    if len(points) < len(listed):
        reader.note(path, f"has {len(listed) - len(points)} points that cannot be read, which were left out.")
    if not points:
        return None
    knees = {
        (str(one.get("stage")), str(one.get("task"))): float(one["budget"])
        for one in _objects(facts.get("knees"))
        if is_number(one.get("budget"))
    }
    policies = {str(one.get("stage")): str(one.get("policy")) for one in _objects(facts.get("stages"))}
    return Sweep(points, knees, policies)


def _point(facts: dict[str, Any]) -> SweepPoint | None:
    mode, budget = facts.get("mode"), facts.get("budget")
    numbers = _numbers(facts, FIELDS)
    known = mode in MODES and is_number(budget) == (mode == "thinking") and numbers["accuracy"] is not None
    if not known or not is_number(facts.get("count")):
        return None
    votes = [_vote(one) for one in _objects(facts.get("votes"))]
    return SweepPoint(
        stage=str(facts.get("stage", "unnamed")),
        task=str(facts.get("task", "unnamed")),
        mode=str(mode),
        budget=float(budget) if is_number(budget) else None,
        count=int(facts["count"]),
        votes=tuple(vote for vote in votes if vote is not None),
        **numbers,
    )


def _vote(facts: dict[str, Any]) -> VotePoint | None:
    numbers = _numbers(facts, VOTE_FIELDS)
    if not is_number(facts.get("votes")) or None in (numbers["majority"], numbers["best_of_upper_bound"]):
        return None
    return VotePoint(votes=int(facts["votes"]), **numbers)


def _numbers(facts: dict[str, Any], names: tuple[str, ...]) -> dict[str, Number]:
    return {name: float(facts[name]) if is_number(facts.get(name)) else None for name in names}


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
