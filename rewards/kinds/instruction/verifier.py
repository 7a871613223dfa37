"""Kind `instruction`: are the constraints followed that a program can check, such as "no commas"?

Rows have the shape of IFEval's (arXiv 2311.07911): `instruction_id_list` names the constraints and `kwargs` has the
parameters of each. What each means is in constraints/. A row without constraints is not this verifier's to judge.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from rewards.contract import Rollout, Verdict, not_applicable
from rewards.kinds.instruction.constraints import CONSTRAINTS, given, listed, parameter_fault

Reading = Literal["strict", "loose"]
READINGS: tuple[Reading, ...] = get_args(Reading)


class Instruction:
    """Verifier of the kind `instruction`: the fraction of a row's constraints that its answer follows.

    `reading` strict looks at the answer as it stands; loose also without its first line, its last, both, and each
    without asterisks, and takes a constraint as followed where any of them follows it. `all_or_nothing` scores 1.0 for
    all constraints and 0.0 otherwise.
    """

    columns: tuple[str, ...] = ("instruction_id_list", "kwargs")

    def __init__(self, *, reading: Reading = "strict", all_or_nothing: bool = False) -> None:
        self.reading, self.all_or_nothing = reading, all_or_nothing

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout. A row with an unknown constraint, or unusable parameters, cannot be judged."""
        return [self._judge(rollout) for rollout in rollouts]

    def close(self) -> None:
        """Nothing to end."""

    def _judge(self, rollout: Rollout) -> Verdict:
        names, kwargs = (listed(rollout.column("instruction", column)) for column in self.columns)
        if not names:
            return not_applicable("instruction_id_list")
        unusable = _unusable(names, kwargs)
        if unusable is not None:
            return unusable
        marks = marks_of(rollout.answer, names, kwargs, self.reading)
        followed = [name for name, mark in zip(names, marks, strict=True) if mark]
        missed = [name for name, mark in zip(names, marks, strict=True) if not mark]
        fraction = len(followed) / len(names)
        if not rollout.answer:
            reason = "no_answer"
        else:
            reason = "followed" if not missed else "partly_followed" if followed else "not_followed"
        score = float(fraction == 1.0) if self.all_or_nothing else fraction
        return Verdict(score, reason, {"followed": followed, "missed": missed})


def marks_of(
    answer: str, names: Sequence[str], kwargs: Sequence[Mapping[str, Any] | None] | None, reading: Reading
) -> list[bool]:
    """Whether an answer follows each of a row's constraints, in order. The row is one that can be judged."""
    readings = variants(answer) if reading == "loose" else [answer]
    return [follows(readings, name, values) for name, values in zip(names, _filled(names, kwargs), strict=True)]


def follows(readings: Sequence[str], instruction_id: str, kwargs: Mapping[str, Any] | None) -> bool:
    """Whether any reading of an answer follows a constraint that can be judged. An empty one follows none."""
    constraint, values = CONSTRAINTS[instruction_id], given(kwargs)
    return any(constraint.check(reading, **values) for reading in readings if reading.strip())


def variants(answer: str) -> list[str]:
    """The eight readings of IFEval's loose accuracy, without those that are the same."""
    lines = answer.split("\n")
    cut = [answer, *("\n".join(some).strip() for some in (lines[1:], lines[:-1], lines[1:-1]))]
    return list(dict.fromkeys([*cut, *(reading.replace("*", "") for reading in cut)]))


def instruction_fault(instruction_id: str, kwargs: Mapping[str, Any] | None) -> str | None:
    """Why a row's constraint can never be judged, or None when it can be. For use when data is loaded."""
    if instruction_id not in CONSTRAINTS:
        return f"there is no instruction {instruction_id!r}; there are: {', '.join(CONSTRAINTS)}"
    fault = parameter_fault(CONSTRAINTS[instruction_id], kwargs)
    return None if fault is None else f"{instruction_id} cannot be judged: {fault}"


def _unusable(names: Any, kwargs: Any) -> Verdict | None:
    """The verdict on a row that cannot be judged, or None when it can be."""
    if isinstance(names, str) or (kwargs is not None and len(kwargs) != len(names)):
        return Verdict(None, "columns_unmatched", {"instruction_id_list": names, "kwargs": kwargs})
    for name, values in zip(names, _filled(names, kwargs), strict=True):
        if name not in CONSTRAINTS:
            return Verdict(None, "instruction_unknown", {"instruction": name})
        fault = parameter_fault(CONSTRAINTS[name], values)
        if fault is not None:
            return Verdict(None, "kwargs_unusable", {"instruction": name, "fault": fault})
    return None


def _filled(names: Sequence[str], kwargs: Sequence[Mapping[str, Any] | None] | None) -> Sequence[Any]:
    """The parameters of each constraint; a row may leave them out where no constraint has any."""
    return [None] * len(names) if kwargs is None else kwargs
