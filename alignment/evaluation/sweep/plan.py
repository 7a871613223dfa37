"""The points of a budget sweep: what decides each, which are recorded already, and which are missing.

A point is one policy on one task in one mode at one budget. points.jsonl keeps every point ever measured in its
folder, under the hash of all that decides its figures; only those whose hash is the one asked for are used, so that
points of different settings never stand in one curve. The sweep that ends a recipe (run/evaluate.py) and
`alignment budget` (commands/budget_options.py) make their plan here. Light; job.py measures.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from alignment.core.differences import differences
from alignment.core.files import canonical_hash
from alignment.core.typed_json import Json
from alignment.core.vocabulary import MODES, Mode
from alignment.data.sources.own_task import task_name
from alignment.evaluation.identity import task_identity
from alignment.recipe.blocks.engine import WITHOUT_EFFECT
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.recipe.blocks.hardware import Hardware
from alignment.records.file_record import FileRecord
from alignment.records.policies import Policy
from alignment.records.sweep import POINTS, Place, RecordedPoint, SweepPoint

DECIDING = ("samples", "max_prompt_tokens", "max_completion_tokens")


@dataclass(frozen=True)
class Point:
    """A point: its place, and its identity, which is everything that decides its figures."""

    place: Place
    identity: Mapping[str, Json]

    @property
    def key(self) -> str:
        """The hash of the identity, under which the point is recorded."""
        return canonical_hash(self.identity)


@dataclass(frozen=True)
class SweepWork(FileRecord):
    """The work file of the process that measures one policy's missing points."""

    settings: Mapping[str, Json]
    policies: Mapping[str, str]  # model folder by stage
    files: Mapping[str, str]
    output: str
    missing: tuple[Point, ...]
    trust_remote_code: bool


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
        """Path of points.jsonl."""
        return self.output / POINTS

    def measured(self) -> list[SweepPoint]:
        """The recorded figures of the asked points, in order; those that are missing are left out."""
        recorded = {one.key: one.point for one in recorded_points(self.points_file)}
        # The same policy may stand under two names: the name is the one asked for.
        return [replace(recorded[one.key], place=one.place) for one in self.points if one.key in recorded]

    def missing(self) -> list[Point]:
        """The points that have still to be measured."""
        keys = {one.key for one in recorded_points(self.points_file)}
        return [point for point in self.points if point.key not in keys]

    def changes(self) -> list[str]:
        """`setting: then → now` for what keeps a recorded point of the same place from being used."""
        latest = {one.point.place: one.identity for one in recorded_points(self.points_file)}
        found: dict[str, None] = {}
        for point in self.missing():
            before = latest.get(point.place)
            if before is not None:
                found |= dict.fromkeys(differences(before, point.identity))
        return list(found)

    def work(self, missing: Sequence[Point]) -> SweepWork:
        """The work file for these points."""
        return SweepWork(
            settings=self.settings.model_dump(mode="json"),
            policies={policy.name: str(policy.folder) for policy in self.policies},
            files=self.files,
            output=str(self.output),
            missing=tuple(missing),
            trust_remote_code=self.trust_remote_code,
        )


def recorded_points(path: Path) -> list[RecordedPoint]:
    """Every whole line of points.jsonl. Raises ArtifactError if the file cannot be read."""
    return list(RecordedPoint.read_lines(path)) if path.exists() else []


def planned_points(
    policies: Sequence[Policy], settings: Evaluations, files: Mapping[str, str], modes: Sequence[Mode] = MODES
) -> Iterator[Point]:
    """A point for each policy, task of `after_each_stage`, and mode; in thinking mode one for each budget."""
    tasks = {name: task_identity(settings, name, files) for name in settings.after_each_stage}
    for policy in policies:
        for name, task in tasks.items():
            for mode, budget in curve(settings, modes):
                decided = {"policy": policy.output_hash(), "task": task, **_identity(settings, mode, budget)}
                yield Point(Place(policy.name, task_name(name), mode, budget), decided)


def curve(settings: Evaluations, modes: Sequence[Mode]) -> list[tuple[Mode, int | None]]:
    """The modes and budgets of one curve, in order."""
    thinking: list[tuple[Mode, int | None]] = [("thinking", budget) for budget in sorted(set(settings.budgets))]
    plain: list[tuple[Mode, int | None]] = [("non_thinking", None)]
    return (thinking if "thinking" in modes else []) + (plain if "non_thinking" in modes else [])


def _identity(settings: Evaluations, mode: Mode, budget: int | None) -> dict[str, Json]:
    """What decides the figures of a point beside its policy and its task."""
    return {
        "mode": mode,
        "budget": budget,
        "thinking_budget": None if budget is None else settings.thinking_budget.at(budget).model_dump(mode="json"),
        "sampling": settings.sampling[mode],
        "engine": settings.engine.model_dump(mode="json", exclude=set(WITHOUT_EFFECT)),
        **{name: getattr(settings, name) for name in DECIDING},
    }
