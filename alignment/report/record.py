"""What a run directory holds, as values: a Run of Stages with their attempts, metrics, rollouts and evaluations.

Nothing here touches a file and nothing is judged. What a run did not record is None, never 0.
Neighbours: read.py fills these values from files; document.py makes report.json from them.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from alignment.report.record_following import ConstraintTask, Follow

MODES = ("thinking", "non_thinking")

Number = float | None
Line = dict[str, Any]  # one object of a .jsonl file


@dataclass(frozen=True)
class TaskScore:
    """The accuracy on one evaluation task, with its Wilson interval at 95%."""

    task: str
    count: int
    accuracy: Number
    accuracy_low: Number
    accuracy_high: Number


@dataclass(frozen=True)
class Sample:
    """One evaluation answer in full. `correct` is None where no verdict could be reached."""

    task: str
    question: str
    answer: str
    text: str
    correct: bool | None
    thinking_tokens: Number


@dataclass(frozen=True)
class ToldPoint:
    """How near the thinking came to `budget` tokens that the question asked for. The error is |thought - told| / told."""

    budget: Number
    count: int
    accuracy: Number
    mean_thinking_tokens: Number
    adherence_error: Number
    adherence_error_low: Number
    adherence_error_high: Number


@dataclass(frozen=True)
class Evaluation:
    """What one policy did on the held-out problems in one mode. Shares are from 0 to 1, tokens are means per answer."""

    mode: str
    count: int
    accuracy: Number
    accuracy_low: Number
    accuracy_high: Number
    format: Number
    think_follow: Number
    mean_thinking_tokens: Number
    mean_answer_tokens: Number
    truncated_fraction: Number
    unknown: Number
    seconds: Number
    tasks: tuple[TaskScore, ...]
    samples: tuple[Sample, ...]
    target_lengths: tuple[ToldPoint, ...] = ()


@dataclass(frozen=True)
class BudgetPoint:
    """Accuracy when thinking is ended from outside after `budget` tokens; a budget of None never ends it."""

    budget: Number
    count: int
    accuracy: Number
    accuracy_low: Number
    accuracy_high: Number
    mean_thinking_tokens: Number
    mean_answer_tokens: Number
    forced_fraction: Number


@dataclass(frozen=True)
class VotePoint:
    """What a majority of `votes` samples scored, and the best of as many, which bounds every choice from above."""

    votes: int
    mean_tokens: Number
    majority: Number
    majority_low: Number
    majority_high: Number
    best_of_upper_bound: Number


@dataclass(frozen=True)
class SweepPoint:
    """One stage on one task at one thinking budget; the budget is None, and only then, without thinking."""

    stage: str
    task: str
    mode: str
    budget: Number
    count: int
    accuracy: Number
    accuracy_low: Number
    accuracy_high: Number
    mean_thinking_tokens: Number
    mean_answer_tokens: Number
    forced_fraction: Number
    finished_fraction: Number
    votes: tuple[VotePoint, ...]


@dataclass(frozen=True)
class Sweep:
    """What `alignment budget` measured last. `knees` is by stage and task, `policies` the hash of each stage's policy."""

    points: tuple[SweepPoint, ...]
    knees: dict[tuple[str, str], float]
    policies: dict[str, str]


@dataclass(frozen=True)
class CardShare:
    """A share of a data card: what the recipe asked for, what the rows have, and the two counts behind that."""

    name: str
    words: str
    asked: Number
    made: Number
    rows: int | None
    of: int | None


@dataclass(frozen=True)
class CardPart:
    """Where rows of a data card are from, and how many were read, left out (by reason) and used."""

    name: str
    licences: tuple[str, ...]
    rows_read: int | None
    left_out: dict[str, int]
    rows_used: int | None


@dataclass(frozen=True)
class CardSample:
    """One rendered row of a data card. `flag` is where the deciding flag stands, or none."""

    mode: str
    flag: str
    turns: int | None
    text: str


@dataclass(frozen=True)
class Card:
    """The data card of a fusion stage. `path` is card.md's, from the run directory."""

    path: str
    shares: tuple[CardShare, ...]
    flags: dict[str, dict[str, int]]  # by mode and place
    turns: dict[str, int]  # rows by how many questions they hold
    flag_changes: int | None
    data: tuple[CardPart, ...]
    samples: tuple[CardSample, ...]


@dataclass(frozen=True)
class Attempt:
    """One start of a stage's process. An outcome of None means that it runs still, or ended without a word."""

    number: str
    outcome: str | None
    seconds: Number


@dataclass(frozen=True)
class Rollouts:
    """A few recorded completions from a stage's first step and from its last, and the modes that occurred."""

    first: tuple[Line, ...] = ()
    last: tuple[Line, ...] = ()
    modes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Stage:
    """One stage. `outcome` is finished, failed, killed, interrupted, unfinished or not started."""

    name: str
    kind: str
    outcome: str
    seconds: Number = None
    steps: int | None = None
    tokens: int | None = None
    inputs: dict[str, str] = field(default_factory=dict)
    output_hash: str | None = None
    counts: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()
    metrics: tuple[Line, ...] = ()
    rollouts: Rollouts = Rollouts()
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    budget: tuple[BudgetPoint, ...] = ()
    card: Card | None = None
    follow: Follow | None = None
    constraints: tuple[ConstraintTask, ...] = ()

    def series(self, metric: str) -> list[tuple[float, float]]:
        """(step, value) for every line of metrics.jsonl that holds this metric."""
        pairs = ((line.get("step"), line.get(metric)) for line in self.metrics)
        return [(float(step), float(value)) for step, value in pairs if is_number(step) and is_number(value)]


@dataclass(frozen=True)
class Run:
    """A whole run directory. `notes` says in sentences what was missing, half written or unreadable."""

    path: Path
    recipe: str
    seed: int | None
    model: str
    started: str | None
    versions: dict[str, Any]
    hardware: dict[str, Any]
    stages: tuple[Stage, ...]
    notes: tuple[str, ...]
    sweep: Sweep | None = None


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value read from JSON is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
