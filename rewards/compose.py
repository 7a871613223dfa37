"""Weights and gates over named verdicts: one reward function, in the shape that TRL's GRPO trainer calls.

specs.py builds it from what a person wrote, trl_rollouts.py reads what TRL passes. It asks every verifier, and adds up:
a closed gate makes the total 0.0; else a verdict without a score makes it None, which TRL leaves out of training;
else it is the sum of weight times (clipped) score. The sum is not divided by the weights. A verdict that is not
applicable to its row is no part of any of this.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from rewards.contract import MissingColumn, Rollout, Verdict, Verifier, not_applicable
from rewards.errors import BudgetSpent, RewardsError
from rewards.lifetime import Closing
from rewards.spending import BUDGET_SPENT, Spending, Spends
from rewards.trl_rollouts import read_rollouts, row_columns

GATE_CLOSED_TOTAL = 0.0
TASK = "task_name"  # the column that says which task a row is of, where a component is for some tasks alone
LOUD_FROM_ROLLOUTS = 8  # in a smaller batch a few unknown verdicts say nothing about the verifier
LOUD_UNKNOWN_FRACTION = 0.5

LogMetric = Callable[[str, float], None]
LogExtra = Callable[[str, list[Any]], None]


class VerdictsUnavailable(RewardsError, RuntimeError):
    """A verifier could not judge more than half of a batch: the grader is broken, not the policy.

    advice: what whoever trains can say about going on.
    """

    def __init__(self, name: str, unknown: int, total: int, reason: str, detail: str = "", advice: str = "") -> None:
        self.name, self.unknown, self.total, self.reason, self.detail = name, unknown, total, reason, detail
        said = f"'{reason}' ({detail})" if detail else f"'{reason}'"
        super().__init__(
            f"reward '{name}' could not judge {unknown} of {total} rollouts; the most common reason is {said}. "
            "Training on what is left would follow the verifier's failures. Fix the verifier or the data it judges."
            + (f" {advice}" if advice else "")
        )

    def advising(self, advice: str) -> "VerdictsUnavailable":
        """The same with advice."""
        return type(self)(self.name, self.unknown, self.total, self.reason, self.detail, advice)


@dataclass(frozen=True)
class Component:
    """One named verifier and how its score enters the total.

    `gate`: a score below 1.0 makes the whole total 0.0. `clip`: (lowest, highest) score that enters the sum; a gate
    looks at the score before clipping. `columns`: under which name the dataset has a column that the verifier reads, where
    that is another one. `tasks`: patterns of the rows' column `task_name`; rows of other tasks are not shown to the verifier.
    """

    name: str
    verifier: Verifier
    weight: float = 1.0
    gate: bool = False
    clip: tuple[float, float] | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()

    def verdicts(self, rollouts: list[Rollout]) -> list[Verdict]:
        """One verdict per rollout, in order; that of a task that is not this component's is not applicable."""
        is_own = [is_of_task(one.columns.get(TASK), self.tasks) for one in rollouts]
        own = [one for one, shown in zip(rollouts, is_own, strict=True) if shown]
        found = iter(self.verifier.judge(self.renamed(own)) if own else [])
        return [next(found) if shown else not_applicable(TASK) for shown in is_own]

    def renamed(self, rollouts: list[Rollout]) -> list[Rollout]:
        """The rollouts with their columns under the names that the verifier knows."""
        if not self.columns:
            return rollouts
        named = [{own: one.columns[given] for own, given in self.columns.items()} for one in rollouts]
        return [replace(one, columns={**one.columns, **own}) for one, own in zip(rollouts, named, strict=True)]

    def clipped(self, score: float) -> float:
        """A score within the clip."""
        return score if self.clip is None else min(max(score, self.clip[0]), self.clip[1])

    def contribution(self, score: float) -> float:
        """What a score adds to the total."""
        return self.weight * self.clipped(score)


def is_of_task(task: Any, patterns: Sequence[str]) -> bool:
    """Whether a row's task is one that patterns name. `*` stands for anything, and a pattern after `!` names what is left out.

    Without patterns every task is, and with those after `!` alone every other.
    """
    named = [one for one in patterns if not one.startswith("!")]
    left_out = [one[1:] for one in patterns if one.startswith("!")]
    name = str(task)
    return (not named or any(fnmatchcase(name, one) for one in named)) and not any(
        fnmatchcase(name, one) for one in left_out
    )


class ComposedReward(Closing):
    """A reward function over named components. `verdicts` gives the same judgement before it is added up."""

    __name__ = "reward"  # the name under which TRL logs it

    def __init__(self, components: Sequence[Component]) -> None:
        self.components = tuple(components)

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_metric: LogMetric | None = None,
        log_extra: LogExtra | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One total per completion; None where it could not be reached. Columns are lists, one value per completion.

        Raises MissingColumn, VerdictsUnavailable when a verifier could not judge most of the batch, and BudgetSpent.
        """
        table = self.verdicts(prompts, completions, completion_ids, **columns)
        totals = [total(self.components, row) for row in table]
        if log_metric is not None:
            self._log(table, totals, log_metric)
        if log_extra is not None:
            for component in self.components:
                log_extra(f"{component.name}/reason", [row[component.name].reason for row in table])
        return totals

    def verdicts(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]] | None = None,
        **columns: Any,
    ) -> list[dict[str, Verdict]]:
        """Every component's verdict on every completion, by name. Raises what calling the reward raises."""
        rollouts = read_rollouts(prompts, completions, completion_ids, columns)
        present = row_columns(columns, len(completions))
        judged: dict[str, list[Verdict]] = {}
        for component in self.components:
            for column in (*component.verifier.columns, *([TASK] if component.tasks else [])):
                if (given := component.columns.get(column, column)) not in present:
                    raise MissingColumn(component.name, given, present)
            judged[component.name] = component.verdicts(rollouts)
            refuse_broken(component.name, judged[component.name])
        return [{name: verdicts[row] for name, verdicts in judged.items()} for row in range(len(rollouts))]

    def _log(self, table: list[dict[str, Verdict]], totals: list[float | None], log_metric: LogMetric) -> None:
        if not table:
            return
        for component in self.components:
            scores = [row[component.name].score for row in table if row[component.name].applicable]
            if not scores:
                continue  # a batch without a row for this component
            known = [score for score in scores if score is not None]
            if known:
                log_metric(f"reward/{component.name}/mean", sum(known) / len(known))
            log_metric(f"reward/{component.name}/unknown", float(len(scores) - len(known)))
            log_metric(f"reward/{component.name}/unknown_fraction", 1.0 - len(known) / len(scores))
        log_metric("reward/unknown_fraction", totals.count(None) / len(totals))

    def spending(self) -> Spending:
        """What the verifiers that ask a paid model have spent so far in this process."""
        return sum((one.spending() for one in self._spend()), Spending())

    def spent_in_all(self) -> Spending:
        """What they have spent in every process that kept its judgements in the same files."""
        return sum((one.spent_in_all() for one in self._spend()), Spending())

    def _spend(self) -> list[Spends]:
        return [one.verifier for one in self.components if isinstance(one.verifier, Spends)]

    def close(self) -> None:
        """Close every verifier."""
        for component in self.components:
            component.verifier.close()


def total(
    components: Sequence[Component], verdicts: Mapping[str, Verdict], added: Sequence[float | None] = ()
) -> float | None:
    """The weighted sum of one rollout's verdicts, under gates.

    added: what comes to it from beside the verifiers, such as a model's score times its weight; None is unknown.

    A closed gate decides alone: whatever an unknown verdict would have been, the total is 0.0. Otherwise a verdict
    without a score leaves the total unknown if it has a weight, or is a gate and might have closed. Components that
    are not applicable to the row are left out; where all that have a weight are, there is nothing to add up: None.
    """
    scored = [
        (component, verdicts[component.name].score) for component in components if verdicts[component.name].applicable
    ]
    if not added and not any(component.weight for component, _ in scored) and len(scored) < len(components):
        return None
    if any(component.gate and score is not None and score < 1.0 for component, score in scored):
        return GATE_CLOSED_TOTAL
    result = 0.0
    for component, score in scored:
        if score is not None:
            result += component.contribution(score)
        elif component.weight != 0 or component.gate:
            return None
    for value in added:
        if value is None:
            return None
        result += value
    return result


def parts(
    components: Sequence[Component], verdicts: Mapping[str, Verdict], added: Mapping[str, float]
) -> dict[str, float]:
    """The clipped score of each weighted component, of which a total is the weighted sum; nothing under a closed gate.

    added: the same of scores from beside the verifiers. A component that is not applicable or could not judge has 0.0 too: of a
    rollout without a total nothing is used.
    """
    scores = {one.name: verdicts[one.name].score for one in components if verdicts[one.name].applicable}
    if any(one.gate and (score := scores.get(one.name)) is not None and score < 1.0 for one in components):
        return {}
    known = {one.name: (one, scores.get(one.name)) for one in components if one.weight}
    own = {name: 0.0 if score is None else one.clipped(score) for name, (one, score) in known.items()}
    return {**own, **added}


def refuse_broken(name: str, verdicts: Sequence[Verdict]) -> None:
    """Raise VerdictsUnavailable when most of a batch's rows that are this component's to judge could not be judged.

    And BudgetSpent where one was not asked about, since nothing is left to spend.
    """
    unpaid = next((one for one in verdicts if one.reason == BUDGET_SPENT), None)
    if unpaid is not None:
        facts = ("tokens", "cost", "max_tokens_total", "max_cost")
        raise BudgetSpent(name, ", ".join(f"{key} {unpaid.evidence[key]}" for key in facts if key in unpaid.evidence))
    asked = [verdict for verdict in verdicts if verdict.applicable]
    reasons = Counter(verdict.reason for verdict in asked if verdict.score is None)
    unknown = reasons.total()
    if len(asked) >= LOUD_FROM_ROLLOUTS and unknown > LOUD_UNKNOWN_FRACTION * len(asked):
        reason = reasons.most_common(1)[0][0]
        details = (one.evidence.get("detail") for one in asked if one.score is None and one.reason == reason)
        raise VerdictsUnavailable(name, unknown, len(asked), reason, str(next(filter(None, details), "")))
