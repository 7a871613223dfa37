"""A step's rollouts: sampled with modes and budgets by an engine that holds the trainer's weights, and judged once.

Neighbours: trainer.py (who asks), rollout/ (trajectories, groups, dynamic sampling, verdicts), inference/ (engines).
"""

import itertools
import random
import time
from collections.abc import Iterator, Sequence

from alignment.core.files import append_json_lines
from alignment.data.rows import Problem
from alignment.inference.engine import SamplingSettings, request_seed
from alignment.inference.weights.sync_check import check_weight_sync
from alignment.rollout.groups import chance, group_mode, has_signal, replace_zero_variance
from alignment.rollout.sampler import RolloutRequest, TrajectorySampler
from alignment.rollout.scoring import Judged, Scorer, summary
from alignment.rollout.trajectory import Trajectory
from alignment.training.context import StageContext
from alignment.training.kinds.grpo import GrpoStage
from alignment.training.rl.batch import RolledOut, Row
from alignment.training.rl.engine_weights import EngineWeights, starts_the_same
from alignment.training.rl.process_scores import ProcessScores

KEPT_ROLLOUTS = 16  # per step, in rollouts.jsonl
REPLACEMENT_ROUNDS = 3


class Rollouts:
    """The completions of a step, sampled and judged on this rank. Implements RolloutSource."""

    def __init__(self, context: StageContext, problems: list[Problem]) -> None:
        stage: GrpoStage = context.stage
        self._context, self._settings = context, stage.rollout
        self._problems = {problem.id: problem for problem in problems}
        self._scorer = Scorer(stage.rewards)
        self._sampling = SamplingSettings(stage.rollout.temperature, stage.rollout.top_p, stage.rollout.top_k)
        self._weights_of_step: int | None = None
        self._sampler: TrajectorySampler | None = None
        self._process: ProcessScores | None = None

    def roll_out(self, problem_ids: Sequence[str], step: int, weights: EngineWeights) -> RolledOut:
        """One step's completions for the problems of this rank, each id once per generation."""
        clock = [time.monotonic()]
        sent = weights.for_stage(self._context.stage)
        sampler = self._fresh_sampler(step, sent)
        clock.append(time.monotonic())
        sampled = self._sample(sampler, [self._problems[name] for name in problem_ids], step, draw=0)
        clock.append(time.monotonic())
        judged, replaced = self._judge(sampler, sampled, step)
        scored = self._process.score(judged, step) if self._process is not None else None
        judged = judged if scored is None else scored.judged
        clock.append(time.monotonic())
        self._keep(judged, step)
        silent = [not has_signal(group) for group in _groups(judged, self._settings.generations)]
        seconds = [after - before for before, after in itertools.pairwise(clock)]
        figures = {
            **summary(judged),
            **({} if scored is None else scored.figures()),
            "replaced_groups": float(replaced * self._context.processes),  # figures are averaged over ranks
            "zero_variance_groups": sum(silent) / len(silent),
            **({} if sent.rounding.kept is None else {"merge_changed_fraction": sent.rounding.kept}),
            **dict(zip(("seconds_weights", "seconds_rollout", "seconds_verdicts"), seconds, strict=True)),
        }
        steps = None if scored is None else scored.steps
        return RolledOut([_row(one) for one in judged], [one.total for one in judged], figures, steps)

    def _fresh_sampler(self, step: int, weights: EngineWeights) -> TrajectorySampler:
        """The sampler, its engine holding the weights that the trainer holds now."""
        if self._sampler is None:
            self._sampler = self._first_sampler(step, weights)
            if self._context.stage.process is not None:
                self._process = ProcessScores(self._context, self._sampler, self._scorer)
        elif self._weights_of_step != step:
            self._sampler.sampler.engine.load_weights(weights())
        self._weights_of_step = step
        return self._sampler

    def _first_sampler(self, step: int, weights: EngineWeights) -> TrajectorySampler:
        """Start the engine, and check that it takes the trainer's weights."""
        stage: GrpoStage = self._context.stage
        why_merged = weights.why_merged(stage)
        sampler = self._context.trajectory_sampler(weights.config if why_merged is None else None)
        first, engine = next(iter(self._problems.values())), sampler.sampler.engine
        same_start = step == 0 and starts_the_same(stage, adapter=why_merged is None)
        check_weight_sync(engine, weights, sampler.prompt_ids(first, "thinking"), same_start=same_start)
        self._context.counts["engine"] = engine.name
        if stage.lora is not None:
            self._context.counts["engine_weights"] = f"merged: {why_merged}" if why_merged else "the adapter alone"
        return sampler

    def _sample(
        self, sampler: TrajectorySampler, problems: list[Problem], step: int, draw: int
    ) -> list[tuple[Problem, Trajectory]]:
        seed, settings, rank = self._context.recipe.seed, self._settings, self._context.rank
        requests = []
        for place, problem in enumerate(problems):
            mode = group_mode(problem, step, seed, settings.thinking_fraction)
            flagged = chance("flag", seed, step, problem.id) < settings.flag_fraction
            drawn_with = request_seed("draw", seed, step, draw, rank, place)
            requests.append(RolloutRequest(problem, mode, flagged, settings.thinking_budget, drawn_with))
        return list(zip(problems, sampler.sample(requests, self._sampling), strict=True))

    def _judge(
        self, sampler: TrajectorySampler, sampled: list[tuple[Problem, Trajectory]], step: int
    ) -> tuple[list[Judged], int]:
        judged = self._scorer.judge([problem for problem, _ in sampled], [made for _, made in sampled])
        if not self._settings.dynamic_sampling:
            return judged, 0
        size, draws = self._settings.generations, itertools.count(1)

        def sample_groups(problems: list[Problem]) -> list[list[Judged]]:
            repeated = [problem for problem in problems for _ in range(size)]
            found = self._sample(sampler, repeated, step, next(draws))
            return _groups(self._scorer.judge([p for p, _ in found], [made for _, made in found]), size)

        fresh = self._reserve({row.problem.id for row in judged}, step)
        groups, replaced = replace_zero_variance(_groups(judged, size), fresh, sample_groups, REPLACEMENT_ROUNDS)
        return list(itertools.chain.from_iterable(groups)), replaced

    def _reserve(self, taken: set[str], step: int) -> Iterator[Problem]:
        """Problems that may replace groups of zero variance, in an order of this step and rank."""
        names = sorted(set(self._problems) - taken)
        random.Random(f"{self._context.recipe.seed}:{step}:{self._context.rank}").shuffle(names)
        return (self._problems[name] for name in names)

    def _keep(self, judged: list[Judged], step: int) -> None:
        """Write some of the step's rollouts to rollouts.jsonl."""
        if self._context.is_main:
            kept = judged[:: max(1, len(judged) // KEPT_ROLLOUTS)]
            append_json_lines(self._context.folder.rollouts, [one.row(step + 1) for one in kept])


def _row(judged: Judged) -> Row:
    made = judged.trajectory
    return Row(
        prompt_ids=made.prompt_ids,
        completion_ids=made.token_ids,
        logprobs=made.logprobs,
        sampled=made.loss_mask,
        truncated=made.stop_reason == "length",
    )


def _groups(judged: list[Judged], size: int) -> list[list[Judged]]:
    return [judged[start : start + size] for start in range(0, len(judged), size)]
