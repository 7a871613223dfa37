"""The form `skill`: a judge that gathers evidence by a skill, and a read-out of that evidence which needs no judge.

Two questions: what it wants to read, then each criterion with a quotation. Verifiers run on the same rollout, and where one has
a verdict it decides its criteria. The score is arithmetic over the evidence (rubric.py), under the severities' caps.
Neighbours: skill.py (the folder), verifier.py (asks the questions), forms.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rewards.contract import Rollout, Verdict, Verifier
from rewards.kinds.judge.forms import Form, closed_object
from rewards.kinds.judge.prompt import Part
from rewards.kinds.judge.rubric import weighted_score
from rewards.kinds.judge.skill import Resource, Skill, SkillUnusable, SkillVerifier

LEAST_QUOTED = 3  # characters; less stands in any response
LONGEST_SHOWN = 160


@dataclass(frozen=True)
class Checked:
    """A verifier's verdict on a rollout, and the criteria that it decides."""

    verifier: SkillVerifier
    verdict: Verdict

    @property
    def met(self) -> bool:
        """Whether its criteria are met."""
        return self.verdict.score is not None and self.verdict.score >= self.verifier.least


class SkillVerifiers:
    """The verifiers of a skill, ready to judge. Raises SkillUnusable for one whose options are wrong."""

    def __init__(self, skill: Skill) -> None:
        from rewards.specs import reward_function, spec_problems

        specs = [dict(one.spec) for one in skill.verifiers]
        if specs and (problems := spec_problems(specs)):
            raise SkillUnusable(f"the verifiers of the skill {skill.name}: {'; '.join(problems)}")
        self._reward = reward_function(specs) if specs else None
        self._declared = skill.verifiers

    def checked(self, rollouts: Sequence[Rollout]) -> list[list[Checked]]:
        """For each rollout the verdicts of the verifiers that can judge its row."""
        found: list[list[Checked]] = [[] for _ in rollouts]
        components = () if self._reward is None else self._reward.components
        for declared, component in zip(self._declared, components, strict=True):
            rows = [row for row, one in enumerate(rollouts) if _has(component.verifier, one)]
            verdicts = component.verifier.judge([rollouts[row] for row in rows]) if rows else []
            for row, verdict in zip(rows, verdicts, strict=True):
                if verdict.score is not None:
                    found[row].append(Checked(declared, verdict))
        return found

    def close(self) -> None:
        """End what they started."""
        if self._reward is not None:
            self._reward.close()


def choice_form(skill: Skill) -> Form:
    """What the judge wants to read before it decides: a truth value for each resource."""
    listed = "; ".join(f"resource_{number}: {one.name}, {one.purpose}" for number, one in enumerate(skill.resources, 1))
    task = (
        f"{skill.protocol}\n\nYou are about to judge RESPONSE as an answer to QUESTION by this protocol. First say which resources "
        f"you need to read for it, and no more than you need: {listed}"
    )
    fields = {f"resource_{number}": {"type": "boolean"} for number in range(1, len(skill.resources) + 1)}
    return Form(task, closed_object(**fields), lambda value: (None, "chosen", {}))


def chosen(skill: Skill, value: Mapping[str, Any] | None) -> list[Resource]:
    """The resources that a judge asked for; all of them where it did not say."""
    if value is None:
        return list(skill.resources)
    return [one for number, one in enumerate(skill.resources, 1) if value.get(f"resource_{number}")]


def evidence_parts(skill: Skill, resources: Sequence[Resource], checked: Sequence[Checked]) -> list[Part]:
    """What a judge is shown beside question and response."""
    lines = [
        f"{number}. {one.criterion.text}{' (quote the words of RESPONSE)' if one.quote else ''}"
        for number, one in enumerate(skill.criteria, 1)
    ]
    parts = [Part("RUBRIC", "\n".join(lines), whole=True)]
    parts += [Part(f"RESOURCE_{number}", one.text, whole=True) for number, one in enumerate(resources, 1)]
    if checked:
        facts = [f"{one.verifier.name}: {'passed' if one.met else 'failed'} ({one.verdict.reason})" for one in checked]
        parts.append(Part("VERIFIERS", "\n".join(facts), whole=True))
    return parts


def evidence_form(skill: Skill, checked: Sequence[Checked], response: str) -> Form:
    """Each criterion, with its evidence; the score is read out of both without a judge."""
    task = (
        f"{skill.protocol}\n\nDecide for each of the {len(skill.criteria)} numbered criteria of RUBRIC, alone, whether it is true of "
        "RESPONSE as an answer to QUESTION, and give the evidence: words of RESPONSE where it asks for a quotation, else a few "
        "words. What VERIFIERS found is certain."
    )
    fields: dict[str, Any] = {}
    for number in range(1, len(skill.criteria) + 1):
        fields[f"evidence_{number}"] = {"type": "string"}
        fields[f"criterion_{number}"] = {"type": "boolean"}

    def grade(value: Mapping[str, Any]) -> tuple[float | None, str, dict[str, Any]]:
        return read_out(skill, checked, response, value)

    return Form(task, closed_object(**fields), grade)


def read_out(
    skill: Skill, checked: Sequence[Checked], response: str, value: Mapping[str, Any]
) -> tuple[float, str, dict[str, Any]]:
    """Score, reason and evidence: what verifiers decide, else the judge, whose quotations have to stand in the response."""
    decided = {name: one for one in checked for name in one.verifier.decides}
    met, items = [], []
    for number, one in enumerate(skill.criteria, 1):
        said, quoted = bool(value[f"criterion_{number}"]), str(value[f"evidence_{number}"])
        by, is_met = "judge", said
        if one.id in decided:
            by, is_met = decided[one.id].verifier.name, decided[one.id].met
        elif said and one.quote and not stands_in(quoted, response):
            by, is_met = "missing quotation", False
        met.append(is_met)
        items.append({"id": one.id, "met": is_met, "by": by, "judge": said, "evidence": quoted[:LONGEST_SHOWN]})
    criteria = [one.criterion for one in skill.criteria]
    score = round(weighted_score(criteria, met), 6)
    overruled = sum(item["met"] != item["judge"] for item in items)
    failed = any(is_met == (one.weight < 0) for one, is_met in zip(criteria, met, strict=True))
    facts = {"skill": skill.name, "items": items, "overruled": overruled}
    return score, "skill_failed" if failed else "skill_passed", facts


def stands_in(quoted: str, response: str) -> bool:
    """Whether quoted words stand in a response, white space, case and quotation marks aside."""
    words = " ".join(quoted.strip(" \t\n\"'`“”‘’.…").lower().split())
    return len(words) >= LEAST_QUOTED and words in " ".join(response.lower().split())


def _has(verifier: Verifier, rollout: Rollout) -> bool:
    """Whether a rollout has what a verifier reads."""
    return all(rollout.columns.get(name) not in (None, "") for name in verifier.columns)
