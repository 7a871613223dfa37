"""A pool of problems that learns across steps how often each is solved, and draws those whose rewards vary most.

A group whose completions all have the same reward has no advantage. So part of a step explores (problems never asked,
then those asked longest ago), and the rest is drawn in proportion to the variance of the reward: p(1 - p) for a reward
of 0 or 1, as in sampling for learnability (arXiv 2502.12272). Estimates fade as the policy changes (arXiv 2507.04632,
section 3). While few problems are known few are drawn: the same ones at every step would be learnt by heart.
Neighbours: groups.py (dynamic sampling), records/difficulty.py (the file), training/rl/step_problems.py (trainer and
checkpoints).
"""

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from alignment.recipe.blocks.rewards import Reward
from alignment.records.difficulty import DifficultyState, ProblemDifficulty
from alignment.rollout.scoring import Judged, is_right
from alignment.rollout.task_order import by_task, task_variances

KEPT_AT_A_VISIT = 0.5  # of the weight of earlier completions, when a problem is asked again
HALF_LIFE_STEPS = 50.0  # of an estimate while the problem is not asked
MOST_DRAWN = 1 / 8  # of the known problems, by variance in one step
LEAST_VARIANCE = 1e-9  # so that problems are drawn at random where no reward varies
PRIOR_COMPLETIONS = 1.0  # of the mean problem, which each estimate is mixed with


@dataclass(frozen=True)
class Outcome:
    """What a step found of one problem: moments of the known rewards of some of its completions.

    right: how many had every verifier's full score; None where no verifier has a weight.
    """

    problem: str
    completions: int
    reward: float
    variance: float
    right: int | None

    @classmethod
    def of(cls, group: Sequence[Judged], specs: Sequence[Reward]) -> "Outcome | None":
        """Of completions of one problem; None if the reward of none is known."""
        known = [one for one in group if one.total is not None]
        if not known:
            return None
        totals = [one.total for one in known if one.total is not None]
        mean = sum(totals) / len(totals)
        rights = [is_right(one, specs) for one in known] if any(spec.weight > 0 for spec in specs) else []
        return cls(
            problem=known[0].problem.id,
            completions=len(totals),
            reward=mean,
            variance=sum((total - mean) ** 2 for total in totals) / len(totals) if len(set(totals)) > 1 else 0.0,
            right=sum(bool(one) for one in rights) if rights else None,
        )


class DifficultyPool:
    """The problems of a stage. The same calls in the same order draw the same problems, on every rank.

    explore: the fraction of each step that is not drawn by variance. tasks: the task of each problem, where the variance is
    that of tasks (task_order.py).
    """

    def __init__(
        self, problems: Sequence[str], explore: float, seed: int, tasks: Mapping[str, str] | None = None
    ) -> None:
        self._problems, self._explore, self._seed, self._tasks = tuple(problems), explore, seed, tasks
        self._known: dict[str, ProblemDifficulty] = {}

    def ordered(self, step: int) -> list[str]:
        """All problems in the order in which a step asks for them: it takes the first, and dynamic sampling goes on from there."""
        return list(self._ordered(step))

    def is_new(self, problem: str) -> bool:
        """Whether no step has asked for a problem yet."""
        return problem not in self._known

    def observe(self, step: int, outcomes: Iterable[Outcome]) -> None:
        """Learn from all groups that a step sampled, on all ranks, in whatever order. A group may come in parts."""
        parts: dict[str, list[Outcome]] = {}
        for one in outcomes:
            parts.setdefault(one.problem, []).append(one)
        for name in sorted(parts):
            self._known[name] = _seen(self._known.get(name), name, step, parts[name])

    def state(self) -> DifficultyState:
        """All that the next draws depend on."""
        return DifficultyState(tuple(self._known[name] for name in sorted(self._known)))

    def restore(self, state: DifficultyState) -> None:
        """Continue from a state."""
        self._known = {one.problem: one for one in state.problems}

    def expected_variance(self, step: int) -> dict[str, float]:
        """Of each problem that was asked for, mixed with the mean problem by what is left of its estimate."""
        if not self._known:
            return {}
        mean = math.fsum(one.variance for one in self._known.values()) / len(self._known)  # whatever their order
        found = {}
        for name, one in self._known.items():
            weight = one.completions * 0.5 ** (max(0, step - one.last_step) / HALF_LIFE_STEPS)
            found[name] = (weight * one.variance + PRIOR_COMPLETIONS * mean) / (weight + PRIOR_COMPLETIONS)
        return found

    def _ordered(self, step: int) -> Iterator[str]:
        """Problems in turn from the two lists, by the fraction that explores; from one where the other has none left."""
        draw = random.Random(f"{self._seed}:{step}:problems")
        if self._tasks is not None:
            names = list(dict.fromkeys(self._tasks[name] for name in self._problems))
            variances = task_variances(names, self._known, self._tasks, step)
            yield from by_task(self._by_age(draw), self._tasks, variances, self._explore, draw)
            return
        explored, drawn = iter(self._by_age(draw)), iter(self._by_variance(step, draw))
        given: set[str] = set()
        left = math.floor(len(self._known) * MOST_DRAWN)
        for place in range(len(self._problems)):
            explores = left < 1 or math.floor((place + 1) * self._explore) > math.floor(place * self._explore)
            left -= not explores
            both = itertools.chain(explored, drawn) if explores else itertools.chain(drawn, explored)
            name = next(one for one in both if one not in given)
            given.add(name)
            yield name

    def _by_age(self, draw: random.Random) -> list[str]:
        """Those never asked for first, then those asked longest ago; equal ones in random order."""
        names, known = list(self._problems), self._known
        draw.shuffle(names)
        return sorted(names, key=lambda name: known[name].last_step if name in known else -1)

    def _by_variance(self, step: int, draw: random.Random) -> list[str]:
        """Those asked for before, drawn without replacement in proportion to their expected variance.

        Each key is exponential with the variance as its rate (Efraimidis and Spirakis 2006), smallest first.
        """
        variance = self.expected_variance(step)
        keys = {
            name: -math.log(1.0 - draw.random()) / max(variance[name], LEAST_VARIANCE)
            for name in self._problems
            if name in variance
        }
        return sorted(keys, key=lambda name: (keys[name], name))


def _seen(before: ProblemDifficulty | None, name: str, step: int, parts: Sequence[Outcome]) -> ProblemDifficulty:
    """What is known of a problem after a step, from what was known and the parts of its group."""
    kept = None if before is None else replace(before, completions=before.completions * KEPT_AT_A_VISIT)
    groups = [(float(one.completions), one.reward, one.variance) for one in parts]
    if kept is not None:
        groups.append((kept.completions, kept.reward, kept.variance))
    weight = sum(count for count, _, _ in groups)
    mean = sum(count * reward for count, reward, _ in groups) / weight
    spread = sum(count * (variance + (reward - mean) ** 2) for count, reward, variance in groups) / weight
    rates = [(float(one.completions), one.right / one.completions) for one in parts if one.right is not None]
    if kept is not None and kept.pass_rate is not None:
        rates.append((kept.completions, kept.pass_rate))
    return ProblemDifficulty(
        problem=name,
        visits=1 if before is None else before.visits + 1,
        last_step=step,
        completions=weight,
        reward=mean,
        variance=spread,
        pass_rate=sum(count * rate for count, rate in rates) / sum(count for count, _ in rates) if rates else None,
    )
