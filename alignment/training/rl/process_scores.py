"""Scores of the steps of a step's rollouts: by a process reward model, a policy's log-probs, or completions of each prefix.

Neighbours: rollouts.py (who asks), process_advantages.py (what is made of scores), inference/process_model.py
and inference/step_logprobs.py, recipe/blocks/process.py.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from alignment.data.steps.definition import Step, StepRule, token_ends
from alignment.data_factory.step_labels.labelling import Ask
from alignment.data_factory.step_labels.prefixes import Prefixes, Trace
from alignment.inference.engine import SamplingSettings
from alignment.inference.open_scorer import open_step_model
from alignment.inference.process_model import Solution, StepModel
from alignment.recipe.blocks.process import Process, aggregated
from alignment.rollout.sampler import TrajectorySampler
from alignment.rollout.scoring import Judged, Scorer, is_right
from alignment.training.context import StageContext
from alignment.training.rl.batch import RowSteps
from rewards import Verdict

if TYPE_CHECKING:
    from alignment.training.kinds.grpo import GrpoStage

NAME = "process"  # of the verdict, in metrics and rollouts.jsonl


@dataclass(frozen=True)
class Scored:
    """Judged rollouts with the verdict of the process scorer, and the steps of each."""

    judged: list[Judged]
    steps: list[RowSteps]

    def figures(self) -> dict[str, float]:
        """Means that show whether a policy has begun to please the scorer, by the names of records/metrics.py."""
        known = [one.process for one in self.steps if one.process is not None]
        counts = [len(one.lengths) for one in self.steps]
        lengths = [length for one in self.steps for length in one.lengths]
        right = [one.right for one in self.steps if one.right is not None]
        found = {"steps_per_answer": sum(counts) / max(1, len(counts))}
        if known:
            found["process_score"] = sum(known) / len(known)
        if lengths:
            found["tokens_per_step"] = sum(lengths) / len(lengths)
        if right:
            found["right_fraction"] = sum(right) / len(right)
        return found


class StepScorer(Protocol):
    """What scores steps: a model, or completions."""

    rule: StepRule

    def scores(self, judged: Sequence[Judged], steps: Sequence[Sequence[Step]], step: int) -> list[list[float] | None]:
        """A score from 0 to 1 for each step of each rollout; None where a rollout could not be scored."""
        ...


class ModelScores:
    """Scores by a process reward model, or by a policy's log-probs; neither is trained in this stage."""

    def __init__(self, model: StepModel) -> None:
        self._model, self.rule = model, model.rule

    def scores(self, judged: Sequence[Judged], steps: Sequence[Sequence[Step]], step: int) -> list[list[float] | None]:
        """See StepScorer."""
        asked = [
            Solution.of([dict(one) for one in made.trajectory.opening.messages], made.trajectory.text, found)
            for made, found in zip(judged, steps, strict=True)
        ]
        return self._model.scores(asked)


class CompletionScores:
    """Values by Monte Carlo, from the policy as it is now: the right fraction of completions of each prefix."""

    def __init__(self, prefixes: Prefixes, completions: int, rule: StepRule) -> None:
        self._prefixes, self._completions, self.rule = prefixes, completions, rule

    def scores(self, judged: Sequence[Judged], steps: Sequence[Sequence[Step]], step: int) -> list[list[float] | None]:
        """See StepScorer. The last step's value is the outcome of the rollout itself."""
        rights = [self._prefixes.right(one) for one in judged]
        traces = [
            Trace.of(one, self.rule, self._prefixes.sampler, right=bool(right))
            for one, right in zip(judged, rights, strict=True)
        ]
        asked = [
            (number, Ask(count, 0, self._completions))
            for number, trace in enumerate(traces)
            for count in range(1, len(trace.steps))
        ]
        values: list[list[float]] = [[] for _ in traces]
        for (number, _), verdicts in zip(asked, self._prefixes.answer(traces, asked, step), strict=True):
            known = [one for one in verdicts if one is not None]
            values[number].append(sum(known) / len(known) if known else math.nan)
        return [
            None if right is None or any(map(math.isnan, found)) else [*found, float(right)] if trace.steps else []
            for right, found, trace in zip(rights, values, traces, strict=True)
        ]


class ProcessScores:
    """The process scorer of a grpo stage. Its verdict joins the others' and, with a weight, the reward."""

    def __init__(self, context: StageContext, sampler: TrajectorySampler, scorer: Scorer) -> None:
        stage: GrpoStage = context.stage
        if stage.process is None:
            raise ValueError("the stage has no `process`")
        self._settings, self._rewards = stage.process, stage.rewards
        self._tokenizer, self._verifiers = sampler.tokenizer, scorer
        self._scorer = self._opened(context, stage.process, sampler, scorer)

    def _opened(
        self, context: StageContext, settings: Process, sampler: TrajectorySampler, scorer: Scorer
    ) -> StepScorer:
        if settings.completions is not None:
            rollout = context.stage.rollout
            sampling = SamplingSettings(rollout.temperature, rollout.top_p, rollout.top_k)
            prefixes = Prefixes(sampler.sampler, scorer, sampling, rollout.max_completion_tokens, self.is_right)
            rule = StepRule(settings.steps.by, settings.steps.marker)
            return CompletionScores(prefixes, settings.completions, rule)
        trusted = context.recipe.trust_remote_code
        return ModelScores(open_step_model(settings, context.artifact, trust_remote_code=trusted))

    def is_right(self, judged: Judged) -> bool | None:
        """Whether a rollout has the full reward of the verifiers; None where that is not known."""
        return is_right(judged, self._rewards)

    def score(self, judged: Sequence[Judged], step: int) -> Scored:
        """Judged rollouts with their step scores."""
        steps = [self._scorer.rule.split(one.trajectory.text) for one in judged]
        found = self._scorer.scores(judged, steps, step)
        rows, verdicts = [], []
        for one, places, scores in zip(judged, steps, found, strict=True):
            number = None if scores is None else aggregated(scores, self._settings.aggregate)
            of_token, lengths = self._tokens(one, places)
            rows.append(RowSteps(of_token, scores or [], number, self.is_right(one), lengths))
            verdicts.append(
                Verdict(number, "scored" if number is not None else "no_steps" if scores == [] else "too_long")
            )
        return Scored(
            [
                self._verifiers.joined(one, NAME, verdict, self._settings.weight, verdict.score)
                for one, verdict in zip(judged, verdicts, strict=True)
            ],
            rows,
        )

    def _tokens(self, judged: Judged, steps: Sequence[Step]) -> tuple[list[int], list[int]]:
        """The step of each token of the last assistant turn, -1 for none, and the number of tokens of each step."""
        made = judged.trajectory
        of_token = [-1] * len(made.token_ids)
        if not steps:
            return of_token, []
        turn = made.assistant_turns[-1]
        ids = made.token_ids[turn.start : turn.end]
        starts = token_ends(self._tokenizer, ids, [one.start for one in steps])
        ends = token_ends(self._tokenizer, ids, [one.end for one in steps])
        taken = 0
        for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
            first = max(start, taken)
            of_token[turn.start + first : turn.start + end] = [number] * (end - first)
            taken = end
        return of_token, [of_token.count(number) for number in range(len(steps))]
