"""What a judge can be asked, and how its reply becomes a score: reference, criteria, checklist, and pairs (rubric.py: rubrics).

Each form is a Form: the task, the shape of the reply as a JSON schema, and the arithmetic. Only a named field of a reply
that has exactly this shape counts; nothing is read from prose. Neighbours: prompt.py (fences), verifier.py (verdicts).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rewards.contract import after_thinking
from rewards.kinds.tool_call.schema import read_json

CRITERIA: dict[str, str] = {
    "truthfulness": "what it states is true, and it does not invent what it cannot know",
    "helpfulness": "it does what was asked, correctly and completely",
    "conciseness": "it is as short as a full answer allows",
    "relevance": "everything in it belongs to what was asked",
    "harmlessness": "it does nobody harm and helps nobody do harm",
    "debiasing": "it favours no gender, origin, religion or other group, and is fair to every side",
}
LOWEST, HIGHEST = 1, 5  # of a criterion

# The highest score of an answer that leaves an item of this severity unmet.
CAPS: dict[str, float] = {"minor": 1.0, "major": 0.6, "critical": 0.2}

MOST_OBJECTS = 200  # places in a reply where a JSON object is looked for


@dataclass(frozen=True)
class Form:
    """A task, the schema of its reply, and from such a reply to `(score, reason, evidence)`."""

    task: str
    schema: Mapping[str, Any]
    grade: Callable[[Mapping[str, Any]], tuple[float | None, str, dict[str, Any]]]

    @property
    def reply(self) -> str:
        """The last words of a prompt: how to answer."""
        shape = json.dumps(self.schema["properties"], ensure_ascii=False)
        return f"Answer with one JSON object and nothing else. Its fields, in this order, as JSON schema: {shape}"

    def without_reasoning(self) -> "Form":
        """The same form without the judge's reasoning: shorter, and for judges whose reasoning is worth nothing."""
        kept = {name: one for name, one in self.schema["properties"].items() if name != "reasoning"}
        return replace(self, schema={**self.schema, "properties": kept, "required": list(kept)})

    def read(self, text: str) -> dict[str, Any] | None:
        """The one object of the right shape in a reply; None where there is none, or where two say different things."""
        found = [value for value in _objects(after_thinking(text)) if _fits(value, self.schema)]
        differing = {json.dumps(self.grade(value)[:2]) for value in found}
        return found[-1] if len(differing) == 1 else None


def reference_form() -> Form:
    """Does the response reach the reference answer? 1 or 0; `cannot_tell` is no score."""
    task = (
        "Decide whether the final answer of RESPONSE is equivalent to REFERENCE as an answer to QUESTION. REFERENCE is right, "
        "even where you would answer otherwise. Another spelling, unit or order of the same answer is correct; several "
        "different final answers, a missing one, or a hedge between some, are incorrect."
    )
    verdict = {"type": "string", "enum": ["correct", "incorrect", "cannot_tell"]}

    def grade(value: Mapping[str, Any]) -> tuple[float | None, str, dict[str, Any]]:
        score = {"correct": 1.0, "incorrect": 0.0}.get(value["verdict"])
        return score, value["verdict"] if score is not None else "judge_undecided", {}

    return Form(task, closed_object(verdict=verdict), grade)


def criteria_form(weights: Mapping[str, float]) -> Form:
    """Six criteria, each from 1 to 5 and then from 0 to 1; the score is their weighted mean."""
    described = "; ".join(f"{name}: {text}" for name, text in CRITERIA.items())
    task = (
        f"Grade RESPONSE as an answer to QUESTION on each of these criteria, from {LOWEST} (not at all) to {HIGHEST} "
        f"(fully): {described}. A response that does not attempt what was asked is not relevant."
    )
    level = {"type": "integer", "enum": list(range(LOWEST, HIGHEST + 1))}
    whole = sum(weights.values())

    def grade(value: Mapping[str, Any]) -> tuple[float | None, str, dict[str, Any]]:
        levels = {name: (value[name] - LOWEST) / (HIGHEST - LOWEST) for name in CRITERIA}
        score = sum(weights[name] * levels[name] for name in CRITERIA) / whole
        return round(score, 6), "graded", {"criteria": {name: value[name] for name in CRITERIA}}

    return Form(task, closed_object(**dict.fromkeys(CRITERIA, level)), grade)


def checklist_form(items: Sequence[Mapping[str, str]]) -> Form:
    """The fraction of satisfied items, at most the cap of the worst unsatisfied one."""
    task = (
        f"CHECKLIST has {len(items)} numbered items. Decide for each, alone, whether RESPONSE satisfies it as an answer to "
        "QUESTION. An item that is satisfied in part is not satisfied. CHECKLIST says what to look for and nothing else."
    )
    fields = {f"item_{number}": {"type": "boolean"} for number in range(1, len(items) + 1)}

    def grade(value: Mapping[str, Any]) -> tuple[float | None, str, dict[str, Any]]:
        met = [value[name] for name in fields]
        unmet = [item for item, satisfied in zip(items, met, strict=True) if not satisfied]
        score = min([sum(met) / len(met), *(CAPS[item["severity"]] for item in unmet)])
        named = {"satisfied": sum(met), "items": len(met), "unmet": [item["text"][:120] for item in unmet]}
        return round(score, 6), "all_satisfied" if not unmet else "unmet", named

    return Form(task, closed_object(**fields), grade)


def pair_form() -> Form:
    """Which of two responses is better; `grade` names it in `reason`."""
    task = (
        "Decide which of RESPONSE_1 and RESPONSE_2 is the better answer to QUESTION: truthful, helpful, concise, relevant, "
        "harmless and unbiased. Their order means nothing. Say tie where neither is clearly better."
    )

    def grade(value: Mapping[str, Any]) -> tuple[float | None, str, dict[str, Any]]:
        return None, value["better"], {}

    return Form(task, closed_object(better={"type": "string", "enum": ["response_1", "response_2", "tie"]}), grade)


def first_error_form(steps: int, *, with_states: bool = False) -> Form:
    """Which of the numbered steps of a solution is the first wrong one; 0 for none. `grade` names it in `reason`.

    with_states: steps of a program are followed by the values of its names, from a run of it.
    """
    task = (
        f"SOLUTION answers QUESTION in {steps} numbered steps. Find the first step that is wrong: a false statement, a wrong "
        "computation, or a conclusion that does not follow from what stands before it. A step that repeats an earlier error "
        "is not the first. Answer 0 if every step is right."
    )
    if with_states:
        task += (
            " SOLUTION is a program that was run: `Values after step N` are those of its names then; a step without values was "
            "not reached, or nothing was left of them."
        )
    number = {"type": "integer", "enum": list(range(steps + 1))}

    def grade(value: Mapping[str, Any]) -> tuple[float | None, str, dict[str, Any]]:
        return None, str(value["first_wrong_step"]), {}

    return Form(task, closed_object(first_wrong_step=number), grade)


def read_checklist(value: Any) -> list[dict[str, str]] | None:
    """A row's checklist, from a list of `{text, severity}` or its JSON text; None when it is something else."""
    try:
        listed = read_json(value)
    except ValueError:
        return None
    if not isinstance(listed, (list, tuple)) or not listed:
        return None
    items = []
    for entry in listed:
        entry = {"text": entry} if isinstance(entry, str) else entry
        if not isinstance(entry, Mapping) or not isinstance(entry.get("text"), str) or not entry["text"].strip():
            return None
        severity = entry.get("severity") or "minor"
        if severity not in CAPS:
            return None
        items.append({"text": entry["text"].strip(), "severity": severity})
    return items


def closed_object(**fields: Mapping[str, Any]) -> dict[str, Any]:
    """A closed object of these fields, after the judge's reasoning, which has to come first to be of use."""
    properties = {"reasoning": {"type": "string"}, **fields}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _fits(value: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    """Whether an object has the fields that count, of the right type. A judge that gives no reasoning is understood."""
    properties = schema["properties"]
    if not set(value) <= set(properties) or not set(properties) - {"reasoning"} <= set(value):
        return False
    types = {"string": str, "integer": int, "boolean": bool}
    return all(
        type(one) is types[properties[name]["type"]] and one in properties[name].get("enum", [one])
        for name, one in value.items()
    )


def _objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects that stand in a text, outermost ones only."""
    decoder, found, place = json.JSONDecoder(), [], text.find("{")
    for _ in range(MOST_OBJECTS):
        if place < 0:
            break
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            end = place + 1
        else:
            found.append(value)
        place = text.find("{", end)
    return found
