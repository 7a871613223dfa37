"""Scorer: from completions to rewards, with the verifiers of rewards/.

Completions are judged once, with the text as the engine decoded it. The trainer gets the totals, and the same verdicts
go to rollouts.jsonl and the metrics. Neighbours: sampler.py (rollouts), judgeable.py (problems, before they are asked),
summary.py (figures of a step), training/rl/rollouts.py (a step's groups).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import rewards
from alignment.data.rows import Problem
from alignment.inference.engine import Spans
from alignment.recipe.blocks.rewards import Reward
from alignment.records.rollout import OpeningRecord, RolloutRow, VerdictRecord, WeightSpan
from alignment.rollout.environments.protocol import EnvironmentFault, Opening
from alignment.rollout.judges import reward_options
from alignment.rollout.trajectory import Trajectory
from rewards.compose import LOUD_FROM_ROLLOUTS, LOUD_UNKNOWN_FRACTION, TASK, ComposedReward, parts, total
from rewards.contract import SAMPLED_COLUMNS
from rewards.spending import Spending, Spends

RESUMES = (
    "Then run again: the stage goes on from its last checkpoint, and what was judged is kept and not asked for again."
)
FAULT = "environment_fault"  # the reason of every verdict on a rollout whose environment failed


@dataclass(frozen=True)
class Judged:
    """One rollout of one problem with its verdicts; total is None where a weighted verdict could not be reached.

    added: what scorers beside the verifiers bring to the total, by name; None is unknown.
    """

    problem: Problem
    trajectory: Trajectory
    verdicts: Mapping[str, rewards.Verdict]
    total: float | None
    added: Mapping[str, float | None] = field(default_factory=dict)

    def row(self, step: int, ages: Spans = ()) -> RolloutRow:
        """What rollouts.jsonl keeps of it. ages: steps by which the weights of each span of tokens are old."""
        made, own = self.trajectory, Opening(self.problem.messages, self.problem.tools)
        return RolloutRow(
            step=step,
            problem=self.problem.id,
            question=self.problem.question,
            answer=self.problem.answer,
            mode=made.mode,
            budget=_most(made),
            text=made.text,
            completion_tokens=len(made.token_ids),
            thinking_tokens=made.thinking_tokens,
            forced_tokens=made.forced_tokens,
            stop_reason=made.stop_reason,
            reward=self.total,
            verdicts={name: VerdictRecord(one.score, one.reason) for name, one in self.verdicts.items()},
            messages=made.several_messages,
            opening=None
            if made.opening == own
            else OpeningRecord(tuple(made.opening.messages), tuple(made.opening.tools)),
            staleness=max((age for _, age in ages), default=0),
            weight_spans=tuple(WeightSpan(start, age) for start, age in ages) if len(ages) > 1 else (),
        )


class Scorer:
    """Judges completions by a recipe's reward specs. Without any, every completion is left unjudged.

    judgements: the folder that keeps what their judges say.
    """

    def __init__(self, specs: Sequence[Reward], judgements: Path | None = None) -> None:
        written = [reward_options(spec, judgements) for spec in specs]
        self._reward = rewards.reward_function(written) if written else ComposedReward([])
        read = {one.columns.get(name, name) for one in self._reward.components for name in one.verifier.columns}
        self._row_columns = read - SAMPLED_COLUMNS  # None where no problem of a batch has them
        self._said: set[tuple[str, str]] = set()  # reward and reason of faults that are in the log

    def judge(self, problems: Sequence[Problem], completions: Sequence[Trajectory]) -> list[Judged]:
        """Verdicts and totals, in order. A problem without a column that a verifier reads is not that verifier's.

        A rollout whose environment failed is nobody's to judge. Raises rewards.VerdictsUnavailable if a grader fails on most
        of a batch, and EnvironmentFault if environments did.
        """
        refuse_failing(completions)
        sound = [place for place, made in enumerate(completions) if not made.fault]
        judged = iter(self._judged([problems[place] for place in sound], [completions[place] for place in sound]))
        return [
            self._unjudged(problem, made) if made.fault else next(judged)
            for problem, made in zip(problems, completions, strict=True)
        ]

    def _unjudged(self, problem: Problem, made: Trajectory) -> Judged:
        """The verdict on a rollout whose environment failed: none."""
        unknown = rewards.Verdict(None, FAULT, {"detail": made.fault})
        return Judged(problem, made, {one.name: unknown for one in self._reward.components}, None)

    def _judged(self, problems: Sequence[Problem], completions: Sequence[Trajectory]) -> list[Judged]:
        if not problems:
            return []
        try:
            table = self._verdicts(problems, completions)
        except rewards.VerdictsUnavailable as error:
            raise error.advising(RESUMES) from error
        self._say_faults(table)
        return [
            Judged(problem, made, verdicts, total(self._reward.components, verdicts) if verdicts else None)
            for problem, made, verdicts in zip(problems, completions, table, strict=True)
        ]

    def _verdicts(
        self, problems: Sequence[Problem], completions: Sequence[Trajectory]
    ) -> list[dict[str, rewards.Verdict]]:
        """The verdicts of each rollout by name. Raises rewards.VerdictsUnavailable."""
        given = {*self._row_columns, *(name for problem in problems for name in problem.columns)}
        names = given - {"answer", "budget", TASK}
        return self._reward.verdicts(
            [made.opening.messages for made in completions],
            [made.messages for made in completions],
            [made.token_ids for made in completions],
            completion_text=[made.text for made in completions],
            answer=[problem.answer or None for problem in problems],
            mode=[made.mode for made in completions],
            # A budget that the question tells is what the policy has to keep; one that is forced, what it was given.
            budget=[
                problem.columns.get("budget", _most(made)) for problem, made in zip(problems, completions, strict=True)
            ],
            **{TASK: [problem.family for problem in problems]},
            stop_reason=[made.stop_reason for made in completions],
            forced=[made.forced for made in completions],
            thinking_tokens=[made.thinking_tokens for made in completions],
            environment_reward=[made.environment_reward for made in completions],
            **{
                name: [_column(problem, made, name) for problem, made in zip(problems, completions, strict=True)]
                for name in sorted(names)
            },
        )

    def joined(self, judged: Judged, name: str, verdict: rewards.Verdict, weight: float, value: float | None) -> Judged:
        """A rollout with one more verdict, from beside the verifiers, and with weight x value in its total unless weight is 0."""
        added = dict(judged.added)
        if weight:
            added[name] = None if value is None else weight * value
        fault = judged.trajectory.fault
        reached = None if fault else total(self._reward.components, judged.verdicts, list(added.values()))
        return replace(judged, verdicts={**judged.verdicts, name: verdict}, added=added, total=reached)

    def parts(self, judged: Judged, weights: Mapping[str, float]) -> dict[str, float]:
        """What a rollout's total is the weighted sum of, by name, without the weights. weights: those of scores that were added."""
        added = {name: (value or 0.0) / weights[name] for name, value in judged.added.items()}
        return {} if judged.trajectory.fault else parts(self._reward.components, judged.verdicts, added)

    def _say_faults(self, table: Sequence[Mapping[str, rewards.Verdict]]) -> None:
        """Print why a reward gave no score, such as the line of the user's code that failed, once for each reason."""
        for name, verdict in (pair for row in table for pair in row.items()):
            detail, key = verdict.evidence.get("detail"), (name, verdict.reason)
            if verdict.score is None and detail and key not in self._said:
                self._said.add(key)
                print(f"reward {name}: {verdict.reason}: {detail}", flush=True)

    def spending(self) -> Spending:
        """What judges have been asked in this process so far."""
        return self._reward.spending()

    def judges(self) -> dict[str, str]:
        """The model of each reward that asks one; empty where a server has not yet said what it serves."""
        return {one.name: one.verifier.model for one in self._reward.components if isinstance(one.verifier, Spends)}

    def spent_in_all(self) -> Spending:
        """What they have been asked in all processes of the run, earlier ones included."""
        return self._reward.spent_in_all()

    def close(self) -> None:
        """Close the verifiers."""
        self._reward.close()


def refuse_failing(completions: Sequence[Trajectory]) -> None:
    """Raise EnvironmentFault if the environments of most of a batch failed: training would follow what is left."""
    faults = Counter(made.fault for made in completions if made.fault)
    if len(completions) >= LOUD_FROM_ROLLOUTS and faults.total() > LOUD_UNKNOWN_FRACTION * len(completions):
        raise EnvironmentFault(
            f"the environment failed in {faults.total()} of {len(completions)} rollouts, most often because "
            f"{faults.most_common(1)[0][0]}; see that it runs and answers, and start the stage again: it goes on from its "
            "last checkpoint"
        )


def is_right(judged: Judged, specs: Sequence[Reward]) -> bool | None:
    """Whether a rollout that came to its end has the full score of every weighted verifier; None where that is not known."""
    if judged.trajectory.fault:
        return None
    if judged.trajectory.stop_reason != "end":
        return False
    asked = [spec for spec in specs if judged.verdicts[spec.name or spec.kind].reason != rewards.NOT_APPLICABLE]
    scores = [judged.verdicts[spec.name or spec.kind].score for spec in asked if spec.weight > 0]
    if any(score is None for score in scores):
        return None
    return all(score is not None and score >= 1 - 1e-9 for score in scores)


def _column(problem: Problem, made: Trajectory, name: str) -> Any:
    """A problem's value for verifiers, or None; the tools that were offered are what `tool_call` compares with."""
    return problem.columns.get(name, (made.opening.tools or None) if name == "tools" else None)


def _most(made: Trajectory) -> int | None:
    """The thinking tokens that a completion was allowed, or None."""
    return None if made.budget is None else made.budget.most
