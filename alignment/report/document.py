"""The report as frozen dataclasses: report.json is these as JSON, and every other form is made from them.

docs/report.schema.json is made from these classes (schema.py). Neighbours: build.py (fills them), changes.py and
alarms/ (what is judged), render/ (Markdown, the page, the terminal).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from alignment.core.machine import Machine
from alignment.core.statistics.estimate import Estimate
from alignment.core.typed_json import INLINE, Json
from alignment.core.vocabulary import Mode
from alignment.records.attempt import Attempt
from alignment.records.card import CardFigures
from alignment.records.comparison import ComparisonRecord
from alignment.records.constraints import ConstraintTask
from alignment.records.evaluation import EvaluationFigures
from alignment.records.follow import FollowFigures
from alignment.records.process import ProcessRecord
from alignment.records.reward_model import RewardModelRecord
from alignment.records.sweep import SweepPoint
from alignment.records.trials import MixtureSearch, RowCurve

SCHEMA_VERSION = 2
Number = float | None
Outcome = Literal["gain", "loss", "no clear change"]
Level = Literal["warning", "notice"]


@dataclass(frozen=True)
class AccuracyChange:
    """A difference of two accuracies, and whether chance could explain it."""

    accuracy: Annotated[Number, "the difference, after minus before"]
    z: Annotated[float, "z of the two-proportion test with pooled variance"]
    significant: Annotated[bool, "whether it is past the critical value at 95%, two-sided"]
    verdict: Annotated[Outcome, "what it is called"]


@dataclass(frozen=True)
class TaskChange:
    """The change on one task."""

    task: Annotated[str, "the task"]
    tested: Annotated[AccuracyChange, INLINE]


@dataclass(frozen=True)
class Change:
    """The change in one mode since the stage that this one was made from."""

    since: Annotated[str, "the stage compared with"]
    test: Annotated[str, "the name of the test behind `significant`"]
    tested: Annotated[AccuracyChange, INLINE]
    tasks: Annotated[tuple[TaskChange, ...], "by task"]
    differences: Annotated[Mapping[str, Number], INLINE, "after minus before of every other figure, under its own key"]


@dataclass(frozen=True)
class AgainstBest:
    """The last stage compared with the best one."""

    stage: Annotated[str, "the best stage in this mode"]
    best: Annotated[Number, "its accuracy"]
    tested: Annotated[AccuracyChange, INLINE]


@dataclass(frozen=True)
class Final:
    """The accuracy after the last evaluated stage."""

    stage: Annotated[str, "that stage"]
    count: Annotated[int, "answers that could be judged"]
    accuracy: Annotated[Estimate, "the fraction that is right"]
    against_best: Annotated[AgainstBest, "how it stands beside the best stage in this mode"]


@dataclass(frozen=True)
class NumberedAttempt:
    """One start of a stage's process."""

    number: Annotated[int, "from 1"]
    attempt: Annotated[Attempt, INLINE]


@dataclass(frozen=True)
class MetricSummary:
    """A metric of metrics.jsonl over a stage."""

    first: Annotated[float, "at the first logged step"]
    last: Annotated[float, "at the last"]
    best: Annotated[Number, "the least loss or the greatest reward; null where neither more nor less is better"]
    mean: Annotated[float, "over all logged steps"]


@dataclass(frozen=True)
class CardSection:
    """The data card of a stage that leaves rows, without its samples, which stay in the run directory."""

    path: Annotated[str, "card.md, from the run directory"]
    figures: Annotated[CardFigures, INLINE]


@dataclass(frozen=True)
class StageSection:
    """One stage of the run."""

    name: Annotated[str, "its name"]
    kind: Annotated[str, "its kind"]
    outcome: Annotated[str, "finished, failed, killed, interrupted, unfinished or not started"]
    seconds: Annotated[Number, "its manifest's, or the sum of its attempts until there is one"]
    evaluation_seconds: Annotated[float, "wall time of its evaluations"]
    attempts: Annotated[tuple[NumberedAttempt, ...], "starts of its process"]
    steps: Annotated[int | None, "optimizer steps"]
    tokens: Annotated[int | None, "tokens trained on or sampled"]
    inputs: Annotated[Mapping[str, str], "output hash of each artifact it was made from"]
    output_hash: Annotated[str | None, "hash of its own output"]
    counts: Annotated[Mapping[str, Json], "rows seen and left out, by reason"]
    evaluations: Annotated[Mapping[Mode, EvaluationFigures], "by mode"]
    changes: Annotated[Mapping[Mode, Change], "by mode"]
    follow: Annotated[FollowFigures | None, "how flags were obeyed over several turns"]
    constraints: Annotated[tuple[ConstraintTask, ...], "one for each task with constraints"]
    training: Annotated[Mapping[str, MetricSummary], "one for each metric of metrics.jsonl"]
    card: Annotated[CardSection | None, "of a stage that leaves rows with a data card"]


@dataclass(frozen=True)
class CurveSection:
    """One stage's curve on one task."""

    stage: Annotated[str, "the stage"]
    task: Annotated[str, "the task"]
    knee: Annotated[int | None, "the smallest budget within the interval of the best; null where there is none"]
    spearman: Annotated[Number, "rank correlation of budget and accuracy, ties sharing a rank; null under three points, and where all accuracies are equal"]  # fmt: skip


@dataclass(frozen=True)
class SweepSection:
    """Accuracy over thinking budgets: the recipe's own sweep, or the last `alignment budget` in this run."""

    points: Annotated[tuple[SweepPoint, ...], "in the order in which they were asked for"]
    curves: Annotated[tuple[CurveSection, ...], "by stage and task"]

    def knee(self, stage: str, task: str) -> int | None:
        """The knee of one curve."""
        return next((one.knee for one in self.curves if (one.stage, one.task) == (stage, task)), None)


@dataclass(frozen=True)
class ProcessSection:
    """What the last measured process reward model is worth (`alignment processbench`)."""

    stage: Annotated[str, "its stage"]
    f1: Annotated[Number, "mean ProcessBench F1 of what it was measured on"]
    f1_monte_carlo: Annotated[Number, "that of the model whose labels came from completions"]
    f1_consensus: Annotated[Number, "that of the model whose labels two methods agreed on"]
    best_of_8: Annotated[Estimate, "accuracy of the best of eight answers by its scores"]
    majority_of_8: Annotated[Estimate, "accuracy of the most frequent of eight answers"]
    pass_at_1: Annotated[Number, "accuracy of a single answer"]
    outcome_of_8: Annotated[Estimate, "accuracy of the best of eight answers by an outcome reward; null without one"]
    stress: Annotated[Mapping[str, Number], "by stress test: the fraction of solutions whose score rose"]
    measured: Annotated[ProcessRecord, "everything that was measured of it"]


@dataclass(frozen=True)
class RewardModelSection:
    """What a reward model is worth on held-out pairs."""

    stage: Annotated[str, "its stage"]
    measured: Annotated[RewardModelRecord, "everything that was measured of it"]


@dataclass(frozen=True)
class RewardsOverSteps:
    """One score of a stage that was paid by a reward model: the model's, or a verifier's beside it."""

    stage: Annotated[str, "the stage"]
    name: Annotated[str, "the scorer or verifier"]
    role: Annotated[Literal["proxy", "verifier"], "`proxy` of the reward model"]
    quarters: Annotated[tuple[float, ...], "its mean in each quarter of the steps"]


@dataclass(frozen=True)
class PairedShift:
    """Log-odds of a policy on the paired prompts of one group and language, in nats, with Student's interval over rows."""

    stage: Annotated[str, "the stage"]
    group: Annotated[str, "the group"]
    language: Annotated[str, "the language"]
    rows: Annotated[int, "how many paired prompts"]
    log_odds: Annotated[Estimate, "mean log-odds of `a` over `b`, over both orders and roles"]
    order_effect: Annotated[Estimate, "mean log-odds of what stands first"]
    since: Annotated[str | None, "the stage compared with; null where there is none"]
    shift: Annotated[Estimate, "mean change of the rows' log-odds since then"]
    spread: Annotated[Estimate, "mean absolute change, in which opposite changes do not cancel"]


@dataclass(frozen=True)
class Ends:
    """A metric in the first quarter of the steps that have it and in the last."""

    first: Annotated[Number, "mean of the first quarter"]
    last: Annotated[Number, "mean of the last"]


@dataclass(frozen=True)
class TaskOverSteps:
    """One task of a stage that trains on several."""

    stage: Annotated[str, "the stage"]
    task: Annotated[str, "the task"]
    groups: Annotated[Ends, "the fraction of a step's groups that were the task's"]
    reward: Annotated[Ends, "the mean total reward of its rollouts"]
    pass_rate: Annotated[Ends, "the fraction of its rollouts with every verifier's full score"]


@dataclass(frozen=True)
class Alarm:
    """A sign that something is wrong."""

    stage: Annotated[str, "where"]
    kind: Annotated[str, "what kind of evidence"]
    level: Annotated[Level, "`notice` where chance could explain it"]
    value: Annotated[Number, "what was measured"]
    threshold: Annotated[Number, "from which on it rings"]
    message: Annotated[str, "in a sentence"]


@dataclass(frozen=True)
class Report:
    """The whole report. What was not recorded is null, never 0."""

    schema: Annotated[int, "the version of this form; keys are only ever added under the same number"]
    recipe: Annotated[str, "the recipe"]
    seed: Annotated[int | None, "its seed"]
    model: Annotated[str, "the model that the run starts from"]
    started: Annotated[str | None, "when the run began, ISO 8601 in UTC"]
    seconds: Annotated[Number, "wall time of all stages and their evaluations"]
    stages: Annotated[tuple[StageSection, ...], "in the order of the run"]
    final: Annotated[Mapping[Mode, Final], "by mode"]
    sweep: Annotated[SweepSection | None, "accuracy over thinking budgets"]
    row_curves: Annotated[tuple[RowCurve, ...], "of each stage that `alignment rows` tried: accuracy over its rows"]
    mixtures: Annotated[tuple[MixtureSearch, ...], "of each stage whose mixture `alignment mixture` searched for"]
    process: Annotated[ProcessSection | None, "the last measured process reward model"]
    reward_models: Annotated[tuple[RewardModelSection, ...], "those that were measured, in the order of the stages"]
    rewards_over_steps: Annotated[tuple[RewardsOverSteps, ...], "proxy and verified rewards of stages that a reward model paid"]  # fmt: skip
    tasks_over_steps: Annotated[tuple[TaskOverSteps, ...], "each task of stages that trained on several at once"]
    paired_shifts: Annotated[tuple[PairedShift, ...], "log-odds on paired prompts, where the recipe names a table"]
    pairwise: Annotated[
        tuple[ComparisonRecord, ...], "which of two policies a judge prefers, of each `alignment compare`"
    ]
    alarms: Annotated[tuple[Alarm, ...], "in the order of the stages"]
    versions: Annotated[Mapping[str, str], "version of each package that decides a result"]
    hardware: Annotated[Machine | None, "the machine on which the run began"]
    notes: Annotated[tuple[str, ...], "what was missing, half written or unreadable"]
    summary: Annotated[str, "one or two sentences"]
