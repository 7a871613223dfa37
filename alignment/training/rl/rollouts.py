"""A step's rollouts: sampled with modes and budgets by an engine that holds the trainer's weights, and judged once.

Neighbours: trainer.py (who asks), rollout/ (trajectories, groups, dynamic sampling, verdicts), inference/ (engines).
"""

import time
from collections.abc import Sequence
from dataclasses import replace

from alignment.core.files import append_json_lines
from alignment.data.rows import Problem
from alignment.inference.ranks import Ranks
from alignment.inference.weights.sync_check import check_weight_sync
from alignment.rollout.difficulty import DifficultyPool
from alignment.rollout.dynamic_sampling import Filled
from alignment.rollout.groups import has_signal
from alignment.rollout.judges import spending_counts, spending_figures
from alignment.rollout.sampler import TrajectorySampler
from alignment.rollout.scorers.fluency import StartLogprobs
from alignment.rollout.scoring import Judged, Scorer, summary
from alignment.training.context import StageContext
from alignment.training.kinds.grpo import GrpoStage
from alignment.training.rl.ahead import Ahead
from alignment.training.rl.batch import GAP_ROWS, RolledOut, Row
from alignment.training.rl.draws import Drawn, Draws
from alignment.training.rl.engine_weights import EngineWeights, starts_the_same
from alignment.training.rl.model_scorers import ModelScorers
from alignment.training.rl.process_scores import ProcessScores
from alignment.training.rl.step_problems import StepProblems

KEPT_ROLLOUTS = 16  # per step, in rollouts.jsonl


class Rollouts:
    """The completions of a step, sampled and judged on this rank. Implements RolloutSource.

    pool: asks for problems in an order of its own, in place of those that it is given.
    start_logprobs: set where the trainer holds the policy at the stage's start, for a fluency scorer.
    """

    def __init__(self, context: StageContext, problems: list[Problem], pool: DifficultyPool | None = None) -> None:
        stage: GrpoStage = context.stage
        self._context, self._settings = context, stage.rollout
        self._problems = {problem.id: problem for problem in problems}
        self._scorer = Scorer(stage.rewards, context.run.judgements)
        self._spent = self._scorer.spending()
        ranks = Ranks.of_a_thread(context.recipe.hardware.timeout_minutes)
        self._step_problems = StepProblems(list(self._problems), stage.rollout, context.recipe.seed, ranks, pool)
        self._draws = Draws(context.recipe, stage, self._problems, self._scorer, ranks)
        self._weights_of_step: int | None = None
        self._resting = False
        self._sampler: TrajectorySampler | None = None
        self._process: ProcessScores | None = None
        self.start_logprobs: StartLogprobs | None = None
        self._ahead: Ahead[Drawn] = Ahead()

    def roll_out(
        self, problem_ids: Sequence[str], step: int, weights: EngineWeights, following: Sequence[str] = ()
    ) -> RolledOut:
        """One step's completions for the problems of this rank, each id once per generation."""
        began, asked = time.monotonic(), self._step_problems.asked(step, problem_ids)
        early, unasked = self._ahead.taken(asked)
        waited, sent = time.monotonic() - began, weights.for_stage(self._context.stage)
        sampler = self._fresh_sampler(step, sent)
        fresh = time.monotonic()
        drawn = self._drawn_now(sampler, asked, step) if early is None else early
        learnt = self._step_problems.learn(step, drawn.outcomes)
        made = time.monotonic()
        scored = self._process.score(drawn.judged, step) if self._process is not None else None
        judged, verdicts = drawn.judged if scored is None else scored.judged, time.monotonic() - made
        verdicts += drawn.seconds_verdicts if early is None else 0.0
        rows, probes = self._rows(sampler, judged, step - drawn.weights_of_step)
        self._keep(judged, step, step - drawn.weights_of_step)
        self._rest_or_begin(sampler, step, following)
        figures = {
            **self._figures(judged, drawn.filled, step - drawn.weights_of_step, unasked),
            **learnt,
            **({} if scored is None else scored.figures()),
            **self._spending(),
            **({} if sent.rounding.kept is None else {"merge_changed_fraction": sent.rounding.kept}),
            "seconds_weights": fresh - began - waited,
            "seconds_rollout": waited + time.monotonic() - fresh - verdicts,
            "seconds_verdicts": verdicts,  # beyond those that sampling hid
        }
        steps = None if scored is None else scored.steps
        return RolledOut(rows, [one.total for one in judged], figures, steps, probes)

    def _drawn_now(self, sampler: TrajectorySampler, asked: Sequence[str], step: int) -> Drawn:
        return self._draws.drawn(sampler, asked, self._step_problems.others(step, asked), step, step)

    def _rest_or_begin(self, sampler: TrajectorySampler, step: int, following: Sequence[str]) -> None:
        """Begin the next step's completions where they may be a step old; else the engine rests until new weights come."""
        if not (following and self._settings.max_staleness):
            sampler.sampler.engine.rest()
            self._resting = True
            return
        asked = self._step_problems.asked(step + 1, following)
        others = self._step_problems.others(step + 1, asked)
        self._ahead.begin(asked, lambda: self._draws.drawn(sampler, asked, others, step + 1, step))

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

    def _figures(self, judged: list[Judged], filled: Filled, staleness: int, unasked: int) -> dict[str, float]:
        """What a step's completions are like."""
        silent = [not has_signal(group) for group in filled.groups]
        ages = {
            "staleness": float(staleness),
            "stale_rows": float(unasked * self._context.processes),
        }  # mean over ranks
        tried = {
            "replaced_groups": float(filled.replaced),
            "sampled_groups": float(filled.sampled),
            "sampled_zero_variance": filled.without_signal / max(1, filled.sampled),
        }
        return {
            **summary(judged),
            "zero_variance_groups": sum(silent) / len(silent),
            **(tried if self._settings.dynamic_sampling else {}),
            **(ages if self._settings.max_staleness else {}),
        }

    def _spending(self) -> dict[str, float]:
        """What judges were asked since the step before, and in the manifest what the run has spent on them."""
        before, self._spent = self._spent, self._scorer.spending()
        if counted := spending_counts(self._scorer.spent_in_all()):
            self._context.counts["judges"] = counted
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
