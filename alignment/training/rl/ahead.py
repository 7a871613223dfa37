"""The next step's rollouts, sampled in a thread while the policy trains on this step's, and rows that are too old.

A step waits for the rollouts that were begun one step before, sends its weights, and only then begins the next ones: all
tokens of a row are sampled by the same weights, and a run is the same however long a batch takes. The loss corrects for the
older weights by importance_cap (losses.py). Asynchronous RLHF (arXiv 2410.18252, section 3) is one step off in this way.
Neighbours: rollouts.py (what is sampled), trainer.py (drops rows).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Generic, TypeVar

from alignment.training.rl.batch import RolledOut, RowSteps

Made = TypeVar("Made")


class Ahead(Generic[Made]):
    """At most one step's work under way in a thread, known by the ids that it is for."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._ids: tuple[str, ...] = ()
        self._work: Future[Made] | None = None

    def begin(self, ids: Sequence[str], work: Callable[[], Made]) -> None:
        """Start work for ids. Nothing may be under way."""
        self._ids, self._work = tuple(ids), self._thread.submit(work)

    def taken(self, ids: Sequence[str]) -> tuple[Made | None, int]:
        """What was made for these ids, once it is whole, or None; and for how many others. Raises what the work raised."""
        known, work = self._ids, self._work
        self._ids, self._work = (), None
        if work is None:
            return None, 0
        made = work.result()
        return (made, 0) if known == tuple(ids) else (None, len(known))


def without_stale(rolled: RolledOut, most: int) -> RolledOut:
    """The rollouts without the rows whose weights are more than `most` steps old, which are counted as `stale_rows`.

    A dropped row keeps its place, for each rank has as many rows as the others: its reward is unknown, so that no mean
    contains it, and none of its tokens carries loss.
    """
    rows, rewards, dropped = list(rolled.rows), list(rolled.rewards), 0
    steps = None if rolled.steps is None else list(rolled.steps)
    for place, row in enumerate(rows):
        if row.staleness > most:
            rows[place], rewards[place] = replace(row, sampled=[False] * len(row.sampled)), None
            if steps is not None:
                steps[place] = RowSteps([-1] * len(row.sampled), [], None, None)
            dropped += 1
    if not dropped:
        return rolled
    figures = {**rolled.figures, "stale_rows": rolled.figures.get("stale_rows", 0.0) + dropped}
    return replace(rolled, rows=rows, rewards=rewards, figures=figures, steps=steps)
