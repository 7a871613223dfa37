"""The margin of a pair: by how much the reward of its chosen answer has to exceed that of its rejected one.

Llama 2's reward model trains on -log sigmoid(r_chosen - r_rejected - margin) (arXiv 2307.09288, section 3.2.2), with
margins from how clearly people preferred an answer. Neighbours: fields.py (reads pairs),
training/stages/reward_model.py (trains on them).
"""

import math
from collections.abc import Mapping
from typing import Any

from alignment.core.errors import DataError

MARGIN = "margin"  # the column, unless a table's `fields` name another; TRL's name


def margin_of(row: Mapping[str, Any], name: str = MARGIN) -> float | None:
    """The margin of a pair's row, a number or its text as CSV holds it; None for a row without one.

    Raises DataError for anything else, NaN and infinity among it.
    """
    found = row.get(name)
    if found is None or (isinstance(found, str) and not found.strip()):
        return None
    try:
        margin = math.nan if isinstance(found, bool) else float(found)
    except (TypeError, ValueError, OverflowError):
        margin = math.nan
    if not math.isfinite(margin):
        raise DataError(
            f"`{name}` is {str(found)[:40]!r} where a pair has its margin, a finite number that is subtracted from the difference "
            "of its rewards; write the number, or leave the field out"
        )
    return margin
