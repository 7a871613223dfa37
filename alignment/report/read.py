"""Run directory -> Run. Takes a run as it stands: unfinished stages, missing evaluations and damaged files are noted.

The format is docs/run-directory.md. Nothing is computed here that the run did not record, except the seconds of a
stage without a manifest, which are summed over its attempts.
Neighbours: files.py (how a file goes wrong), record.py (the values), document.py (what is made of them).
"""

import re
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import Any

from alignment.core.errors import ArtifactError
from alignment.report.files import Reader
from alignment.report.read_card import read_card
from alignment.report.read_following import read_constraints, read_follow
from alignment.report.read_sweep import read_sweep
from alignment.report.record import (
    MODES,
    Attempt,
    BudgetPoint,
    Evaluation,
    Line,
    Number,
    Rollouts,
    Run,
    Sample,
    Stage,
    TaskScore,
    ToldPoint,
    is_number,
)

STAGE_FOLDER = re.compile(r"^(\d+)-([^.]+)$")  # one that was set aside ends with .redone-1 or the like
ROLLOUTS_KEPT = 4  # from the first step, and as many from the last
TASK_FIELDS = ("accuracy", "accuracy_low", "accuracy_high")
POINT_FIELDS = (*TASK_FIELDS, "mean_thinking_tokens", "mean_answer_tokens", "forced_fraction")
TOLD_FIELDS = (
    "budget",
    "accuracy",
    "mean_thinking_tokens",
    *(f"adherence_error{end}" for end in ("", "_low", "_high")),
)
EVALUATION_FIELDS = (
    *TASK_FIELDS,
    "format",
    "think_follow",
    "mean_thinking_tokens",
    "mean_answer_tokens",
    "truncated_fraction",
    "unknown",
    "seconds",
)


def read_run(path: Path) -> Run:
    """Read a run directory. Raises ArtifactError only where there is no run: no folder, or no run.json and no stage."""
    if not path.is_dir():
        raise ArtifactError(
            f"{path} is not a run directory: there is no such folder. Give the folder that holds run.json."
        )
    reader = Reader(path)
    facts = reader.json_object(path / "run.json")
    recipe = reader.yaml_object(path / "recipe.yaml")
    folders = sorted((int(found[1]), entry) for entry in path.iterdir() if (found := STAGE_FOLDER.match(entry.name)))
    if not facts and not folders:
        raise ArtifactError(
            f"{path} is not a run directory: it holds neither run.json nor a stage such as 01-cold_start."
        )
    if not facts:
        reader.notes.append("run.json is missing or unreadable: versions and hardware are not known.")
    begun = [_stage(reader, folder) for _, folder in folders if folder.is_dir()]
    stages = (*begun, *_not_started(recipe, {stage.name for stage in begun}))
    for stage in stages:
        if stage.outcome != "finished":
            reader.notes.append(f"Stage {stage.name} is not finished ({stage.outcome}).")
    sweep = read_sweep(reader, path / "budget" / "budget.json")
    return Run(
        path=path,
        recipe=str(facts.get("recipe") or recipe.get("name") or path.name),
        seed=_whole(facts.get("seed", recipe.get("seed"))),
        model=str(facts.get("model") or recipe.get("model") or "unknown"),
        started=None if facts.get("started") is None else str(facts["started"]),
        versions=_object(facts.get("versions")),
        hardware=_object(facts.get("hardware")),
        stages=stages,
        notes=tuple(reader.notes),
        sweep=sweep,
    )


def _stage(reader: Reader, folder: Path) -> Stage:
    begun = reader.json_object(folder / "stage.json")
    manifest = reader.json_object(folder / "manifest.json")
    attempts = _attempts(reader, folder / "attempts")
    metrics = tuple(reader.json_lines(folder / "metrics.jsonl"))
    evaluations = (_evaluation(reader, folder / "evaluations" / f"{mode}.json", mode) for mode in MODES)
    timed = [attempt.seconds for attempt in attempts if attempt.seconds is not None]
    steps = _whole(manifest.get("steps"))
    return Stage(
        name=str(manifest.get("name") or begun.get("name") or folder.name.partition("-")[2]),
        kind=str(manifest.get("kind") or begun.get("kind") or "unknown"),
        outcome=_outcome(manifest, attempts),
        seconds=_number(manifest.get("seconds")) if manifest else (sum(timed) if timed else None),
        steps=steps if steps is not None or not metrics else _whole(metrics[-1].get("step")),
        tokens=_whole(manifest.get("tokens")),
        inputs={name: str(hashed) for name, hashed in _object(manifest.get("inputs")).items()},
        output_hash=str(manifest["output_hash"]) if manifest.get("output_hash") else None,
        counts=_object(manifest.get("counts")),
        identity=_object(manifest.get("identity") or begun.get("identity")),
        attempts=attempts,
        metrics=metrics,
        rollouts=_rollouts(reader, folder / "rollouts.jsonl"),
        evaluations={found.mode: found for found in evaluations if found is not None},
        budget=_budget(reader, folder / "evaluations" / "budget.json"),
        card=read_card(reader, folder / "output"),
        follow=read_follow(reader, folder / "evaluations" / "follow.json"),
        constraints=read_constraints(reader, folder / "evaluations" / "constraints.json"),
    )


def _outcome(manifest: dict[str, Any], attempts: tuple[Attempt, ...]) -> str:
    if manifest:
        return str(manifest.get("outcome") or "finished")
    last = attempts[-1].outcome if attempts else None
    return last if last not in (None, "finished") else "unfinished"


def _not_started(recipe: dict[str, Any], begun: set[str]) -> list[Stage]:
    planned = [stage for stage in _list(recipe.get("stages")) if isinstance(stage, dict) and stage.get("name")]
    return [
        Stage(name=str(stage["name"]), kind=str(stage.get("kind", "unknown")), outcome="not started")
        for stage in planned
        if stage["name"] not in begun
    ]


def _attempts(reader: Reader, folder: Path) -> tuple[Attempt, ...]:
    paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
    return tuple(_attempt(path.stem, reader.json_object(path)) for path in paths)


def _attempt(number: str, facts: dict[str, Any]) -> Attempt:
    started, ended = _moment(facts.get("started")), _moment(facts.get("ended"))
    seconds = max(0.0, ended - started) if started is not None and ended is not None else None
    return Attempt(number, str(facts["outcome"]) if facts.get("outcome") else None, seconds)


def _evaluation(reader: Reader, path: Path, mode: str) -> Evaluation | None:
    facts = reader.json_object(path)
    if not facts:
        return None
    count = _whole(facts.get("count"))
    numbers = {name: _number(facts.get(name)) for name in EVALUATION_FIELDS}
    if count is None or numbers["accuracy"] is None:
        reader.note(path, "holds no count and accuracy and was left out.")
        return None
    tasks = [task for task in _list(facts.get("tasks")) if isinstance(task, dict)]
    samples = [sample for sample in _list(facts.get("samples")) if isinstance(sample, dict)]
    return Evaluation(
        mode=mode,
        count=count,
        tasks=tuple(map(_task, tasks)),
        samples=tuple(map(_sample, samples)),
        target_lengths=tuple(_told(point) for point in _list(facts.get("target_lengths")) if isinstance(point, dict)),
        **numbers,
    )


def _told(facts: Line) -> ToldPoint:
    return ToldPoint(count=_whole(facts.get("count")) or 0, **{name: _number(facts.get(name)) for name in TOLD_FIELDS})


def _task(facts: Line) -> TaskScore:
    numbers = {name: _number(facts.get(name)) for name in TASK_FIELDS}
    return TaskScore(task=str(facts.get("task", "unnamed")), count=_whole(facts.get("count")) or 0, **numbers)


def _sample(facts: Line) -> Sample:
    texts = {name: _text(facts.get(name)) for name in ("task", "question", "answer", "text")}
    correct = facts.get("correct")
    return Sample(
        **texts,
        correct=None if correct is None else bool(correct),
        thinking_tokens=_number(facts.get("thinking_tokens")),
    )


def _budget(reader: Reader, path: Path) -> tuple[BudgetPoint, ...]:
    points = [point for point in _list(reader.json_object(path).get("points")) if isinstance(point, dict)]
    read = [
        BudgetPoint(
            budget=_number(point.get("budget")),
            count=_whole(point.get("count")) or 0,
            **{name: _number(point.get(name)) for name in POINT_FIELDS},
        )
        for point in points
    ]
    return tuple(sorted(read, key=lambda point: float("inf") if point.budget is None else point.budget))


def _rollouts(reader: Reader, path: Path) -> Rollouts:
    """Streams the file, which may be large, and keeps a few completions of the first step and of the last."""
    first: list[Line] = []
    last: deque[Line] = deque(maxlen=ROLLOUTS_KEPT)
    modes: set[str] = set()
    for line in reader.json_lines(path):
        if not first or (len(first) < ROLLOUTS_KEPT and line.get("step") == first[0].get("step")):
            first.append(line)
        if last and line.get("step") != last[0].get("step"):
            last.clear()
        last.append(line)
        modes.update({line["mode"]} & set(MODES) if isinstance(line.get("mode"), str) else ())
    one_step = bool(first) and first[0].get("step") == last[0].get("step")
    return Rollouts(tuple(first), () if one_step else tuple(last), frozenset(modes))


def _moment(value: object) -> Number:
    """Seconds since 1970 from a number or an ISO 8601 time."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).timestamp()
        except ValueError:
            return None
    return _number(value)


def _number(value: object) -> Number:
    return float(value) if is_number(value) else None


def _whole(value: object) -> int | None:
    return int(value) if is_number(value) else None


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
