"""The next steps' rollouts, sampled in threads while the policy trains on this step's, and rows that are too old.

With max_staleness 1 a step waits for the rollouts that were begun one step before, sends its weights, and only then begins
the next ones: all tokens of a row are sampled by the same weights, and a run is the same however long a batch takes.
Asynchronous RLHF (arXiv 2410.18252, section 3) is one step off in this way. With k above 1, k steps are under way: weights are
sent while they are sampled, and rows go on with the new ones, as in AReaL (arXiv 2505.24298, section 4.1).
The loss corrects for the older weights of each token by importance_cap (losses.py). Neighbours: rollouts.py (what is sampled),
trainer.py (drops rows).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Generic, TypeVar

from alignment.training.rl.batch import RolledOut, RowSteps

Made = TypeVar("Made")


class Ahead(Generic[Made]):
    """The work of at most so many steps under way, each in a thread, known by the ids that it is for."""

    def __init__(self, steps: int = 1) -> None:
        self._threads = ThreadPoolExecutor(max(1, steps), thread_name_prefix="ahead")
        self._work: dict[int, tuple[tuple[str, ...], Future[Made]]] = {}

    def has(self, step: int) -> bool:
        """Whether a step's work was begun and not taken."""
        return step in self._work

    def begin(self, step: int, ids: Sequence[str], work: Callable[[], Made]) -> None:
        """Start the work of a step, for ids."""
        self._work[step] = tuple(ids), self._threads.submit(work)

    def taken(self, step: int, ids: Sequence[str]) -> tuple[Made | None, int]:
        """What was made for a step's ids, once it is whole, or None; and for how many others. Raises what the work raised."""
        if step not in self._work:
            return None, 0
        known, work = self._work.pop(step)
        made = work.result()
        return (made, 0) if known == tuple(ids) else (None, len(known))


def without_stale(rolled: RolledOut, most: int) -> RolledOut:
    """The rollouts without the rows whose oldest weights are more than `most` steps old, which are counted as `stale_rows`.

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
