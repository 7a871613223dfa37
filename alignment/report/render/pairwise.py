"""The table of the report's part on pairwise comparisons, for the page, for Markdown and for the terminal.

Neighbours: ../document.py (`pairwise`), records/comparison.py (the figures), reward_models.py (the same for reward models).
"""

from collections.abc import Sequence

from alignment.core.statistics.estimate import Estimate
from alignment.records.comparison import ComparisonFigures, ComparisonRecord
from alignment.report import phrases

LEGEND = (
    "A judge saw both policies' answers to each prompt in both orders. The win rate is that of the first policy, ties half, with "
    "Wilson's interval over problems; a verdict that changes with the order is a tie. At equal length is what a regression on the "
    "difference of lengths leaves; lengths are mean characters of the answers. Stands first is how often a verdict prefers what was "
    "shown first: 50% is no bias."
)
HEADINGS = (
    "policy", "against", "judge", "mode", "pairs", "win rate %", "verdict", "at equal length %", "won · tied · lost", "lengths",
    "longer wins %", "order decides %", "stands first %", "unjudged",
)  # fmt: skip


def table(records: Sequence[ComparisonRecord]) -> list[tuple[str, ...]]:
    """A row for each comparison and mode, and one for each of several tasks, in the order of HEADINGS."""
    return [
        (
            one.a.name, one.b.name, one.judge or phrases.MISSING,
            phrases.MODE_NAMES[found.mode] + (f", {found.task}" if found.task is not None else ""),
            str(found.pairs), phrases.with_interval(found.win_rate), verdict(found.win_rate),
            phrases.with_interval(found.length_controlled), f"{found.wins} · {found.ties} · {found.losses}", _lengths(found),
            phrases.with_interval(found.longer_won), phrases.percent(found.orders_disagree.value),
            phrases.with_interval(found.first_won), str(found.unjudged),
        )
        for one in records
        for found in one.figures
    ]  # fmt: skip


def verdict(win_rate: Estimate) -> str:
    """Whether the whole interval of a win rate lies on one side of one half."""
    if win_rate.low is None or win_rate.high is None:
        return phrases.MISSING
    return "better" if win_rate.low > 0.5 else "worse" if win_rate.high < 0.5 else "no clear difference"


def _lengths(found: ComparisonFigures) -> str:
    return f"{phrases.decimals(found.a.mean_characters.value, '.0f')} : {phrases.decimals(found.b.mean_characters.value, '.0f')}"
