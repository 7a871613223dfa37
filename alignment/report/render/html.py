"""Run and document -> report.html, one file with nothing from elsewhere (alignment/core/page.py).

What a model or a recipe wrote is escaped; only charts, built from escaped parts, are inserted as they are. Neighbours:
page.html.jinja (layout and style), charts.py (pictures), samples.py (which model answers are shown).
"""

from typing import Any

from markupsafe import Markup

from alignment.core.page import page_template
from alignment.report.figures import stages as charts
from alignment.report.figures.sweep import sweep_figures
from alignment.report.record import MODES, Run
from alignment.report.render import phrases
from alignment.report.render.following import (
    CONSTRAINT_LEGEND,
    FOLLOW_LEGEND,
    cautions,
    constrained_stages,
    constraint_table,
    follow_table,
    followed_stages,
    type_table,
)
from alignment.report.render.samples import comparisons, first_and_last

CURVES = {
    "loss": "loss",
    "reward": "reward",
    "entropy": "entropy",
    "completion_tokens": "completion tokens",
    "thinking_tokens": "thinking tokens",
    "zero_variance_groups": "silent groups",
    "truncated_fraction": "truncated share",
    "logprob_gap": "log-prob gap",
    "learning_rate": "learning rate",
    "tokens_per_second": "tokens / second",
}


def render_page(document: dict[str, Any], run: Run) -> str:
    """The page. The document gives every number, the run the curves and the model's texts."""
    template = page_template("alignment.report.render", phrases=phrases, interval_bar=charts.interval_bar)
    return template.render(
        document=document,
        evaluated=[stage for stage in document["stages"] if stage["evaluations"]],
        tasks=task_rows(document),
        accuracy=charts.accuracy_by_stage(document),
        tokens=charts.tokens_by_stage(document),
        told=[
            (stage["name"], point)
            for stage in document["stages"]
            for point in stage["evaluations"].get("thinking", {}).get("target_lengths", [])
        ],
        budget_curve=charts.budget_curve(document, "budget"),
        spent_curve=charts.budget_curve(document, "tokens"),
        sweeps=sweep_figures(document),
        following=following_tables(document),
        curves=training_curves(run),
        comparisons=comparisons(run),
        rollouts=first_and_last(run),
        lineage=charts.lineage(document),
        timings=timings(document),
        card_samples={stage.name: stage.card.samples for stage in run.stages if stage.card},
    )


def following_tables(document: dict[str, Any]) -> dict[str, Any]:
    """Flags over several turns and where thinking helps or hurts; a table is None where no stage has it. Types: the last stage's."""
    followed, constrained = followed_stages(document), constrained_stages(document)
    last = list(constrained.items())[-1:]
    return {
        "follow": follow_table(followed) if followed else None,
        "constraints": constraint_table(constrained) if constrained else None,
        "types": [(stage, task["task"], type_table(task)) for stage, tasks in last for task in tasks],
        "cautions": list(cautions(constrained)),
        "legends": (FOLLOW_LEGEND, CONSTRAINT_LEGEND),
    }


def training_curves(run: Run) -> list[tuple[str, list[dict[str, Any]]]]:
    """(stage, its small multiples) for every stage that logged at least two steps of something worth a picture."""
    found = []
    for stage in run.stages:
        drawn = [_curve(stage.series(metric), f"{stage.name}, {label}", label) for metric, label in CURVES.items()]
        if any(drawn):
            found.append((stage.name, [one for one in drawn if one]))
    return found


def _curve(series: list[tuple[float, float]], title: str, label: str) -> dict[str, Any] | None:
    picture: Markup | None = charts.curve(series, title)
    if picture is None:
        return None
    return {"label": label, "picture": picture, "first": series[0][1], "last": series[-1][1]}


def task_rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per task and mode with the accuracy after each evaluated stage; empty where there is a single task."""
    evaluated = [stage for stage in document["stages"] if stage["evaluations"]]
    places = [(stage, mode) for stage in evaluated for mode in MODES if mode in stage["evaluations"]]
    names = dict.fromkeys(task["task"] for stage, mode in places for task in stage["evaluations"][mode]["tasks"])
    if len(names) < 2:
        return []
    rows = [
        {"task": name, "mode": mode, "cells": [_task_cell(stage, mode, name) for stage in evaluated]}
        for mode in MODES
        for name in names
    ]
    return [row for row in rows if any(row["cells"])]


def _task_cell(stage: dict[str, Any], mode: str, name: str) -> dict[str, Any] | None:
    tasks = stage["evaluations"].get(mode, {}).get("tasks", [])
    found = next((task for task in tasks if task["task"] == name), None)
    changed = stage["changes"].get(mode, {}).get("tasks", [])
    return found and found | {"change": next((task for task in changed if task["task"] == name), None)}


def timings(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Each stage's share of the run's wall time, its own and that of its evaluations."""
    total = document["seconds"] or 0.0
    rows = []
    for stage in document["stages"]:
        own, evaluating = stage["seconds"] or 0.0, stage["evaluation_seconds"] or 0.0
        if total and own + evaluating:
            shares = {"share": own / total, "evaluation_fraction": evaluating / total}
            rows.append({"name": stage["name"], "seconds": own, "evaluation_seconds": evaluating} | shares)
    return rows
