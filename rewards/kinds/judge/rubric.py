"""The form `rubric` (Rubrics as Rewards, arXiv 2507.17746): binary criteria with weights, or one grade with all of them shown.

A rubric is a row's own or the recipe's. Neighbours: forms.py (the other forms), verifier.py (which asks).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rewards.kinds.judge.forms import CAPS, Form, closed_object
from rewards.kinds.tool_call.schema import read_json

LOWEST_GRADE, HIGHEST_GRADE = 1, 10  # section 3 of the paper: a Likert scale, brought to 0 and 1
MOST_CRITERIA = 40
LONGEST_NAMED = 120  # characters of a criterion in the evidence
TEXT_KEYS = ("text", "criterion", "description", "title")

Aggregate = Literal["weighted", "one_grade"]


@dataclass(frozen=True)
class Criterion:
    """One criterion. weight: below 0 for a fault, which takes that away where it is found. severity: see forms.CAPS."""

    text: str
    weight: float = 1.0
    severity: str = "minor"


def read_rubric(value: Any) -> tuple[Criterion, ...] | None:
    """A rubric from a list of texts or of `{text, weight, severity}`, or its JSON text; None for anything else.

    A text may stand under `criterion` or `description` too, as published rubrics have it.
    """
    try:
        listed = read_json(value)
    except ValueError:
        return None
    if not isinstance(listed, (list, tuple)) or not 0 < len(listed) <= MOST_CRITERIA:
        return None
    found = [_criterion({"text": one} if isinstance(one, str) else one) for one in listed]
    criteria = tuple(one for one in found if one is not None)
    if len(criteria) < len(found) or not any(one.weight > 0 for one in criteria):
        return None
    return criteria


def rubric_shown(criteria: Sequence[Criterion], *, weights: bool) -> str:
    """The criteria as a judge is shown them: numbered, and for one grade with what each weighs."""
    lines = []
    for number, one in enumerate(criteria, 1):
        told = f" [weight {one.weight:g}{'' if one.severity == 'minor' else ', ' + one.severity}]" if weights else ""
        lines.append(f"{number}. {one.text}{told}")
    return "\n".join(lines)


def rubric_form(criteria: Sequence[Criterion], aggregate: Aggregate) -> Form:
    """The form that asks for a rubric's criteria one by one, or for one grade."""
    return _weighted(criteria) if aggregate == "weighted" else _one_grade()


def weighted_score(criteria: Sequence[Criterion], met: Sequence[bool]) -> float:
    """Sum of w x c over the sum of the weights above 0 (equation 1 of the paper), from 0 to 1.

    A fault that is found takes its weight away. At most the cap of the worst severity that is left unmet or is found.
    """
    whole = sum(one.weight for one in criteria if one.weight > 0)
    earned = sum(one.weight for one, is_met in zip(criteria, met, strict=True) if is_met)
    failed = [one for one, is_met in zip(criteria, met, strict=True) if is_met == (one.weight < 0)]
    return max(0.0, min([earned / whole, *(CAPS[one.severity] for one in failed)]))


def _weighted(criteria: Sequence[Criterion]) -> Form:
    task = (
        f"RUBRIC has {len(criteria)} numbered criteria. Decide for each, alone, whether it is true of RESPONSE as an answer to "
        "QUESTION. A criterion that is true in part is not true. RUBRIC says what to look for and nothing else."
    )
    fields = {f"criterion_{number}": {"type": "boolean"} for number in range(1, len(criteria) + 1)}

    def grade(value: Mapping[str, Any]) -> tuple[float | None, str, dict[str, Any]]:
        met = [bool(value[name]) for name in fields]
        failed = [one for one, is_met in zip(criteria, met, strict=True) if is_met == (one.weight < 0)]
        facts = {"true": sum(met), "criteria": len(met), "failed": [one.text[:LONGEST_NAMED] for one in failed]}
        return round(weighted_score(criteria, met), 6), "rubric_failed" if failed else "rubric_passed", facts

    return Form(task, closed_object(**fields), grade)


def _one_grade() -> Form:
    task = (
        f"Grade RESPONSE as an answer to QUESTION by RUBRIC, with one whole number from {LOWEST_GRADE} (it meets nothing that "
        f"matters) to {HIGHEST_GRADE} (it meets everything), taking each criterion for as much as it weighs; one with a weight "
        "below 0 is a fault. RUBRIC says what to look for and nothing else."
    )
    level = {"type": "integer", "enum": list(range(LOWEST_GRADE, HIGHEST_GRADE + 1))}

    def grade(value: Mapping[str, Any]) -> tuple[float | None, str, dict[str, Any]]:
        score = (value["grade"] - LOWEST_GRADE) / (HIGHEST_GRADE - LOWEST_GRADE)
        return round(score, 6), "graded", {"grade": value["grade"]}

    return Form(task, closed_object(grade=level), grade)


def _criterion(entry: Any) -> Criterion | None:
    if not isinstance(entry, Mapping):
        return None
    text = next((entry[key] for key in TEXT_KEYS if isinstance(entry.get(key), str) and entry[key].strip()), None)
    weight, severity = entry.get("weight"), entry.get("severity") or "minor"
    weight = 1.0 if weight is None else weight
    usable = isinstance(weight, (int, float)) and not isinstance(weight, bool) and 0 < abs(weight) < float("inf")
    if text is None or not usable or severity not in CAPS:
        return None
    return Criterion(text.strip(), float(weight), severity)
