"""budget.png: accuracy over the thinking budget, as in Qwen3's Figure 2, and at equal tokens against voting.

One row for each task. Left: a line for each stage, the same policy without thinking dashed, the knee ringed. Right:
one sample at growing budgets against majority votes at each budget, over the tokens really spent, for the last stage.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alignment.core.errors import ArtifactError

COLOURS = ("#3458b8", "#a8680c", "#1a7546", "#8d3fa0", "#b52d25", "#4a6a78")
Facts = dict[str, Any]


def draw(document: Facts, path: Path) -> None:
    """Write the picture. Raises ArtifactError if the file cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(point["task"] for point in document["points"]))
    figure = Figure(figsize=(11, 4 * max(1, len(tasks))), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(max(1, len(tasks)), 2, squeeze=False)
    for row, task in zip(panels, tasks, strict=False):
        points = [point for point in document["points"] if point["task"] == task and point["accuracy"] is not None]
        knees = {one["stage"]: one["budget"] for one in document["knees"] if one["task"] == task}
        _curves(row[0], points, knees, task)
        _votes(row[1], points)
    try:
        figure.savefig(path, dpi=144)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror or error})") from error


def _curves(panel: Any, points: Sequence[Facts], knees: Facts, task: str) -> None:
    for colour, (stage, curve, plain) in zip(_colours(), _by_stage(points), strict=False):
        budgets, accuracies = [one["budget"] for one in curve], [100 * one["accuracy"] for one in curve]
        if curve:
            panel.errorbar(budgets, accuracies, yerr=_reach(curve), marker="o", color=colour, label=stage, capsize=2)
        for one in plain:
            label = f"{stage}, non-thinking"
            panel.axhline(100 * one["accuracy"], linestyle="--", color=colour, label=label)
            panel.axhspan(100 * one["accuracy_low"], 100 * one["accuracy_high"], color=colour, alpha=0.08)
        if knees.get(stage) in budgets:
            place = budgets.index(knees[stage])
            panel.plot(
                budgets[place], accuracies[place], "o", markersize=13, markerfacecolor="none", color=colour,
                label=f"{stage}, knee at {knees[stage]:,}",
            )  # fmt: skip
    budgets = sorted({point["budget"] for point in points if point["budget"] is not None})
    if budgets:
        panel.set_xscale("symlog", base=2, linthresh=min((one for one in budgets if one), default=1))
        panel.set_xticks(budgets, [f"{budget:,}" for budget in budgets])
        panel.minorticks_off()
    panel.set(title=task, xlabel="thinking budget in tokens", ylabel="accuracy, %")
    panel.legend(fontsize="small")


def _votes(panel: Any, points: Sequence[Facts]) -> None:
    listed = _by_stage(points)
    stage, curve, plain = listed[-1] if listed else ("", [], [])
    if not any(point["votes"] for point in (*curve, *plain)):
        panel.set_axis_off()
        return
    spent = [one["mean_thinking_tokens"] + one["mean_answer_tokens"] for one in curve]
    panel.plot(
        spent, [100 * one["accuracy"] for one in curve], "o-", color=COLOURS[0], label="one sample, thinking longer"
    )
    for colour, point in zip(_colours(1), [*plain, *curve], strict=False):
        name = "non-thinking" if point["budget"] is None else f"budget {point['budget']:,}"
        tokens = [vote["mean_tokens"] for vote in point["votes"]]
        for key, style, label in (
            ("majority", "-", f"majority, {name}"), ("best_of_upper_bound", ":", None),
        ):  # fmt: skip
            panel.plot(
                tokens, [100 * vote[key] for vote in point["votes"]], style, color=colour, label=label, marker="."
            )
    panel.plot([], [], "k:", label="best of as many (upper bound)")
    panel.set(title=f"{stage}: votes", xlabel="tokens spent on a problem, thinking and answers", ylabel="accuracy, %")
    panel.set_xscale("log", base=2)
    panel.xaxis.set_major_formatter("{x:,.0f}")
    panel.legend(fontsize="x-small")


def _by_stage(points: Sequence[Facts]) -> list[tuple[str, list[Facts], list[Facts]]]:
    """(stage, its points by budget, its point without thinking)."""
    found = []
    for stage in dict.fromkeys(point["stage"] for point in points):
        own = [point for point in points if point["stage"] == stage]
        curve = sorted((one for one in own if one["mode"] == "thinking"), key=lambda one: one["budget"])
        found.append((stage, curve, [one for one in own if one["mode"] == "non_thinking"]))
    return found


def _reach(curve: Sequence[Facts]) -> list[list[float]]:
    """How far each interval reaches below and above its point, in percent."""
    below = [max(0.0, 100 * (one["accuracy"] - one["accuracy_low"])) for one in curve]
    return [below, [max(0.0, 100 * (one["accuracy_high"] - one["accuracy"])) for one in curve]]


def _colours(first: int = 0) -> list[str]:
    return [COLOURS[(first + index) % len(COLOURS)] for index in range(64)]
