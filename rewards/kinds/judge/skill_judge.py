"""The form `skill`: a judge that gathers evidence by a skill, and a read-out of that evidence which needs no judge.

Two questions: what it needs (skill_tools.py), then each criterion with its evidence. Where a verifier has a verdict it decides
its criteria. The score is arithmetic over the evidence (rubric.py), under the severities' caps. Neighbours: skill.py (the
folder), verifier.py (asks the questions), forms.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rewards.contract import Verdict
from rewards.kinds.judge.endpoint import Reply
from rewards.kinds.judge.forms import Form, closed_object
from rewards.kinds.judge.prompt import Part
from rewards.kinds.judge.rubric import weighted_score
from rewards.kinds.judge.skill import Resource, Skill
from rewards.kinds.judge.skill_tools import Checked

LEAST_QUOTED = 3  # characters; less stands in any response
LONGEST_SHOWN = 160
MISSPOKEN = ("judge_unparsable", "judge_refused")  # it answers, and may yet give evidence: with all that can be picked
VERIFIER_UNKNOWN = "skill_verifier_unknown"


def unanswered(choice: Reply | Verdict) -> Verdict | None:
    """The verdict where a judge did not say what it needs since it does not answer: a second question would wait again."""
    if isinstance(choice, Verdict) or choice.value is not None or choice.reason in MISSPOKEN:
        return None
    return Verdict(None, choice.reason, choice.facts)


def missing_evidence(checked: Sequence[Checked]) -> Verdict | None:
    """The verdict where an obligatory verifier could not judge: none, since a score without it would be an impression."""
    one = next((one for one in checked if one.verifier.obligatory and one.met is None), None)
    if one is None:
        return None
    found = {"verifier": one.verifier.name, "found": one.verdict.reason}
    detail = one.verdict.evidence.get("detail")
    return Verdict(None, VERIFIER_UNKNOWN, {**found, "detail": f"{one.verifier.name}: {detail or one.verdict.reason}"})


def evidence_parts(skill: Skill, resources: Sequence[Resource], checked: Sequence[Checked]) -> list[Part]:
    """What a judge is shown beside question and response."""
    lines = [
        f"{number}. {one.criterion.text}{' (quote the words of RESPONSE)' if one.quote else ''}"
        for number, one in enumerate(skill.criteria, 1)
    ]
    parts = [Part("RUBRIC", "\n".join(lines), whole=True)]
    parts += [Part(f"RESOURCE_{number}", one.text, whole=True) for number, one in enumerate(resources, 1)]
    if checked:
        facts = [f"{one.verifier.name}: {one.outcome} ({_found(one.verdict)})" for one in checked]
        parts.append(Part("VERIFIERS", "\n".join(facts), whole=True))
    return parts


def evidence_form(skill: Skill, resources: Sequence[Resource], checked: Sequence[Checked], response: str) -> Form:
    """The items of picked checklists, then each criterion with its evidence; the score is read out of these without a judge."""
    items = list(_items(resources))
    task = (
        f"{skill.protocol}\n\nDecide for each of the {len(skill.criteria)} numbered criteria of RUBRIC, alone, whether it is true of "
        "RESPONSE as an answer to QUESTION, and give the evidence: words of RESPONSE where it asks for a quotation, else a few "
        "words. What VERIFIERS found is certain."
    )
    if items:
        task += " Before that, decide for each item of a checklist whether RESPONSE satisfies it: check_2_1 is the first of RESOURCE_2."
    fields: dict[str, Any] = {name: {"type": "boolean"} for name, _, _ in items}
    for number in range(1, len(skill.criteria) + 1):
        fields[f"evidence_{number}"] = {"type": "string"}
        fields[f"criterion_{number}"] = {"type": "boolean"}

    def grade(value: Mapping[str, Any]) -> tuple[float | None, str, dict[str, Any]]:
        score, reason, facts = read_out(skill, checked, response, value)
        unmet = [f"{name}: {text}"[:LONGEST_SHOWN] for key, name, text in items if not value[key]]
        return score, reason, {**facts, **({"items_asked": len(items), "items_unmet": unmet} if items else {})}

    return Form(task, closed_object(**fields), grade)


def _items(resources: Sequence[Resource]) -> Iterator[tuple[str, str, str]]:
    """The field of each item of the checklists among what was picked, with the checklist's name and the item."""
    for number, one in enumerate(resources, 1):
        for place, text in enumerate(one.items, 1):
            yield f"check_{number}_{place}", one.name, text


def read_out(
    skill: Skill, checked: Sequence[Checked], response: str, value: Mapping[str, Any]
) -> tuple[float, str, dict[str, Any]]:
    """Score, reason and evidence: what verifiers decide, else the judge, whose quotations have to stand in the response."""
    decided = _decided(checked)
    met, items = [], []
    for number, one in enumerate(skill.criteria, 1):
        said, quoted = bool(value[f"criterion_{number}"]), str(value[f"evidence_{number}"])
        by, is_met = "judge", said
        if one.id in decided:
            by, is_met = decided[one.id].verifier.name, bool(decided[one.id].met)
        elif said and one.quote and not stands_in(quoted, response):
            by, is_met = "missing quotation", False
        met.append(is_met)
        items.append({"id": one.id, "met": is_met, "by": by, "judge": said, "evidence": quoted[:LONGEST_SHOWN]})
    criteria = [one.criterion for one in skill.criteria]
    score = round(weighted_score(criteria, met), 6)
    overruled = sum(item["met"] != item["judge"] for item in items)
    failed = any(is_met == (one.weight < 0) for one, is_met in zip(criteria, met, strict=True))
    ran = {one.verifier.name: one.outcome for one in checked}
    facts = {"skill": skill.name, "verifiers": ran, "items": items, "overruled": overruled}
    return score, "skill_failed" if failed else "skill_passed", facts


def stands_in(quoted: str, response: str) -> bool:
    """Whether quoted words stand in a response, white space, case and quotation marks aside."""
    words = " ".join(quoted.strip(" \t\n\"'`“”‘’.…").lower().split())
    return len(words) >= LEAST_QUOTED and words in " ".join(response.lower().split())


def _decided(checked: Sequence[Checked]) -> dict[str, Checked]:
    """By criterion the verifier that decides it; of several, one that failed: what convicts is not outvoted."""
    known = sorted((one for one in checked if one.met is not None), key=lambda one: not one.met)
    return {name: one for one in known for name in one.verifier.decides}


def _found(verdict: Verdict) -> str:
    """What a verifier found, in words that are the same each time it finds it, so that a judgement of them is found again."""
    counted = [verdict.evidence.get(name) for name in ("passed", "total")]
    if all(isinstance(one, int) for one in counted):
        return f"{verdict.reason}, {counted[0]} of {counted[1]}"
    return verdict.reason
