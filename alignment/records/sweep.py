"""budget/: accuracy over thinking budgets. points.jsonl, outcomes/KEY.jsonl and budget.json.

The sweep that ends a recipe and `alignment budget` leave the same files. Neighbours: evaluation/sweep/ (measures and
writes), report/ (shows), commands/adapt/ (fits adaptive budgets to the outcomes).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from alignment.core.errors import ArtifactError
from alignment.core.files import write_json_lines
from alignment.core.statistics.estimate import UNKNOWN, Estimate
from alignment.core.typed_json import INLINE, Json
from alignment.core.vocabulary import Mode
from alignment.records.evaluation import ACCURACY, NOT_JUDGED
from alignment.records.file_record import FileRecord, LineRecord

FOLDER, SWEEP, POINTS, OUTCOMES = "budget", "budget.json", "points.jsonl", "outcomes"


@dataclass(frozen=True)
class Place:
    """Stage, task, mode and budget of a point, whatever its settings."""

    stage: Annotated[str, "the stage, or the model folder's name"]
    task: Annotated[str, "the task"]
    mode: Annotated[Mode, "the mode"]
    budget: Annotated[
        int | None, "thinking tokens after which thinking is ended; null, and only then, in non-thinking mode"
    ]

    def __post_init__(self) -> None:
        if (self.budget is None) != (self.mode == "non_thinking"):
            raise ValueError("a budget belongs to thinking mode, and to no other")

    @property
    def described(self) -> str:
        """The point in words, for messages."""
        return "non-thinking" if self.budget is None else f"budget {self.budget}"


@dataclass(frozen=True)
class VotePoint:
    """Accuracy of a majority vote over k samples, and of the best of k, an upper bound for every way of choosing."""

    votes: Annotated[int, "samples that vote"]
    mean_tokens: Annotated[float, "tokens of so many samples"]
    majority: Annotated[Estimate, "accuracy of the most frequent answer"]
    best_of_upper_bound: Annotated[Estimate, "pass@k, in its unbiased form"]
    problems: Annotated[int | None, "problems with so many judged samples"] = None


@dataclass(frozen=True)
class SweepFigures:
    """The figures of a point. Interval ends of a mean are null with fewer than four problems."""

    count: Annotated[int, "completions that could be judged"]
    accuracy: Annotated[Estimate, ACCURACY]
    unknown: Annotated[int, NOT_JUDGED] = 0
    mean_thinking_tokens: Annotated[Estimate, "mean length of the thinking, without the stop text of a budget"] = (
        UNKNOWN
    )
    mean_answer_tokens: Annotated[Estimate, "mean length of what follows it, stop text included"] = UNKNOWN
    forced_fraction: Annotated[Estimate, "fraction whose thinking was ended by the budget"] = UNKNOWN
    finished_fraction: Annotated[Estimate, "fraction that the policy ended itself: neither budget nor limit cut in"] = (
        UNKNOWN
    )
    truncated_fraction: Annotated[Estimate, "fraction cut off at the token limit"] = UNKNOWN
    votes: Annotated[tuple[VotePoint, ...], "what voting makes of several samples; empty with one"] = ()


@dataclass(frozen=True)
class SweepPoint:
    """One policy on one task in one mode at one thinking budget."""

    place: Annotated[Place, INLINE]
    figures: Annotated[SweepFigures, INLINE]
    problems: Annotated[int | None, "problems that were asked"] = None
    samples: Annotated[int | None, "answers to each"] = None
    engine: Annotated[str | None, "what sampled"] = None
    left_out_too_long: Annotated[
        int | None, "problems above `max_prompt_tokens`, which were not asked; null if none"
    ] = None


@dataclass(frozen=True)
class RecordedPoint(LineRecord):
    """A measured point with its key and identity: everything that decides it."""

    key: Annotated[str, "SHA-256 of the identity"]
    point: Annotated[SweepPoint, INLINE]
    identity: Annotated[Mapping[str, Json], "policy, task, budget, samples, seed, lengths, sampling, engine"]


@dataclass(frozen=True)
class SweepSettings:
    """How the points were measured."""

    count: Annotated[int, "problems of each task"]
    samples: Annotated[int, "answers to each problem"]
    seed: Annotated[int, "seed of the problems"]
    max_completion_tokens: Annotated[int, "longest completion, thinking and answer together"]
    engine: Annotated[Json, "what was to sample, as in the recipe"]
    sampling: Annotated[Mapping[Mode, Mapping[str, float]], "temperature, top_p and top_k of each mode"]
    thinking_budget: Annotated[Mapping[str, Json], "how thinking is ended at a budget, as in the recipe"] = field(
        default_factory=dict
    )


@dataclass(frozen=True)
class SweptPolicy:
    """A policy that was measured."""

    stage: Annotated[str, "its stage, or the model folder's name"]
    policy: Annotated[str, "the hash of its output"]


@dataclass(frozen=True)
class Knee:
    """The smallest budget of a curve whose accuracy is not clearly below the best."""

    stage: Annotated[str, "the stage"]
    task: Annotated[str, "the task"]
    budget: Annotated[
        int | None, "the smallest budget within the interval of the best; null where the curve still rose"
    ]


@dataclass(frozen=True)
class OutcomesFile:
    """The file with the outcomes of a point's problems."""

    place: Annotated[Place, INLINE]
    file: Annotated[str, "path from the sweep's folder"]


@dataclass(frozen=True)
class Sweep(FileRecord):
    """The points of the last command, without key and identity."""

    points: Annotated[tuple[SweepPoint, ...], "in the order in which they are shown"]
    stages: Annotated[tuple[SweptPolicy, ...], "the policies"] = ()
    knees: Annotated[tuple[Knee, ...], "one for each stage and task with a curve"] = ()
    outcomes: Annotated[tuple[OutcomesFile, ...], "one for each point"] = ()
    settings: Annotated[SweepSettings | None, "how they were measured"] = None
    schema: Annotated[Literal[1], "the version of this form"] = 1

    def policy_of(self, stage: str) -> str | None:
        """The hash of the policy that was measured under a name."""
        return next((one.policy for one in self.stages if one.stage == stage), None)


@dataclass(frozen=True)
class ProblemOutcome(LineRecord):
    """One problem at one point; every list has one entry for each sample."""

    problem: Annotated[str, "a hash of the question's text"]
    prompt_tokens: Annotated[int, "length of its prompt"]
    correct: Annotated[tuple[bool | None, ...], "null where a sample could not be judged"]
    thinking_tokens: Annotated[tuple[int, ...], "length of each sample's thinking"]
    answer_tokens: Annotated[tuple[int, ...], "length of what follows it"]
    groups: Annotated[
        tuple[int | None, ...], "equal numbers are equal answers; null is none, and with one sample always"
    ]


def outcomes_file(output: Path, key: str) -> Path:
    """Where the outcomes of the point with this key are, in a sweep's folder."""
    return output / OUTCOMES / f"{key[:16]}.jsonl"


def write_outcomes(output: Path, key: str, outcomes: Sequence[ProblemOutcome]) -> None:
    """Write a point's outcomes, whole or not at all. Raises ArtifactError if that cannot be done."""
    write_json_lines(outcomes_file(output, key), outcomes)


def read_outcomes(path: Path) -> list[ProblemOutcome]:
    """The outcomes of one point. Raises ArtifactError if they are missing or not what a sweep writes."""
    if not path.is_file():
        raise ArtifactError(
            f"{path}: is missing; points of earlier versions have no outcomes: measure them with `alignment budget ... "
            "--output` into a new folder"
        )
    return list(ProblemOutcome.read_lines(path))
