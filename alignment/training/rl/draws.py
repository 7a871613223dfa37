"""A step's draws: completions of its problems, judged as groups are finished, and of problems that replace some of them.

Works in the trainer's thread, or beside training in one of its own (ahead.py). What is drawn depends on the recipe's seed and
on places that are counted over all ranks, so that any number of ranks draws the same. Neighbours: rollouts.py, rollout/.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alignment.data.rows import Problem
from alignment.inference.engine import SamplingSettings, request_seed
from alignment.inference.ranks import Ranks
from alignment.recipe.schema import Recipe
from alignment.rollout.difficulty import Outcome
from alignment.rollout.dynamic_sampling import Filled, Group, fill_with_signal
from alignment.rollout.episode import RolloutRequest
from alignment.rollout.groups import chance, group_mode
from alignment.rollout.judging import Judging
from alignment.rollout.sampler import TrajectorySampler
from alignment.rollout.scoring import Judged, Scorer
from alignment.rollout.trajectory import Trajectory
from alignment.training.rl.model_scorers import ModelScorers

if TYPE_CHECKING:
    from alignment.training.kinds.grpo import GrpoStage

Meanwhile = Callable[[Sequence[Trajectory]], None]


@dataclass(frozen=True)
class Drawn:
    """A step's judged groups, the outcome of every group that this rank sampled for it, and how long sampling waited for verdicts."""

    filled: Filled
    outcomes: list[Outcome]
    seconds_verdicts: float
    weights_of_step: int

    @property
    def judged(self) -> list[Judged]:
        """The completions in the order of their groups."""
        return list(itertools.chain.from_iterable(self.filled.groups))


class Draws:
    """Draws of a grpo stage on this rank. scorers: set once they are opened."""

    def __init__(self, recipe: Recipe, stage: "GrpoStage", problems: dict[str, Problem], scorer: Scorer) -> None:
        self._seed, self._stage, self._settings = recipe.seed, stage, stage.rollout
        ahead = stage.rollout.max_staleness
        # Steps that are under way at the same time talk in groups of their own; without any, in the trainer's.
        self._ranks = [Ranks.of_a_thread(recipe.hardware.timeout_minutes) for _ in range(ahead)] or [Ranks()]
        self._problems, self._judging = problems, Judging(scorer)
        self._sampling = SamplingSettings(stage.rollout.temperature, stage.rollout.top_p, stage.rollout.top_k)
        self.scorers: ModelScorers | None = None

    def drawn(
        self,
        sampler: TrajectorySampler,
        asked: Sequence[str],
        others: Sequence[str],
        step: int,
        weights_of_step: int,
        meanwhile: Meanwhile | None = None,
    ) -> Drawn:
        """A step's completions from the weights that the engine holds, those of `weights_of_step`. Collective with dynamic sampling.

        asked: this rank's problems, one for each completion. others: those that may replace them, the same on every rank.
        meanwhile: called once, with all completions of the problems asked, while the last of them are judged.
        """
        waited, size = self._seconds_verdicts(), self._settings.generations
        ranks = self._ranks[step % len(self._ranks)]
        first = ranks.rank * len(asked)
        places = [(first + place, self._problems[name]) for place, name in enumerate(asked)]
        judged = self._completed(sampler, places, step, draw=0, meanwhile=meanwhile)
        outcomes = self._outcomes(judged)

        def new_groups(draw: int, places: Sequence[tuple[int, Problem]]) -> list[Group]:
            each = [(place * size + one, problem) for place, problem in places for one in range(size)]
            found = self._completed(sampler, each, step, draw)
            outcomes.extend(self._outcomes(found))
            return in_groups(found, size)

        groups = in_groups(judged, size)
        if self._settings.dynamic_sampling:
            filled = fill_with_signal(groups, (self._problems[name] for name in others), new_groups, ranks)
        else:
            filled = Filled(groups, 0, len(groups), 0)
        return Drawn(filled, outcomes, self._seconds_verdicts() - waited, weights_of_step)

    def _completed(
        self,
        sampler: TrajectorySampler,
        asked: Sequence[tuple[int, Problem]],
        step: int,
        draw: int,
        meanwhile: Meanwhile | None = None,
    ) -> list[Judged]:
        """A completion for each problem, which comes with its place in the draw, counted over all ranks."""
        if not asked:
            return []
        seed, settings = self._seed, self._settings
        requests = []
        for place, problem in asked:
            mode = group_mode(problem, step, seed, settings.thinking_fraction)
            flagged = chance("flag", seed, step, problem.id) < settings.flag_fraction
            drawn_with = request_seed("draw", seed, step, draw, 0, place)  # 0: so that published runs can be repeated
            requests.append(RolloutRequest(problem, mode, flagged, settings.thinking_budget, drawn_with))
        finished = sampler.finished(requests, self._sampling)
        judged = self._judging.judged([problem for _, problem in asked], finished, settings.generations, meanwhile)
        return judged if self.scorers is None else self.scorers.score(judged)

    def _outcomes(self, judged: Sequence[Judged]) -> list[Outcome]:
        """One for each problem: a rank may have a part of a group."""
        parts = [list(part) for _, part in itertools.groupby(judged, lambda one: one.problem.id)]
        return [one for part in parts if (one := Outcome.of(part, self._stage.rewards)) is not None]

    def _seconds_verdicts(self) -> float:
        """How long sampling has waited for verdicts and scores so far."""
        return self._judging.waited_seconds + (self.scorers.seconds if self.scorers is not None else 0.0)


def in_groups(judged: Sequence[Judged], size: int) -> list[Group]:
    """Completions that follow each other, in groups of a size."""
    return [list(judged[start : start + size]) for start in range(0, len(judged), size)]
