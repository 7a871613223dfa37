"""What a judge may pick by a skill, by name: its texts, its checklists, and its verifiers, which run on the same rollout.

A verifier whose verdict can cap a score, or finds a fault, is not for the judge to pick: it runs in any case. A response can
talk a judge out of looking, and then the evidence that convicts would be missing. Neighbours: skill.py (the folder),
skill_judge.py (what becomes of the evidence), verifier.py (asks).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rewards.compose import Component
from rewards.contract import Rollout, Verdict
from rewards.kinds.judge.forms import Form, closed_object
from rewards.kinds.judge.skill import Resource, Skill, SkillUnusable, SkillVerifier

LONGEST_PURPOSE = 200  # characters


@dataclass(frozen=True)
class Tool:
    """What a judge may pick, under the name by which it picks it: `references/NAME`, `checklists/NAME` or `verifiers/NAME`."""

    name: str
    purpose: str


@dataclass(frozen=True)
class Checked:
    """A verifier's verdict on a rollout, and the criteria that it decides."""

    verifier: SkillVerifier
    verdict: Verdict

    @property
    def met(self) -> bool | None:
        """Whether its criteria are met; None where it could not judge."""
        return None if self.verdict.score is None else self.verdict.score >= self.verifier.least

    @property
    def outcome(self) -> str:
        """In a word: passed, failed or unknown."""
        return {True: "passed", False: "failed", None: "unknown"}[self.met]


class SkillVerifiers:
    """The verifiers of a skill, ready to judge. Raises SkillUnusable for one whose options are wrong."""

    def __init__(self, skill: Skill) -> None:
        from rewards.specs import reward_function, spec_faults

        specs = [dict(one.spec) for one in skill.verifiers]
        if specs and (faults := spec_faults(specs)):
            raise SkillUnusable(f"the verifiers of the skill {skill.name}: {'; '.join(faults)}")
        self._reward = reward_function(specs) if specs else None
        components = () if self._reward is None else self._reward.components
        self._declared = tuple(zip(skill.verifiers, components, strict=True))

    def usable(self, rollout: Rollout) -> list[SkillVerifier]:
        """Those that can judge a rollout's row."""
        return [declared for declared, component in self._declared if _has(component, rollout)]

    def checked(self, rollouts: Sequence[Rollout], picked: Sequence[Collection[str]]) -> list[list[Checked]]:
        """For each rollout the verdicts of the verifiers that were picked for it by name, and of the obligatory ones."""
        found: list[list[Checked]] = [[] for _ in rollouts]
        for declared, component in self._declared:
            rows = [
                row
                for row, (one, names) in enumerate(zip(rollouts, picked, strict=True))
                if one.answer and (declared.obligatory or tool_name(declared) in names) and _has(component, one)
            ]
            verdicts = component.verdicts([rollouts[row] for row in rows]) if rows else []
            for row, verdict in zip(rows, verdicts, strict=True):
                if verdict.applicable:
                    found[row].append(Checked(declared, verdict))
        return found

    def close(self) -> None:
        """End what they started."""
        if self._reward is not None:
            self._reward.close()


def fault_here(skill: Skill) -> str | None:
    """Why a verifier of a skill cannot judge on this machine, or None. Starts what that needs, and ends it."""
    from rewards.specs import machine_fault

    return next((found for one in skill.verifiers if (found := machine_fault(one.spec)) is not None), None)


def tool_name(verifier: SkillVerifier) -> str:
    """The name by which a judge picks a verifier."""
    return f"verifiers/{verifier.name}"


def offered(skill: Skill, usable: Sequence[SkillVerifier]) -> list[Tool]:
    """What a judge may pick for one rollout. usable: the verifiers that can judge its row."""
    text = {one.id: one.criterion.text for one in skill.criteria}
    texts = [Tool(one.name, one.purpose) for one in skill.resources]
    return texts + [
        Tool(tool_name(one), f"checks: {'; '.join(text[name] for name in one.decides)}"[:LONGEST_PURPOSE])
        for one in usable
        if not one.obligatory
    ]


def choice_form(skill: Skill, tools: Sequence[Tool]) -> Form:
    """What the judge needs before it decides: a truth value for each tool, under its name."""
    listed = "; ".join(f"{one.name}: {one.purpose}" for one in tools)
    task = (
        f"{skill.protocol}\n\nYou are about to judge RESPONSE as an answer to QUESTION by this protocol. First say which texts "
        "you need to read for it and which verifiers have to run on RESPONSE, and no more than you need. Of what a verifier finds "
        f"you will be told. {listed}"
    )
    fields = {one.name: {"type": "boolean"} for one in tools}

    def grade(value: Mapping[str, Any]) -> tuple[float | None, str, dict[str, Any]]:
        return None, ", ".join(one.name for one in tools if value[one.name]), {}

    return Form(task, closed_object(**fields), grade)


def picked_names(tools: Sequence[Tool], value: Mapping[str, Any] | None) -> frozenset[str]:
    """The names that a judge picked; all of them where it did not say."""
    return frozenset(one.name for one in tools if value is None or value[one.name])


def texts_of(skill: Skill, names: Collection[str]) -> list[Resource]:
    """The texts among what was picked."""
    return [one for one in skill.resources if one.name in names]


def _has(component: Component, rollout: Rollout) -> bool:
    """Whether a rollout has what a verifier reads."""
    needed = [component.columns.get(name, name) for name in component.verifier.columns]
    return all(rollout.columns.get(name) not in (None, "") for name in needed)
