"""Judges groups in a thread of its own while other completions are still being sampled.

A group is judged whole, since some verifiers compare its members, and in pieces that are large enough for a verifier that
fails on most of one to be broken. No piece begins that would still be judged when the last completion ends, by the times
of the call before: the last piece would wait for it. Neighbours: scoring.py (the verifiers), sampler.py (what comes in),
groups.py.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from alignment.data.rows import Problem
from alignment.rollout.scoring import Judged, Scorer
from alignment.rollout.trajectory import Trajectory

PIECES = 4  # of a step's rows
LEAST_ROWS = 16  # of a piece


@dataclass(frozen=True)
class _Times:
    """Seconds of a call: until the last completion came, and of its longest piece of verdicts."""

    sampling: float
    piece: float


class Judging:
    """A scorer that works beside sampling. `waited_seconds` counts what sampling did not hide."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer, self.waited_seconds = scorer, 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="verdicts")
        self._before: dict[int, _Times] = {}  # by the number of rollouts: replacements are fewer, and quicker

    def judged(
        self,
        problems: Sequence[Problem],
        finished: Iterable[tuple[int, Trajectory]],
        group: int,
        meanwhile: Callable[[Sequence[Trajectory]], None] | None = None,
    ) -> list[Judged]:
        """The verdicts of all rollouts in the order of their problems.

        finished: `(index of the problem, its rollout)` in any order. group: rows that belong together, one after another.
        meanwhile: called with all rollouts while the last of them are judged. Raises what the scorer raises, as soon as it
        is known.
        """
        began = time.monotonic()
        before = self._before.get(len(problems), _Times(float("inf"), 0.0))
        made: dict[int, Trajectory] = {}
        pieces: list[tuple[list[int], Future[tuple[list[Judged], float]]]] = []
        ready: list[int] = []
        least = max(LEAST_ROWS, len(problems) // PIECES)
        for index, trajectory in finished:
            made[index] = trajectory
            first = index - index % group
            members = range(first, min(first + group, len(problems)))
            if all(member in made for member in members):
                ready += members
            is_free = not pieces or pieces[-1][1].done()
            in_time = time.monotonic() - began + before.piece < before.sampling
            if len(ready) >= least and is_free and in_time and len(problems) - len(made) > 0:
                self._raise(pieces)
                pieces.append((ready, self._begun(problems, ready, made)))
                ready = []
        ended = time.monotonic()
        if ready:
            pieces.append((ready, self._begun(problems, ready, made)))
        if meanwhile is not None:
            meanwhile([made[index] for index in range(len(problems))])
        waiting = time.monotonic()
        judged = [(rows, *piece.result()) for rows, piece in pieces]
        self.waited_seconds += time.monotonic() - waiting
        self._before[len(problems)] = _Times(ended - began, max((seconds for *_, seconds in judged), default=0.0))
        found = {index: row for rows, verdicts, _ in judged for index, row in zip(rows, verdicts, strict=True)}
        return [found[index] for index in range(len(problems))]

    def _begun(
        self, problems: Sequence[Problem], rows: list[int], made: dict[int, Trajectory]
    ) -> Future[tuple[list[Judged], float]]:
        return self._thread.submit(self._timed, [problems[index] for index in rows], [made[index] for index in rows])

    def _timed(self, problems: Sequence[Problem], made: Sequence[Trajectory]) -> tuple[list[Judged], float]:
        """The verdicts, and the seconds that they took."""
        began = time.monotonic()
        return self._scorer.judge(problems, made), time.monotonic() - began

    @staticmethod
    def _raise(pieces: list[tuple[list[int], Future[tuple[list[Judged], float]]]]) -> None:
        """Raise what went wrong with pieces that are done, before more is sampled in vain."""
        for _, piece in pieces:
            if piece.done():
                piece.result()
