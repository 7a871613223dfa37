"""budget.png: accuracy over the thinking budget, as in Qwen3's Figure 2, and at equal tokens against voting.

One row for each task. Left: a line for each stage, the same policy without thinking dashed, the knee ringed. Right:
one sample at growing budgets against majority votes at each budget, over the tokens really spent, for the last stage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment.core.errors import ArtifactError
from alignment.core.statistics.estimate import Estimate
from alignment.records.sweep import Sweep, SweepPoint

COLOURS = ("#3458b8", "#a8680c", "#1a7546", "#8d3fa0", "#b52d25", "#4a6a78")


@dataclass(frozen=True)
class _Curve:
    """One stage: its points by budget, and its point without thinking."""

    stage: str
    thinking: Sequence[SweepPoint]
    plain: Sequence[SweepPoint]


def draw(sweep: Sweep, path: Path) -> None:
    """Write the picture. Raises ArtifactError if the file cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(point.place.task for point in sweep.points))
    figure = Figure(figsize=(11, 4 * max(1, len(tasks))), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(max(1, len(tasks)), 2, squeeze=False)
    for row, task in zip(panels, tasks, strict=False):
        known = [point for point in sweep.points if point.figures.accuracy.value is not None]
        points = [point for point in known if point.place.task == task]
        _curves(row[0], points, {one.stage: one.budget for one in sweep.knees if one.task == task}, task)
        _votes(row[1], points)
    try:
        figure.savefig(path, dpi=144)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror or error})") from error


def _curves(panel: Any, points: Sequence[SweepPoint], knees: Mapping[str, int | None], task: str) -> None:
    for colour, one in zip(_colours(), _by_stage(points), strict=False):
        budgets = [point.place.budget for point in one.thinking]
        accuracies = [_percent(point.figures.accuracy) for point in one.thinking]
        if budgets:
            reach = _reach(one.thinking)
            panel.errorbar(budgets, accuracies, yerr=reach, marker="o", color=colour, label=one.stage, capsize=2)
        for point in one.plain:
            accuracy = point.figures.accuracy
            label = f"{one.stage}, non-thinking"
            panel.axhline(_percent(accuracy), linestyle="--", color=colour, label=label)
            panel.axhspan(100 * (accuracy.low or 0.0), 100 * (accuracy.high or 1.0), color=colour, alpha=0.08)
        knee = knees.get(one.stage)
        if knee is not None and knee in budgets:
            place = budgets.index(knee)
            panel.plot(
                budgets[place], accuracies[place], "o", markersize=13, markerfacecolor="none", color=colour,
                label=f"{one.stage}, knee at {knee:,}",
            )  # fmt: skip
    shown = sorted({point.place.budget for point in points if point.place.budget is not None})
    if shown:
        panel.set_xscale("symlog", base=2, linthresh=min((one for one in shown if one), default=1))
        panel.set_xticks(shown, [f"{budget:,}" for budget in shown])
        panel.minorticks_off()
    panel.set(title=task, xlabel="thinking budget in tokens", ylabel="accuracy, %")
    panel.legend(fontsize="small")


def _votes(panel: Any, points: Sequence[SweepPoint]) -> None:
    listed = _by_stage(points)
    last = listed[-1] if listed else _Curve("", [], [])
    if not any(point.figures.votes for point in (*last.thinking, *last.plain)):
        panel.set_axis_off()
        return
    means = [(one.figures.mean_thinking_tokens.value, one.figures.mean_answer_tokens.value) for one in last.thinking]
    spent = [(thinking or 0.0) + (answer or 0.0) for thinking, answer in means]
    single = [_percent(one.figures.accuracy) for one in last.thinking]
    panel.plot(spent, single, "o-", color=COLOURS[0], label="one sample, thinking longer")
    for colour, point in zip(_colours(1), [*last.plain, *last.thinking], strict=False):
        tokens = [vote.mean_tokens for vote in point.figures.votes]
        majority = [_percent(vote.majority) for vote in point.figures.votes]
        best = [_percent(vote.best_of_upper_bound) for vote in point.figures.votes]
        panel.plot(tokens, majority, "-", color=colour, label=f"majority, {point.place.described}", marker=".")
        panel.plot(tokens, best, ":", color=colour, marker=".")
    panel.plot([], [], "k:", label="best of as many (upper bound)")
    panel.set(
        title=f"{last.stage}: votes", xlabel="tokens spent on a problem, thinking and answers", ylabel="accuracy, %"
    )
    panel.set_xscale("log", base=2)
    panel.xaxis.set_major_formatter("{x:,.0f}")
    panel.legend(fontsize="x-small")


def _by_stage(points: Sequence[SweepPoint]) -> list[_Curve]:
    found = []
    for stage in dict.fromkeys(point.place.stage for point in points):
        own = [point for point in points if point.place.stage == stage]
        curve = sorted((one for one in own if one.place.mode == "thinking"), key=lambda one: one.place.budget or 0)
        found.append(_Curve(stage, curve, [one for one in own if one.place.mode == "non_thinking"]))
    return found


def _percent(figure: Estimate) -> float:
    return 100 * (figure.value or 0.0)  # points without an accuracy are not drawn


def _reach(curve: Sequence[SweepPoint]) -> list[list[float]]:
    """How far each interval reaches below and above its point, in percent."""
    accuracies = [one.figures.accuracy for one in curve]
    below = [max(0.0, _percent(one) - 100 * (one.low or 0.0)) for one in accuracies]
    return [below, [max(0.0, 100 * (1.0 if one.high is None else one.high) - _percent(one)) for one in accuracies]]


def _colours(first: int = 0) -> list[str]:
    return [COLOURS[(first + index) % len(COLOURS)] for index in range(64)]
