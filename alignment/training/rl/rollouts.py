"""A step's rollouts: sampled with modes and budgets by an engine that holds the trainer's weights, and judged once.

Neighbours: trainer.py (who asks), rollout/ (trajectories, groups, dynamic sampling, verdicts), inference/ (engines).
"""

import itertools
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from alignment.core.files import append_json_lines
from alignment.data.rows import Problem
from alignment.inference.engine import SamplingSettings, request_seed
from alignment.inference.weights.sync_check import check_weight_sync
from alignment.rollout.groups import chance, group_mode, has_signal, replace_zero_variance
from alignment.rollout.judging import Judging
from alignment.rollout.sampler import RolloutRequest, TrajectorySampler
from alignment.rollout.scorers.fluency import StartLogprobs
from alignment.rollout.scoring import Judged, Scorer, summary
from alignment.training.context import StageContext
from alignment.training.kinds.grpo import GrpoStage
from alignment.training.rl.ahead import Ahead
from alignment.training.rl.batch import GAP_ROWS, RolledOut, Row
from alignment.training.rl.engine_weights import EngineWeights, starts_the_same
from alignment.training.rl.model_scorers import ModelScorers
from alignment.training.rl.process_scores import ProcessScores

KEPT_ROLLOUTS = 16  # per step, in rollouts.jsonl
REPLACEMENT_ROUNDS = 3


@dataclass(frozen=True)
class Drawn:
    """A step's judged completions: those of how many groups replace others, and how long sampling waited for verdicts."""

    judged: list[Judged]
    replaced: int
    seconds_verdicts: float
    weights_of_step: int


class Rollouts:
    """The completions of a step, sampled and judged on this rank. Implements RolloutSource.

    start_logprobs: set where the trainer holds the policy at the stage's start, for a fluency scorer.
    """

    def __init__(self, context: StageContext, problems: list[Problem]) -> None:
        stage: GrpoStage = context.stage
        self._context, self._settings = context, stage.rollout
        self._problems = {problem.id: problem for problem in problems}
        self._scorer = Scorer(stage.rewards)
        self._judging = Judging(self._scorer)
        self._sampling = SamplingSettings(stage.rollout.temperature, stage.rollout.top_p, stage.rollout.top_k)
        self._weights_of_step: int | None = None
        self._resting = False
        self._sampler: TrajectorySampler | None = None
        self._process: ProcessScores | None = None
        self._scorers: ModelScorers | None = None
        self.start_logprobs: StartLogprobs | None = None
        self._ahead: Ahead[Drawn] = Ahead()

    def roll_out(
        self, problem_ids: Sequence[str], step: int, weights: EngineWeights, following: Sequence[str] = ()
    ) -> RolledOut:
        """One step's completions for the problems of this rank, each id once per generation."""
        began = time.monotonic()
        early, unasked = self._ahead.taken(problem_ids)
        waited, sent = time.monotonic() - began, weights.for_stage(self._context.stage)
        sampler = self._fresh_sampler(step, sent)
        fresh = time.monotonic()
        drawn = self._drawn(sampler, problem_ids, step, step) if early is None else early
        made = time.monotonic()
        scored = self._process.score(drawn.judged, step) if self._process is not None else None
        judged, verdicts = drawn.judged if scored is None else scored.judged, time.monotonic() - made
        verdicts += drawn.seconds_verdicts if early is None else 0.0
        rows, probes = self._rows(sampler, judged, step - drawn.weights_of_step)
        self._keep(judged, step, step - drawn.weights_of_step)
        if following and self._settings.max_staleness:
            self._ahead.begin(following, lambda: self._drawn(sampler, following, step + 1, step))
        else:
            sampler.sampler.engine.rest()  # until the next step's weights come
            self._resting = True
        figures = {
            **self._figures(judged, drawn.replaced, step - drawn.weights_of_step, unasked),
            **({} if scored is None else scored.figures()),
            **({} if sent.rounding.kept is None else {"merge_changed_fraction": sent.rounding.kept}),
            "seconds_weights": fresh - began - waited,
            "seconds_rollout": waited + time.monotonic() - fresh - verdicts,
            "seconds_verdicts": verdicts,  # beyond those that sampling hid
        }
        steps = None if scored is None else scored.steps
        return RolledOut(rows, [one.total for one in judged], figures, steps, probes)

    def _drawn(self, sampler: TrajectorySampler, problem_ids: Sequence[str], step: int, weights_of_step: int) -> Drawn:
        """A step's completions from the weights that the engine holds, those of `weights_of_step`."""
        waited = self._seconds_verdicts()
        judged = self._completed(sampler, [self._problems[name] for name in problem_ids], step, draw=0)
        judged, replaced = self._replaced(sampler, judged, step)
        return Drawn(judged, replaced, self._seconds_verdicts() - waited, weights_of_step)

    def _seconds_verdicts(self) -> float:
        """How long sampling has waited for verdicts and scores so far."""
        return self._judging.waited_seconds + (self._scorers.seconds if self._scorers is not None else 0.0)

    def _rows(self, sampler: TrajectorySampler, judged: list[Judged], staleness: int) -> tuple[list[Row], list[Row]]:
        """The step's rows; where they are stale, some of them once more with the log-probs of the engine's weights now."""
        rows = [_row(one, staleness) for one in judged]
        if not staleness:
            return rows, []
        compared = rows[:GAP_ROWS]
        scored = sampler.sampler.engine.logprobs([[*row.prompt_ids, *row.completion_ids] for row in compared])
        return rows, [
            replace(row, logprobs=found[len(row.prompt_ids) - 1 :]) for row, found in zip(compared, scored, strict=True)
        ]

    def _figures(self, judged: list[Judged], replaced: int, staleness: int, unasked: int) -> dict[str, float]:
        """What a step's completions are like."""
        silent = [not has_signal(group) for group in _groups(judged, self._settings.generations)]
        processes = self._context.processes  # figures are averaged over ranks
        ages = {"staleness": float(staleness), "stale_rows": float(unasked * processes)}
        return {
            **summary(judged),
            "replaced_groups": float(replaced * processes),
            "zero_variance_groups": sum(silent) / len(silent),
            **(ages if self._settings.max_staleness else {}),
        }

    def _fresh_sampler(self, step: int, weights: EngineWeights) -> TrajectorySampler:
        """The sampler, its engine holding the weights that the trainer holds now."""
        if self._sampler is None:
            self._sampler = self._first_sampler(step, weights)
            if self._context.stage.process is not None:
                self._process = ProcessScores(self._context, self._sampler, self._scorer)
            if self._context.stage.scorers:
                start, tokenizer = self.start_logprobs, self._sampler.tokenizer
                self._scorers = ModelScorers(self._context, self._scorer, tokenizer, start)
        elif self._weights_of_step != step or self._resting:
            self._sampler.sampler.engine.load_weights(weights())
        self._weights_of_step, self._resting = step, False
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
        if self._settings.max_staleness:  # a stage that fails does not wait for what is sampled ahead
            self._context.at_end.callback(engine.close)
        if stage.lora is not None:
            self._context.counts["engine_weights"] = f"merged: {why_merged}" if why_merged else "the adapter alone"
        return sampler

    def _completed(self, sampler: TrajectorySampler, problems: list[Problem], step: int, draw: int) -> list[Judged]:
        """A completion for each problem, judged as groups are finished."""
        seed, settings, rank = self._context.recipe.seed, self._settings, self._context.rank
        requests = []
        for place, problem in enumerate(problems):
            mode = group_mode(problem, step, seed, settings.thinking_fraction)
            flagged = chance("flag", seed, step, problem.id) < settings.flag_fraction
            drawn_with = request_seed("draw", seed, step, draw, rank, place)
            requests.append(RolloutRequest(problem, mode, flagged, settings.thinking_budget, drawn_with))
        finished = sampler.finished(requests, self._sampling)
        judged = self._judging.judged(problems, finished, settings.generations)
        return judged if self._scorers is None else self._scorers.score(judged)

    def _replaced(self, sampler: TrajectorySampler, judged: list[Judged], step: int) -> tuple[list[Judged], int]:
        """The step's rows after dynamic sampling, and how many groups were replaced."""
        if not self._settings.dynamic_sampling:
            return judged, 0
        size, draws = self._settings.generations, itertools.count(1)

        def sample_groups(problems: list[Problem]) -> list[list[Judged]]:
            repeated = [problem for problem in problems for _ in range(size)]
            return _groups(self._completed(sampler, repeated, step, next(draws)), size)

        fresh = self._reserve({row.problem.id for row in judged}, step)
        groups, replaced = replace_zero_variance(_groups(judged, size), fresh, sample_groups, REPLACEMENT_ROUNDS)
        return list(itertools.chain.from_iterable(groups)), replaced

    def _reserve(self, taken: set[str], step: int) -> Iterator[Problem]:
        """Problems that may replace groups of zero variance, in an order of this step and rank."""
        names = sorted(set(self._problems) - taken)
        random.Random(f"{self._context.recipe.seed}:{step}:{self._context.rank}").shuffle(names)
        return (self._problems[name] for name in names)

    def _keep(self, judged: list[Judged], step: int, staleness: int) -> None:
        """Write some of the step's rollouts to rollouts.jsonl."""
        if self._context.is_main:
            kept = judged[:: max(1, len(judged) // KEPT_ROLLOUTS)]
            append_json_lines(self._context.folder.rollouts, [one.row(step + 1, staleness) for one in kept])


def _row(judged: Judged, staleness: int) -> Row:
    made = judged.trajectory
    return Row(
        prompt_ids=made.prompt_ids,
        completion_ids=made.token_ids,
        logprobs=made.logprobs,
        sampled=made.loss_mask,
        truncated=made.stop_reason == "length",
        staleness=staleness,
    )


def _groups(judged: list[Judged], size: int) -> list[list[Judged]]:
    return [judged[start : start + size] for start in range(0, len(judged), size)]
