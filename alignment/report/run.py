"""A run directory as a tree of its records: a Run of Stages with attempts, metrics, rollouts and evaluations.

A run is taken as it stands: unfinished stages, missing evaluations and damaged files are noted. Nothing is computed that
the run did not record, except the seconds of a stage without a manifest, which are those of its attempts.
Neighbours: records/ (the records), files.py (how a file goes wrong), build.py (makes the document of the tree).
"""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from alignment.core.errors import ArtifactError
from alignment.core.machine import Machine
from alignment.core.typed_json import Json, Unreadable, decode
from alignment.core.vocabulary import MODES, Mode
from alignment.records.attempt import Attempt
from alignment.records.card import DataCard
from alignment.records.comparison import FOLDER as COMPARISONS
from alignment.records.comparison import ComparisonRecord
from alignment.records.constraints import ConstraintsRecord, ConstraintTask
from alignment.records.evaluation import EvaluationRecord
from alignment.records.follow import FollowFigures, FollowRecord
from alignment.records.manifest import Manifest
from alignment.records.metrics import MetricsRow
from alignment.records.paired_prompts import PairedPromptsRecord
from alignment.records.process import ProcessRecord
from alignment.records.reward_model import RewardModelRecord
from alignment.records.rollout import RolloutRow
from alignment.records.run import RunRecord, StageStart
from alignment.records.run_folder import BASE_MODEL, RunFolder, StageFolder
from alignment.records.sweep import FOLDER, SWEEP, Sweep
from alignment.records.trials import FOLDER as TRIALS
from alignment.records.trials import MIXTURE, ROWS, MixtureSearch, RowCurve
from alignment.report.files import Reader

STAGE_FOLDER = re.compile(r"^(\d+)-([^.]+)$")  # one that was set aside ends with .redone-1 or the like
ROLLOUTS_KEPT = 4  # from the first step, and as many from the last
Number = float | None  # None: not recorded


@dataclass(frozen=True)
class Rollouts:
    """A few recorded completions from a stage's first step and from its last, and the modes that occurred."""

    first: tuple[RolloutRow, ...] = ()
    last: tuple[RolloutRow, ...] = ()
    modes: frozenset[Mode] = frozenset()


@dataclass(frozen=True)
class Stage:
    """One stage. `outcome` is finished, failed, killed, interrupted, unfinished or not started."""

    name: str
    kind: str
    outcome: str
    seconds: Number = None
    steps: int | None = None
    tokens: int | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    output_hash: str | None = None
    counts: Mapping[str, Json] = field(default_factory=dict)
    identity: Mapping[str, Json] = field(default_factory=dict)
    attempts: Mapping[int, Attempt] = field(default_factory=dict)
    metrics: tuple[MetricsRow, ...] = ()
    rollouts: Rollouts = Rollouts()
    evaluations: Mapping[Mode, EvaluationRecord] = field(default_factory=dict)
    card: DataCard | None = None
    card_page: str | None = None  # card.md, from the run directory
    follow: FollowFigures | None = None
    paired_prompts: PairedPromptsRecord | None = None
    constraints: tuple[ConstraintTask, ...] = ()
    process: ProcessRecord | None = None
    reward_model: RewardModelRecord | None = None

    def series(self, metric: str) -> list[tuple[float, float]]:
        """(step, value) for every line of metrics.jsonl that holds this metric."""
        pairs = ((row.step, row.figures.get(metric)) for row in self.metrics)
        return [(float(step), value) for step, value in pairs if value is not None]


@dataclass(frozen=True)
class Run:
    """A whole run directory. `notes` says in sentences what was missing, half written or unreadable."""

    path: Path
    recipe: str
    seed: int | None
    model: str
    started: str | None
    versions: Mapping[str, str]
    hardware: Machine | None
    stages: tuple[Stage, ...]
    notes: tuple[str, ...]
    sweep: Sweep | None = None
    row_curves: tuple[RowCurve, ...] = ()
    mixtures: tuple[MixtureSearch, ...] = ()
    pairwise: tuple[ComparisonRecord, ...] = ()


def read_run(path: Path) -> Run:
    """Read a run directory. Raises ArtifactError only where there is no run: no folder, or no run.json and no stage."""
    if not path.is_dir():
        raise ArtifactError(
            f"{path} is not a run directory: there is no such folder. Give the folder that holds run.json."
        )
    reader = Reader(path)
    facts = reader.record(RunRecord, path / "run.json")
    recipe = reader.yaml_mapping(path / "recipe.yaml")
    folders = sorted((int(found[1]), entry) for entry in path.iterdir() if (found := STAGE_FOLDER.match(entry.name)))
    if facts is None:
        if not folders:
            raise ArtifactError(
                f"{path} is not a run directory: it holds neither run.json nor a stage such as 01-cold_start."
            )
        reader.notes.append("run.json is missing or unreadable: versions and hardware are not known.")
        seed = recipe.get("seed")
        facts = RunRecord(
            str(recipe.get("name") or path.name),
            seed if isinstance(seed, int) else None,
            str(recipe.get("model") or "unknown"),
        )
    begun = [_stage(reader, StageFolder(folder)) for _, folder in folders if folder.is_dir()]
    stages = (
        *_before_stages(reader, RunFolder(path).before_stages),
        *begun,
        *_not_started(recipe, {stage.name for stage in begun}),
    )
    for stage in stages:
        if stage.outcome != "finished":
            reader.notes.append(f"Stage {stage.name} is not finished ({stage.outcome}).")
    sweep = reader.record(Sweep, path / FOLDER / SWEEP)
    trials = path / TRIALS
    return Run(
        path=path,
        recipe=facts.recipe,
        seed=facts.seed,
        model=facts.model,
        started=facts.started,
        versions=facts.versions,
        hardware=facts.hardware,
        stages=stages,
        notes=tuple(reader.notes),
        sweep=sweep if sweep is not None and sweep.points else None,
        row_curves=tuple(reader.matching(RowCurve, trials, ROWS.format("*"))),
        mixtures=tuple(reader.matching(MixtureSearch, trials, MIXTURE.format("*"))),
        pairwise=tuple(reader.matching(ComparisonRecord, path / COMPARISONS, "*.json")),
    )


def _before_stages(reader: Reader, folder: StageFolder) -> list[Stage]:
    """What was measured of the model that the run starts from, as a stage that trained nothing; none without measurements."""
    measured = _stage(reader, folder)
    policies = [one.identity.get("policy") for one in measured.evaluations.values() if one.identity is not None]
    if not policies:
        return []
    known = str(policies[0])
    return [replace(measured, name=BASE_MODEL, kind="base model", outcome="finished", output_hash=known)]


def _stage(reader: Reader, folder: StageFolder) -> Stage:
    begun = reader.record(StageStart, folder.path / "stage.json")
    manifest = reader.record(Manifest, folder.manifest_path)
    attempts = _attempts(reader, folder.path / "attempts")
    metrics = tuple(reader.records(MetricsRow, folder.metrics))
    known = manifest or begun
    card = reader.record(DataCard, folder.output / "card.json")
    follow = reader.record(FollowRecord, folder.evaluations / "follow.json")
    constraints = reader.record(ConstraintsRecord, folder.evaluations / "constraints.json")
    evaluations = {mode: reader.record(EvaluationRecord, folder.evaluations / f"{mode}.json") for mode in MODES}
    timed = [one.seconds for one in attempts.values() if one.seconds is not None]
    return Stage(
        name=known.name if known else folder.path.name.partition("-")[2],
        kind=known.kind if known else "unknown",
        outcome=_outcome(manifest, attempts),
        seconds=manifest.seconds if manifest else sum(timed) if timed else None,
        steps=manifest.steps if manifest else metrics[-1].step if metrics else None,
        tokens=manifest.tokens if manifest else None,
        inputs=manifest.inputs if manifest else {},
        output_hash=manifest.output_hash if manifest else None,
        counts=manifest.counts if manifest else {},
        identity=known.identity if known else {},
        attempts=attempts,
        metrics=metrics,
        rollouts=_rollouts(reader, folder.rollouts),
        evaluations={mode: found for mode, found in evaluations.items() if found is not None},
        card=card,
        card_page=(folder.output / "card.md").relative_to(reader.root).as_posix() if card else None,
        follow=follow.figures if follow else None,
        paired_prompts=reader.record(PairedPromptsRecord, folder.evaluations / "paired_prompts.json"),
        constraints=constraints.tasks if constraints else (),
        process=reader.record(ProcessRecord, folder.evaluations / "process.json"),
        reward_model=reader.record(RewardModelRecord, folder.evaluations / "reward_model.json"),
    )


def _outcome(manifest: Manifest | None, attempts: Mapping[int, Attempt]) -> str:
    if manifest:
        return manifest.outcome
    last = attempts[max(attempts)].outcome if attempts else None
    return "unfinished" if last in (None, "finished") else str(last)


def _not_started(recipe: Mapping[str, Json], begun: set[str]) -> list[Stage]:
    listed = recipe.get("stages")
    planned = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return [
        Stage(name=str(one["name"]), kind=str(one.get("kind", "unknown")), outcome="not started")
        for one in planned
        if one.get("name") and one["name"] not in begun
    ]


def _attempts(reader: Reader, folder: Path) -> dict[int, Attempt]:
    paths = [path for path in folder.glob("*.json") if path.stem.isdecimal()] if folder.is_dir() else []
    found = {int(path.stem): reader.record(Attempt, path) for path in paths}
    return {number: one for number, one in sorted(found.items()) if one is not None}


def _rollouts(reader: Reader, path: Path) -> Rollouts:
    """Streams the file, which may be large, and decodes only a few completions of the first step and of the last."""
    first: list[Any] = []
    last: deque[Any] = deque(maxlen=ROLLOUTS_KEPT)
    modes: set[Mode] = set()
    for row in reader.lines(path):
        if not first or (len(first) < ROLLOUTS_KEPT and row.get("step") == first[0].get("step")):
            first.append(row)
        if last and row.get("step") != last[0].get("step"):
            last.clear()
        last.append(row)
        modes.update(mode for mode in MODES if row.get("mode") == mode)
    one_step = bool(first) and first[0].get("step") == last[0].get("step")
    return Rollouts(_decoded(reader, path, first), () if one_step else _decoded(reader, path, last), frozenset(modes))


def _decoded(reader: Reader, path: Path, rows: Any) -> tuple[RolloutRow, ...]:
    found = []
    for row in rows:
        try:
            found.append(decode(RolloutRow, row, []))
        except Unreadable as error:
            reader.note(path, f"holds a line that is no completion ({error}); left out.")
    return tuple(found)
