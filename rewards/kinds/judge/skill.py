"""A skill of judging (Skill-RM, arXiv 2606.03980): a folder that says how evidence is gathered, and what counts as evidence.

    SKILL.md         front matter (name, description), then the protocol that the judge follows
    rubric.yaml      criteria with id, text, weight, severity and quote; `verifiers` whose verdict decides some of them
    references/*.md  what the judge may ask to read; a file's first line says what it is for
    checklists/*.md  the same; a judge that picks one answers each of its items (`- [ ] text`) before it decides

Files of the user's own, which are shown to the judge as they are. Neighbours: skill_tools.py (what it may pick),
skill_judge.py (asks for evidence), rubric.py (scores).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rewards.errors import RewardsError
from rewards.kinds.judge.forms import CAPS
from rewards.kinds.judge.rubric import Criterion, read_rubric

LONGEST_PROTOCOL = 6000  # characters: it stands twice in each question
LONGEST_RESOURCE = 8000
MOST_RESOURCES = 12
MOST_ITEMS = 20  # of a checklist
_ITEM = re.compile(r"^[-*] \[ \] +(\S.*?)\s*$", re.MULTILINE)
KEYS = frozenset(("criteria", "verifiers"))


class SkillUnusable(RewardsError, ValueError):
    """A folder that is no skill of judging; says which file and what is wrong."""


@dataclass(frozen=True)
class SkillCriterion:
    """A criterion by its id. quote: it counts as met only with words that stand in the response."""

    id: str
    criterion: Criterion
    quote: bool = False


@dataclass(frozen=True)
class SkillVerifier:
    """A reward kind whose verdict on the same rollout decides criteria, whatever the judge's impression of them.

    least: the score from which they are met. obligatory: it runs whether the judge asks for it or not.
    """

    name: str
    spec: Mapping[str, Any]
    decides: tuple[str, ...]
    least: float = 1.0
    obligatory: bool = False


@dataclass(frozen=True)
class Resource:
    """A text that the judge may ask for, and the line that says what it is for. items: those of a checklist, in order."""

    name: str
    purpose: str
    text: str
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skill:
    """A whole skill."""

    name: str
    protocol: str
    criteria: tuple[SkillCriterion, ...]
    verifiers: tuple[SkillVerifier, ...] = ()
    resources: tuple[Resource, ...] = field(default=())


def read_skill(folder: Path) -> Skill:
    """The skill in a folder. Raises SkillUnusable."""
    name, protocol = _protocol(folder / "SKILL.md")
    written = _yaml(folder / "rubric.yaml")
    if not isinstance(written, Mapping) or not set(written) <= KEYS:
        raise SkillUnusable(f"{folder / 'rubric.yaml'}: write a mapping with `criteria` and, if wanted, `verifiers`")
    criteria = _criteria(folder / "rubric.yaml", written.get("criteria"))
    verifiers = tuple(_verifier(folder / "rubric.yaml", one, criteria) for one in written.get("verifiers") or ())
    resources = tuple(
        _resource(path, f"{path.parent.name}/{path.stem}")
        for kind in ("references", "checklists")
        for path in sorted((folder / kind).glob("*.md"))
    )
    if len(resources) > MOST_RESOURCES:
        raise SkillUnusable(
            f"{folder}: {len(resources)} references and checklists; a judge chooses from {MOST_RESOURCES} at most"
        )
    return Skill(name, protocol, criteria, verifiers, resources)


def _protocol(path: Path) -> tuple[str, str]:
    """The name in the front matter, and what follows it."""
    text = _text(path)
    _, opening, rest = text.partition("---\n")
    front, closing, body = rest.partition("\n---")
    facts = _parsed(path, front) if opening and closing and text.startswith("---\n") else None
    if not isinstance(facts, Mapping) or not isinstance(facts.get("name"), str) or not body.strip():
        raise SkillUnusable(
            f"{path}: begin with `---`, `name: ...`, `description: ...`, `---`, and then say how to judge"
        )
    if len(body) > LONGEST_PROTOCOL:
        raise SkillUnusable(
            f"{path}: the protocol has {len(body):,} characters, and {LONGEST_PROTOCOL:,} are the most; move parts into references/"
        )
    return facts["name"], body.strip()


def _criteria(path: Path, listed: Any) -> tuple[SkillCriterion, ...]:
    found = read_rubric(listed)
    if found is None or not all(isinstance(one, Mapping) and isinstance(one.get("id"), str) for one in listed):
        raise SkillUnusable(
            f"{path}: `criteria` is a list of {{id, text, weight, severity, quote}}, severity one of minor, major, critical, with "
            "one weight above 0"
        )
    ids = [str(one["id"]) for one in listed]
    if len(set(ids)) < len(ids):
        raise SkillUnusable(f"{path}: two criteria have the same id; give each its own")
    return tuple(
        SkillCriterion(name, criterion, bool(one.get("quote")))
        for name, criterion, one in zip(ids, found, listed, strict=True)
    )


def convicts(one: Criterion) -> bool:
    """Whether evidence on a criterion can cap a score, or finds a fault: then no judge may choose to do without it."""
    return CAPS[one.severity] < 1 or one.weight < 0


def _verifier(path: Path, written: Any, criteria: Sequence[SkillCriterion]) -> SkillVerifier:
    """A verifier; its options are checked when the judge is made."""
    known = {one.id for one in criteria}
    if not isinstance(written, Mapping) or not isinstance(written.get("kind"), str) or written["kind"] == "judge":
        raise SkillUnusable(
            f"{path}: a verifier is {{kind, decides, least}} with its options, and no judge; found {written!r}"
        )
    decides, least = written.get("decides"), written.get("least", 1.0)
    if not isinstance(decides, list) or not decides or not set(decides) <= known:
        raise SkillUnusable(f"{path}: `decides` of {written['kind']} lists ids of criteria: {', '.join(sorted(known))}")
    if isinstance(least, bool) or not isinstance(least, (int, float)):
        raise SkillUnusable(f"{path}: `least` of {written['kind']} is a number, not {least!r}")
    spec = {key: one for key, one in written.items() if key not in ("decides", "least")}
    obligatory = any(convicts(one.criterion) for one in criteria if one.id in decides)
    return SkillVerifier(str(written.get("name") or written["kind"]), spec, tuple(decides), float(least), obligatory)


def _resource(path: Path, name: str) -> Resource:
    text = _text(path).strip()
    if not text or len(text) > LONGEST_RESOURCE:
        raise SkillUnusable(f"{path}: it has {len(text):,} characters; write 1 to {LONGEST_RESOURCE:,}")
    items = tuple(_ITEM.findall(text)) if path.parent.name == "checklists" else ()
    if len(items) > MOST_ITEMS:
        raise SkillUnusable(f"{path}: it has {len(items)} items; a judge answers {MOST_ITEMS} of a checklist at most")
    return Resource(name, text.splitlines()[0].lstrip("# ")[:200], text, items)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SkillUnusable(f"{path}: cannot be read ({error})") from error


def _yaml(path: Path) -> Any:
    return _parsed(path, _text(path))


def _parsed(path: Path, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SkillUnusable(f"{path}: is not YAML ({' '.join(str(error).split())})") from error
