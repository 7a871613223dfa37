"""A step's rollouts: sampled with modes and budgets by an engine that holds the trainer's weights, and judged once.

Neighbours: trainer.py (who asks), rollout/ (trajectories, groups, dynamic sampling, verdicts), inference/ (engines).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from alignment.core.files import append_json_lines
from alignment.data.rows import Problem
from alignment.inference.engine import Spans
from alignment.inference.ranks import Ranks
from alignment.inference.weights.sync_check import check_weight_sync
from alignment.rollout.difficulty import DifficultyPool
from alignment.rollout.dynamic_sampling import Filled
from alignment.rollout.groups import has_signal
from alignment.rollout.judges import spending_counts, spending_figures
from alignment.rollout.sampler import TrajectorySampler
from alignment.rollout.scorers.fluency import StartLogprobs
from alignment.rollout.scoring import Judged, Scorer
from alignment.rollout.summary import summary
from alignment.rollout.task_figures import task_figures
from alignment.rollout.trajectory import Trajectory
from alignment.training.context import StageContext
from alignment.training.rl.ahead import Ahead
from alignment.training.rl.batch import GAP_ROWS, Following, RewardParts, RolledOut, Row
from alignment.training.rl.draws import Drawn, Draws
from alignment.training.rl.engine_weights import EngineWeights, starts_the_same
from alignment.training.rl.model_scorers import ModelScorers
from alignment.training.rl.process_scores import NAME as PROCESS
from alignment.training.rl.process_scores import ProcessScores
from alignment.training.rl.step_problems import StepProblems

if TYPE_CHECKING:
    from alignment.training.kinds.grpo import GrpoStage

KEPT_ROLLOUTS = 16  # per step, in rollouts.jsonl
NEW: Spans = ((0, 0),)  # the ages of a completion that the policy's own weights sampled


class Rollouts:
    """The completions of a step, sampled and judged on this rank. Implements RolloutSource.

    pool: asks for problems in an order of its own, in place of those that it is given.
    start_logprobs: set where the trainer holds the policy at the stage's start, for a fluency scorer.
    while_judged: called with a step's rows while their last verdicts are awaited, where they are sampled at that step.
    """

    def __init__(self, context: StageContext, problems: list[Problem], pool: DifficultyPool | None = None) -> None:
        stage: GrpoStage = context.stage
        self._context, self._settings = context, stage.rollout
        self._problems = {problem.id: problem for problem in problems}
        self._tasks = list(dict.fromkeys(problem.family for problem in problems))
        self._scorer = Scorer(stage.rewards, context.run.judgements)
        self._spent = self._scorer.spending()
        self._step_problems = StepProblems(list(self._problems), stage.rollout, context.recipe.seed, Ranks(), pool)
        self._draws = Draws(context.recipe, stage, self._problems, self._scorer)
        self._steps_of_weights: dict[int, int] = {}  # by the engine's weight_version
        self._weights_of_step: int | None = None
        self._resting = False
        self._sampler: TrajectorySampler | None = None
        self._process: ProcessScores | None = None
        self.start_logprobs: StartLogprobs | None = None
        self.while_judged: Callable[[Sequence[Row]], None] | None = None
        self._seconds_elsewhere = 0.0  # of `while_judged`
        self._ahead: Ahead[Drawn] = Ahead(stage.rollout.max_staleness)

    def roll_out(
        self, problem_ids: Sequence[str], step: int, weights: EngineWeights, following: Following = ()
    ) -> RolledOut:
        """One step's completions for the problems of this rank, each id once per generation."""
        began, asked = time.monotonic(), self._step_problems.asked(step, problem_ids)
        sent = weights.for_stage(self._context.stage)
        if self._settings.max_staleness > 1:  # what is under way goes on with the new weights
            sampler, seconds_weights = self._fresh_sampler(step, sent), time.monotonic() - began
            early, unasked = self._ahead.taken(step, asked)
        else:
            early, unasked = self._ahead.taken(step, asked)
            waited = time.monotonic()
            sampler, seconds_weights = self._fresh_sampler(step, sent), time.monotonic() - waited
        elsewhere = self._seconds_elsewhere
        drawn = self._drawn_now(sampler, asked, step) if early is None else early
        elsewhere = self._seconds_elsewhere - elsewhere
        learnt = self._step_problems.learn(step, drawn.outcomes)
        made = time.monotonic()
        scored = self._process.score(drawn.judged, step) if self._process is not None else None
        judged, verdicts = drawn.judged if scored is None else scored.judged, time.monotonic() - made
        verdicts += drawn.seconds_verdicts if early is None else 0.0
        ages = [self._ages(one, step, drawn.weights_of_step) for one in judged]
        rows = [_row(one.trajectory, old) for one, old in zip(judged, ages, strict=True)]
        probes = self._probes(sampler, rows) if drawn.weights_of_step < step else []
        self._keep(judged, step, ages)
        self._rest_or_begin(sampler, step, following)
        figures = {
            **self._figures(judged, drawn.filled, ages, unasked),
            **learnt,
            **({} if scored is None else scored.figures()),
            **self._spending(),
            **({} if sent.rounding.kept is None else {"merge_changed_fraction": sent.rounding.kept}),
            "seconds_weights": seconds_weights,
            "seconds_rollout": time.monotonic() - began - seconds_weights - verdicts - elsewhere,
            "seconds_verdicts": verdicts,  # beyond those that sampling hid
        }
        steps = None if scored is None else scored.steps
        return RolledOut(rows, [one.total for one in judged], figures, steps, probes, self._parts(judged))

    def _drawn_now(self, sampler: TrajectorySampler, asked: Sequence[str], step: int) -> Drawn:
        others, ahead = self._step_problems.others(step, asked), self._settings.max_staleness
        return self._draws.drawn(sampler, asked, others, step, step, None if ahead else self._meanwhile)

    def _meanwhile(self, made: Sequence[Trajectory]) -> None:
        """Let the trainer look at rows that wait for verdicts. Collective, where the trainer's part is."""
        began = time.monotonic()
        if self.while_judged is not None:
            self.while_judged([_row(one, NEW) for one in made])
        self._seconds_elsewhere += time.monotonic() - began

    def _rest_or_begin(self, sampler: TrajectorySampler, step: int, following: Following) -> None:
        """Begin the next steps' completions where they may be older; else the engine rests until new weights come."""
        if not (following and self._settings.max_staleness):
            sampler.sampler.engine.rest()
            self._resting = True
        for later, given in enumerate(following, step + 1):
            if not self._ahead.has(later):
                self._begin(sampler, later, given, step)

    def _begin(self, sampler: TrajectorySampler, later: int, given: Sequence[str], step: int) -> None:
        asked = self._step_problems.asked(later, given)
        others = self._step_problems.others(later, asked)
        self._ahead.begin(later, asked, lambda: self._draws.drawn(sampler, asked, others, later, step))

    def _ages(self, judged: Judged, step: int, weights_of_step: int) -> Spans:
        """Steps by which the weights of each span of a completion's tokens are older than those that it trains.

        weights_of_step: of all its tokens, where the engine does not say.
        """
        versions = judged.trajectory.versions
        if not versions:
            return ((0, step - weights_of_step),)
        return tuple((start, step - self._steps_of_weights[version]) for start, version in versions)

    def _probes(self, sampler: TrajectorySampler, rows: list[Row]) -> list[Row]:
        """Some rows once more, with the log-probs of the engine's weights now. Collective with an adapter."""
        compared = rows[:GAP_ROWS]
        scored = sampler.sampler.engine.logprobs([[*row.prompt_ids, *row.completion_ids] for row in compared])
        return [
            replace(row, logprobs=found[len(row.prompt_ids) - 1 :]) for row, found in zip(compared, scored, strict=True)
        ]

    def _figures(self, judged: list[Judged], filled: Filled, ages: list[Spans], unasked: int) -> dict[str, float]:
        """What a step's completions are like. All figures are averaged over ranks."""
        no_variance = [not has_signal(group) for group in filled.groups]
        tried = {
            "replaced_groups": float(filled.replaced),
            "sampled_groups": float(filled.sampled),
            "sampled_zero_variance": filled.without_signal / max(1, filled.sampled),
        }
        older = {
            "staleness": _mean_age(judged, ages),
            "stale_rows": float(unasked * self._context.processes),
            "interrupted_fraction": sum(len(one) > 1 for one in ages) / max(1, len(ages)),
        }
        return {
            **summary(judged),
            **task_figures(judged, self._tasks, self._context.stage.rewards),
            "zero_variance_groups": sum(no_variance) / len(no_variance),
            **(tried if self._settings.dynamic_sampling else {}),
            **(older if self._settings.max_staleness else {}),
        }

    def _parts(self, judged: Sequence[Judged]) -> RewardParts:
        """The scores that the rollouts' rewards are made of: those of verifiers, then those of models beside them."""
        stage: GrpoStage = self._context.stage
        weights = {one.called: one.weight for one in (*stage.rewards, *stage.scorers) if one.weight}
        if stage.process is not None and stage.process.weight:
            weights[PROCESS] = stage.process.weight
        known = [self._scorer.parts(one, weights) for one in judged]
        return RewardParts([[row.get(name, 0.0) for name in weights] for row in known], list(weights.values()))

    def _spending(self) -> dict[str, float]:
        """What judges were asked since the step before, and in the manifest what the run has spent on them."""
        before, self._spent = self._spent, self._scorer.spending()
        self._context.counts.update(spending_counts(self._scorer.spent_in_all(), self._scorer.judges()))
        return spending_figures(self._spent - before, self._context.processes)

    def _fresh_sampler(self, step: int, weights: EngineWeights) -> TrajectorySampler:
        """The sampler, its engine holding the weights that the trainer holds now."""
        if self._sampler is None:
            self._sampler = self._first_sampler(step, weights)
            if self._context.stage.process is not None:
                self._process = ProcessScores(self._context, self._sampler, self._scorer)
            if self._context.stage.scorers:
                start, tokenizer = self.start_logprobs, self._sampler.tokenizer
                self._draws.scorers = ModelScorers(self._context, self._scorer, tokenizer, start)
        elif self._weights_of_step != step or self._resting:
            self._sampler.sampler.engine.load_weights(weights())
        self._weights_of_step, self._resting = step, False
        self._steps_of_weights[self._sampler.sampler.engine.weight_version] = step
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

    def _keep(self, judged: list[Judged], step: int, ages: list[Spans]) -> None:
        """Write some of the step's rollouts to rollouts.jsonl."""
        if self._context.is_main:
            kept = range(0, len(judged), max(1, len(judged) // KEPT_ROLLOUTS))
            append_json_lines(self._context.folder.rollouts, [judged[one].row(step + 1, ages[one]) for one in kept])


def _row(made: Trajectory, ages: Spans) -> Row:
    return Row(
        prompt_ids=made.prompt_ids,
        completion_ids=made.token_ids,
        logprobs=made.logprobs,
        sampled=made.loss_mask,
        truncated=made.stop_reason == "length",
        staleness=max(age for _, age in ages),
    )


def _mean_age(judged: Sequence[Judged], ages: Sequence[Spans]) -> float:
    """Steps by which the weights of a token are old, mean over tokens."""
    total, tokens = 0, 0
    for one, spans in zip(judged, ages, strict=True):
        ends = [*(start for start, _ in spans[1:]), len(one.trajectory.token_ids)]
        total += sum(age * (end - start) for (start, age), end in zip(spans, ends, strict=True))
        tokens += ends[-1]
    return total / max(1, tokens)
