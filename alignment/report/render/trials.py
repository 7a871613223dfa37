"""The tables of the report's part on trials, for the page, Markdown and the terminal.

Neighbours: records/trials.py (the figures), report/figures/trials.py (the picture of a curve).
"""

from statistics import fmean

from alignment.core.statistics.estimate import Estimate
from alignment.records.trials import MixtureSearch, RowCurve
from alignment.report import phrases

ROW_LEGEND = (
    "The stage trained on the first rows of each part in the recipe's proportions, from the same start each time. Marked is the "
    "smallest number from which on every accuracy lies within the interval of the best."
)
ROW_HEADINGS = ("rows", "accuracy %", "95% interval", "steps", "trained tokens")
MIXTURE_LEGEND = (
    "The stage trained on mixtures of its sources with the same number of rows each; a ridge regression over them says which "
    "mixture to train on. That one and the recipe's own were then trained anew with further seeds."
)
MIXTURE_HEADINGS = ("round", "mixture %", "accuracy %", "95% interval", "is")


def row_table(curve: RowCurve) -> list[tuple[str, ...]]:
    """A row for each number of rows, in the order of ROW_HEADINGS."""
    return [
        (
            f"{phrases.count(one.rows)} (fewest)" if one.rows == curve.chosen else phrases.count(one.rows),
            phrases.percent(one.accuracy.value),
            phrases.interval(one.accuracy),
            phrases.count(one.steps),
            phrases.count(one.tokens),
        )
        for one in curve.points
    ]


def row_sentence(curve: RowCurve) -> str:
    """What the curve says."""
    measured = f"{curve.mode} mode, {', '.join(curve.tasks)}"
    measured += f", {curve.seeds} trainings each" if curve.seeds > 1 else ""
    if curve.chosen is None:
        return f"{curve.stage}, {measured}: only the most rows reach the interval of the best, so the curve may still rise."
    return (
        f"{curve.stage}, {measured}: {phrases.count(curve.chosen)} rows are the fewest within the interval of the best."
    )


def mixture_table(found: MixtureSearch) -> list[tuple[str, ...]]:
    """A row for each trial, in the order of MIXTURE_HEADINGS."""
    rows: list[tuple[str, ...]] = [
        (
            str(one.round), _fractions(one.fractions), phrases.percent(one.accuracy.value), phrases.interval(one.accuracy),
            "the recipe's own" if one.origin == "recipe" else "sampled",
        )
        for one in found.trials
    ]  # fmt: skip
    if found.found:
        rows.append(("", _fractions(found.found), phrases.MISSING, phrases.MISSING, "found"))
    return rows


def mixture_sentences(found: MixtureSearch) -> list[str]:
    """What the search says, and how far the regression is to be believed."""
    said = [
        f"Groups, in this order: {', '.join(found.groups)}. {found.rows:,} rows each; {found.mode} mode, {', '.join(found.tasks)}."
    ]
    for fit in found.fits:
        rank = "" if fit.rank_correlation is None else f", rank correlation {fit.rank_correlation:.2f}"
        knows = "" if fit.error < fit.spread else ", which is no better than knowing nothing"
        said.append(
            f"Round {fit.round}: the regression, linear in {fit.form}, is off by {100 * fit.error:.1f} points on trials that were left "
            f"out (their standard deviation is {100 * fit.spread:.1f}{rank}{knows})."
        )
    return [*said, *([_gain(found)] if found.gain is not None else [])]


def _gain(found: MixtureSearch) -> str:
    gain = found.gain
    if gain is None:
        return ""
    low, high = gain.measured.low, gain.measured.high
    clear = low is not None and high is not None and (low > 0 or high < 0)
    problems = "other problems" if gain.other_problems else "the search's problems"
    return (
        f"The mixture that was found: {100 * gain.predicted:+.1f} points predicted, {_points(gain.measured)} measured over "
        f"{len(gain.own)} seeds on {problems} ({100 * fmean(gain.own):.1f}% to {100 * fmean(gain.found):.1f}%)"
        f"{'' if clear else ', which is not clear'}."
    )


def _points(gain: Estimate) -> str:
    value = f"{100 * (gain.value or 0):+.1f}"
    return (
        value if gain.low is None or gain.high is None else f"{value} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    )


def _fractions(values: tuple[float, ...]) -> str:
    return " / ".join(f"{100 * one:.0f}" for one in values)
