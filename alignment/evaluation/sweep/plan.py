"""The points of a budget sweep: what decides each, which are recorded already, and which are missing.

A point is one policy on one task in one mode at one budget. points.jsonl keeps every point ever measured in its
folder, under the hash of all that decides its figures; only those whose hash is the one asked for are used, so that
points of different settings never stand in one curve. Light; sweep_options.py makes the plan, sweep.py measures.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alignment.core.differences import differences
from alignment.core.errors import ArtifactError
from alignment.core.files import canonical_hash
from alignment.core.vocabulary import Mode
from alignment.recipe.evaluation import Evaluations
from alignment.recipe.hardware import Hardware
from alignment.records.policies import Policy

PLACE = ("stage", "task", "mode", "budget")
Facts = dict[str, Any]


@dataclass(frozen=True)
class Point:
    """What is measured. budget is None in non-thinking mode; identity is everything that decides the figures."""

    stage: str
    task: str
    mode: Mode
    budget: int | None
    identity: Facts

    @property
    def key(self) -> str:
        return canonical_hash(self.identity)

    @property
    def place(self) -> Facts:
        """Where the point stands in a picture, whatever the settings."""
        return {name: getattr(self, name) for name in PLACE}

    @property
    def described(self) -> str:
        return "non-thinking" if self.budget is None else f"budget {self.budget}"


@dataclass(frozen=True)
class SweepPlan:
    """A whole sweep: the points in the order in which they are shown, and what their processes need."""

    policies: Sequence[Policy]
    points: Sequence[Point]
    settings: Evaluations
    output: Path
    hardware: Hardware
    files: Mapping[str, str] = field(default_factory=dict)  # local files in place of public tasks
    trust_remote_code: bool = False
    offline: bool = True

    @property
    def points_file(self) -> Path:
        return self.output / "points.jsonl"

    def measured(self) -> list[Facts]:
        """The recorded figures of the asked points, in order; those that are missing are left out."""
        recorded = {facts.get("key"): facts for facts in recorded_points(self.points_file)}
        # The same policy may stand under two names: the name is the one asked for.
        return [{**recorded[point.key], **point.place} for point in self.points if point.key in recorded]

    def missing(self) -> list[Point]:
        """The points that have still to be measured."""
        keys = {facts.get("key") for facts in recorded_points(self.points_file)}
        return [point for point in self.points if point.key not in keys]

    def changes(self) -> list[str]:
        """`setting: then → now` for what keeps a recorded point of the same place from being used."""
        recorded = recorded_points(self.points_file)
        latest = {tuple(facts.get(name) for name in PLACE): facts.get("identity", {}) for facts in recorded}
        found: dict[str, None] = {}
        for point in self.missing():
            before = latest.get(tuple(point.place.values()))
            if before is not None:
                found |= dict.fromkeys(differences(before, point.identity))
        return list(found)


def recorded_points(path: Path) -> list[Facts]:
    """Every whole line of points.jsonl; one that a kill cut short is left out. Raises ArtifactError if unreadable."""
    if not path.exists():
        return []
    try:
        return list(_whole_objects(path.read_text(encoding="utf-8", errors="replace")))
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror or error})") from error


def _whole_objects(text: str) -> Iterator[Facts]:
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


def append_point(path: Path, point: Point, figures: Facts) -> None:
    """Record a point. It starts on a line of its own even after one that was cut short."""
    line = json.dumps({**point.place, "key": point.key, "identity": point.identity, **figures}, ensure_ascii=False)
    try:
        with path.open("a+b") as file:
            cut_short = file.tell() > 0 and path.read_bytes()[-1:] != b"\n"
            file.write((("\n" if cut_short else "") + line + "\n").encode())
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror or error})") from error
