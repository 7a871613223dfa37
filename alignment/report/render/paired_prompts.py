"""The table of the report's part on paired prompts, for the page and for Markdown.

Neighbours: ../document.py (PairedShift), ../paired_prompts.py (makes it).
"""

from collections.abc import Sequence

from alignment.core.statistics.estimate import Estimate
from alignment.report import phrases
from alignment.report.document import PairedShift

LEGEND = (
    "Log-odds in nats of the first answer of each pair over the second, mean over both orders and both roles. The shift is that of "
    "the same rows since the stage before, with Student's interval over rows; its size does not let shifts in opposite directions "
    "cancel. The order effect is what standing first is worth, whatever stands there."
)
HEADINGS = ("stage", "group", "language", "rows", "log-odds", "order effect", "since", "shift", "size of the shift")


def table(shifts: Sequence[PairedShift]) -> list[tuple[str, ...]]:
    """A row for each stage, group and language, in the order of HEADINGS."""
    return [
        (
            one.stage, one.group or phrases.MISSING, one.language or phrases.MISSING, str(one.rows), _number(one.log_odds),
            _number(one.order_effect), one.since or phrases.MISSING, _number(one.shift), _number(one.spread),
        )
        for one in shifts
    ]  # fmt: skip


def _number(found: Estimate) -> str:
    if found.value is None:
        return phrases.MISSING
    said = f"{found.value:+.2f}"
    return said if found.low is None or found.high is None else f"{said} ({found.low:+.2f} to {found.high:+.2f})"
