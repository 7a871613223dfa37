"""Which problems a step asks for on each rank: TRL's order, or what a pool has learnt; and the pool in checkpoints.

Neighbours: rollouts.py (asks), order.py (TRL's order), rollout/difficulty.py (the pool), rollout/dynamic_sampling.py.
"""

import itertools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from alignment.inference.ranks import Ranks
from alignment.recipe.blocks.sampling import Rollout
from alignment.records.difficulty import DifficultyState
from alignment.rollout.difficulty import DifficultyPool, Outcome
from alignment.training.context import StageContext

STATE = "difficulty.json"  # in a checkpoint


class StepProblems:
    """The problems of each step of a stage, the same whatever the rank that looks. All but `asked` are collective."""

    def __init__(
        self, problems: Sequence[str], rollout: Rollout, seed: int, ranks: Ranks, pool: DifficultyPool | None
    ) -> None:
        self._problems, self._rollout, self._seed = problems, rollout, seed
        self._ranks, self._pool = ranks, pool
        self._chosen: dict[int, list[str]] = {}  # by step, until it is learnt from

    def asked(self, step: int, given: Sequence[str]) -> list[str]:
        """This rank's problems, one for each completion. given: those of TRL's order, which a pool replaces by its own.

        A step that was begun ahead keeps its problems, whatever the pool learns before the policy trains on them.
        """
        if self._pool is None:
            return list(given)
        if step not in self._chosen:
            size, rows = self._rollout.generations, len(given)
            chosen = self._pool.ordered(step)[: rows * self._ranks.count // size]
            self._chosen[step] = [name for name in chosen for _ in range(size)][self._ranks.rank * rows :][:rows]
        return list(self._chosen[step])

    def others(self, step: int, asked: Sequence[str]) -> list[str]:
        """The problems that dynamic sampling tries in place of a step's own, in order."""
        if not self._rollout.dynamic_sampling:
            return []
        taken = set(itertools.chain.from_iterable(self._ranks.gathered(list(asked))))
        if self._pool is not None:
            return [name for name in self._pool.ordered(step) if name not in taken]
        names = sorted(set(self._problems) - taken)
        random.Random(f"{self._seed}:{step}").shuffle(names)
        return names

    def learn(self, step: int, outcomes: Sequence[Outcome]) -> dict[str, float]:
        """Learn from all groups that were sampled for a step, those of all ranks; figures of them."""
        self._chosen.pop(step, None)
        if self._pool is None and not self._rollout.dynamic_sampling:
            return {}
        found = list(itertools.chain.from_iterable(self._ranks.gathered(list(outcomes))))
        rated = [(one.right, one.completions) for one in found if one.right is not None]
        figures = {}
        if rated:
            figures["sampled_pass_rate"] = sum(right for right, _ in rated) / sum(count for _, count in rated)
        if self._pool is not None:
            names = {one.problem for one in found}
            figures["new_problems"] = sum(map(self._pool.is_new, names)) / max(1, len(names))
            self._pool.observe(step, found)
        return figures


class PoolInCheckpoints(TrainerCallback):
    """Writes the pool into each checkpoint, before it is sealed, and continues from that of the checkpoint that is resumed."""

    def __init__(self, context: StageContext, pool: DifficultyPool) -> None:
        self._context, self._pool = context, pool

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """On every rank. Raises ArtifactError if the checkpoint has no pool."""
        if state.global_step:
            self._pool.restore(DifficultyState.read(_checkpoint(args, state) / STATE))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """On the first rank: all ranks know the same."""
        if self._context.is_main:
            self._pool.state().write(_checkpoint(args, state) / STATE)


def _checkpoint(args: TrainingArguments, state: TrainerState) -> Path:
    return Path(args.output_dir or "") / f"checkpoint-{state.global_step}"
