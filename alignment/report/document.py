"""Run -> the report as one JSON document, whose schema is docs/report.md. Every other form is made from this one.

Neighbours: read.py (makes the Run), change.py and alarms.py (what is judged), markdown.py, html.py, terminal.py.
"""

from dataclasses import asdict, replace
from statistics import fmean
from typing import Any

from alignment.report.alarms import alarms
from alignment.report.changes import accuracy_change, evaluated_before, mode_change, spearman
from alignment.report.record import MODES, BudgetPoint, Evaluation, Run, Stage, is_number
from alignment.report.render.phrases import summary

SCHEMA_VERSION = 1
NOT_METRICS = {"step", "steps", "seconds"}
LOWER_IS_BETTER = ("loss", "eval_loss")
LEFT_OUT_OF_EVALUATIONS = ("mode", "samples")
HIGHER_IS_BETTER = ("reward", "mean_token_accuracy", "tokens_per_second")


def build_document(run: Run) -> dict[str, Any]:
    """The whole report as JSON values."""
    changes = {stage.name: _changes(run, index) for index, stage in enumerate(run.stages)}
    budget, budget_stage = _budget(run)
    document: dict[str, Any] = {
        "schema": SCHEMA_VERSION,
        "recipe": run.recipe,
        "seed": run.seed,
        "model": run.model,
        "started": run.started,
        "seconds": _total_seconds(run),
        "stages": [_stage(stage, changes[stage.name]) for stage in run.stages],
        "final": _final(run),
        "budget": [asdict(point) for point in budget],
        "budget_stage": budget_stage,
        "budget_spearman": spearman(budget),
        "sweep": _sweep(run),
        "alarms": alarms(run, changes),
        "versions": run.versions,
        "hardware": run.hardware,
        "notes": [*run.notes, *_sweeps_left_out(run, budget_stage), *_stale_sweep(run)],
    }
    return document | {"summary": summary(document)}


def _stage(stage: Stage, changes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": stage.name,
        "kind": stage.kind,
        "outcome": stage.outcome,
        "seconds": _rounded(stage.seconds),
        "evaluation_seconds": _rounded(sum(_evaluation_seconds(stage))),
        "attempts": [asdict(attempt) for attempt in stage.attempts],
        "steps": stage.steps,
        "tokens": stage.tokens,
        "inputs": stage.inputs,
        "output_hash": stage.output_hash,
        "counts": stage.counts,
        "evaluations": {mode: _evaluation(found) for mode, found in stage.evaluations.items()},
        "changes": changes,
        "follow": None if stage.follow is None else _as_json(asdict(stage.follow)),
        "constraints": [_as_json(asdict(task)) for task in stage.constraints],
        "training": _training(stage),
        "card": _card(stage),
    }


def _card(stage: Stage) -> dict[str, Any] | None:
    """The data card without its samples, which stay in the run directory."""
    if stage.card is None:
        return None
    facts = asdict(replace(stage.card, samples=()))
    del facts["samples"]
    # As JSON gives them back: lists.
    parts = [part | {"licences": list(part["licences"])} for part in facts["data"]]
    return facts | {"shares": list(facts["shares"]), "data": parts}


def _evaluation_seconds(stage: Stage) -> list[float]:
    spent = [found.seconds for found in stage.evaluations.values()]
    spent += [stage.follow.seconds] if stage.follow else []
    return [seconds for seconds in spent if seconds is not None]


def _as_json(value: Any) -> Any:
    """Lists for tuples, as JSON gives them back."""
    if isinstance(value, dict):
        return {name: _as_json(inner) for name, inner in value.items()}
    return [_as_json(inner) for inner in value] if isinstance(value, list | tuple) else value


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation without its samples, which stay in the run directory."""
    facts = asdict(replace(evaluation, samples=()))
    kept = {name: value for name, value in facts.items() if name not in LEFT_OUT_OF_EVALUATIONS}
    return kept | {"tasks": list(facts["tasks"]), "target_lengths": list(facts["target_lengths"])}


def _changes(run: Run, index: int) -> dict[str, dict[str, Any]]:
    stage = run.stages[index]
    found = {}
    for mode in MODES:
        before = evaluated_before(run.stages, index, mode)
        if mode in stage.evaluations and before is not None:
            found[mode] = mode_change(before.name, before.evaluations[mode], stage.evaluations[mode])
    return found


def _training(stage: Stage) -> dict[str, dict[str, Any]]:
    """{metric: {first, last, best}}. `best` is null for a metric of which neither more nor less is better."""
    metrics = sorted({name for line in stage.metrics for name, value in line.items() if is_number(value)} - NOT_METRICS)
    summaries = {}
    for metric in metrics:
        values = [value for _, value in stage.series(metric)]
        if values:
            best = min(values) if metric in LOWER_IS_BETTER else max(values) if _more_is_better(metric) else None
            summaries[metric] = {"first": values[0], "last": values[-1], "best": best, "mean": round(fmean(values), 6)}
    return summaries


def _more_is_better(metric: str) -> bool:
    return metric in HIGHER_IS_BETTER or (metric.startswith("reward/") and metric.endswith("/mean"))


def _final(run: Run) -> dict[str, dict[str, Any]]:
    """{mode: the last evaluated stage's accuracy, and how it stands against the best stage in that mode}."""
    final = {}
    for mode in MODES:
        path = [(stage.name, stage.evaluations[mode]) for stage in run.stages if mode in stage.evaluations]
        if not path:
            continue
        name, last = path[-1]
        best_name, best = max(path, key=lambda pair: pair[1].accuracy or 0.0)
        accuracies = {key: getattr(last, key) for key in ("count", "accuracy", "accuracy_low", "accuracy_high")}
        against_best = {"stage": best_name, "best": best.accuracy} | accuracy_change(best, last)
        final[mode] = {"stage": name} | accuracies | {"against_best": against_best}
    return final


def _budget(run: Run) -> tuple[tuple[BudgetPoint, ...], str | None]:
    swept = [stage for stage in run.stages if stage.budget]
    return (swept[-1].budget, swept[-1].name) if swept else ((), None)


def _sweeps_left_out(run: Run, shown: str | None) -> list[str]:
    others = [stage.name for stage in run.stages if stage.budget and stage.name != shown]
    return [f"Budget sweeps also exist for {', '.join(others)}; only that of {shown} is shown."] if others else []


def _sweep(run: Run) -> dict[str, Any] | None:
    """The points and knees of the last `alignment budget`."""
    if run.sweep is None:
        return None
    knees = [{"stage": stage, "task": task, "budget": budget} for (stage, task), budget in run.sweep.knees.items()]
    # As JSON gives it back: a list of votes.
    points = [asdict(point) | {"votes": [asdict(vote) for vote in point.votes]} for point in run.sweep.points]
    return {"points": points, "knees": knees}


def _stale_sweep(run: Run) -> list[str]:
    hashes = {stage.name: stage.output_hash for stage in run.stages}
    policies = run.sweep.policies if run.sweep else {}
    stale = [name for name, policy in policies.items() if hashes.get(name) != policy]
    return (
        [f"The budget sweep of {', '.join(stale)} was measured on another policy than is there now."] if stale else []
    )


def _total_seconds(run: Run) -> float | None:
    """Wall time of all stages and their evaluations."""
    spent = [stage.seconds for stage in run.stages if stage.seconds is not None]
    spent += [seconds for stage in run.stages for seconds in _evaluation_seconds(stage)]
    return _rounded(sum(spent)) if spent else None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
