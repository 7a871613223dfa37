"""The tables of the report's part on thinking budgets: the sweep over budgets, and lengths that questions ask for.

Neighbours: markdown.py (prints them), page.html.jinja (the same with curves), records/sweep.py (the sweep).
"""

from alignment.records.sweep import SweepPoint
from alignment.report import phrases
from alignment.report.document import Report, SweepSection

SWEEP_HEADINGS = ("stage", "task", "budget", "accuracy %", "95% interval", "thinking tokens", "answer tokens",
                  "forced to stop %", "finished by itself %")  # fmt: skip
VOTE_HEADINGS = ("majority %", "best of as many %, upper bound")
TARGET_LENGTH_HEADINGS = ("stage", "asked for", "thinking tokens", "adherence error %", "95% interval", "accuracy %")


def sweep_table(sweep: SweepSection) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """(headings, a row for each point); what voting scores where any point has votes."""
    voted = any(point.figures.votes for point in sweep.points)
    rows = [(*_figures(sweep, point), *(_voted(point) if voted else ())) for point in sweep.points]
    return (*SWEEP_HEADINGS, *(VOTE_HEADINGS if voted else ())), rows


def rank_sentence(sweep: SweepSection) -> str:
    """How budget and accuracy rise together; empty where that is not known."""
    ranks = [one for one in sweep.curves if one.spearman is not None]
    said = ", ".join(f"{one.stage} on {one.task} {one.spearman:.2f}" for one in ranks)
    return f"Spearman's rank correlation of budget and accuracy: {said}." if said else ""


def target_length_table(report: Report) -> list[tuple[str, ...]]:
    """A row for each length that a stage's questions asked for, in the order of TARGET_LENGTH_HEADINGS."""
    return [
        (
            stage.name,
            phrases.count(point.budget),
            phrases.count(point.mean_thinking_tokens.value),
            phrases.percent(point.adherence_error.value),
            phrases.interval(point.adherence_error),
            phrases.percent(point.accuracy.value),
        )
        for stage in report.stages
        if "thinking" in stage.evaluations
        for point in stage.evaluations["thinking"].target_lengths
    ]


def _figures(sweep: SweepSection, point: SweepPoint) -> tuple[str, ...]:
    place, found = point.place, point.figures
    budget = "no thinking" if place.budget is None else phrases.count(place.budget)
    knee = place.budget is not None and place.budget == sweep.knee(place.stage, place.task)
    return (
        place.stage,
        place.task,
        f"{budget} (knee)" if knee else budget,
        phrases.percent(found.accuracy.value),
        phrases.interval(found.accuracy),
        phrases.count(found.mean_thinking_tokens.value),
        phrases.count(found.mean_answer_tokens.value),
        phrases.percent(found.forced_fraction.value),
        phrases.percent(found.finished_fraction.value),
    )


def _voted(point: SweepPoint) -> tuple[str, str]:
    """What voting over all samples scores, and the best of as many."""
    if not point.figures.votes:
        return phrases.MISSING, phrases.MISSING
    vote = point.figures.votes[-1]
    return f"{phrases.percent(vote.majority.value)} of {vote.votes}", phrases.percent(vote.best_of_upper_bound.value)
