"""evaluations/process.json: what a process reward model is worth, as `alignment processbench` measures it.

Neighbours: evaluation/process/ (computes it), report/run.py (reads it), docs/process-rewards.md (what the figures mean).
"""

from dataclasses import dataclass
from typing import Annotated

from alignment.core.statistics.estimate import UNKNOWN, Estimate
from alignment.records.file_record import FileRecord
from alignment.records.judges import JudgeSpending


@dataclass(frozen=True)
class ProcessSubset:
    """ProcessBench's figures on one file of rows, or on corrupted solutions of a task."""

    name: Annotated[str, "the file's name, or `corrupted NAME`"]
    errors: Annotated[int, "solutions with a wrong step"]
    right: Annotated[int, "solutions without"]
    with_error: Annotated[Estimate, "fraction of the first whose first wrong step was found exactly"]
    without_error: Annotated[Estimate, "fraction of the second in which no step was called wrong"]
    f1: Annotated[float, "their harmonic mean; 0 where both are 0"]
    random_f1: Annotated[
        float | None, "that of scores drawn at random, at the threshold that suits them best; null for a judge"
    ] = None
    unscored: Annotated[int, "solutions that could not be scored or judged, which are left out"] = 0


@dataclass(frozen=True)
class CalibrationPoint:
    """Steps whose score lies in one tenth."""

    steps: Annotated[int, "how many have a label"]
    mean_score: Annotated[float, "their mean score"]
    right_fraction: Annotated[float, "the fraction that is right"]


@dataclass(frozen=True)
class StressTest:
    """A change that makes no solution better, and how often the score rises."""

    name: Annotated[str, "the test"]
    risen: Annotated[Estimate, "fraction of the solutions whose score rose"]
    mean_change: Annotated[float | None, "mean change of the score"]
    solutions: Annotated[int, "how many it changed"]


@dataclass(frozen=True)
class BestOfN:
    """Accuracy with N answers to each problem, by how one is chosen."""

    n: Annotated[int, "answers to each problem"]
    mean_tokens: Annotated[float, "mean tokens of so many answers"]
    product: Annotated[Estimate, "the highest product of step scores"]
    minimum: Annotated[Estimate, "the highest minimum"]
    last: Annotated[Estimate, "the highest score of the last step"]
    mean: Annotated[Estimate, "the highest mean"]
    majority: Annotated[Estimate, "the most frequent answer"]
    pass_at_n: Annotated[Estimate, "whether any is right: an upper bound for every choice"]
    outcome: Annotated[Estimate, "the highest score of a reward model for whole answers; null without one"] = UNKNOWN
    weighted: Annotated[Estimate, "the answer with the largest sum of scores"] = UNKNOWN

    @property
    def choices(self) -> dict[str, Estimate]:
        """Accuracy by how an answer is chosen, as tables show it; the outcome reward where there is one."""
        outcome = {} if self.outcome.value is None else {"outcome reward": self.outcome}
        ranked = {"product": self.product, "minimum": self.minimum, "last": self.last}
        weighted = {} if self.weighted.value is None else {"weighted vote": self.weighted}
        return {**ranked, **outcome, **weighted, "majority": self.majority, "pass@N": self.pass_at_n}


@dataclass(frozen=True)
class SearchedAnswers:
    """Accuracy of step-level beam search, with one answer to each problem."""

    beams: Annotated[int, "unfinished answers that are kept after each step"]
    expansions: Annotated[int, "next steps that are sampled for each"]
    accuracy: Annotated[Estimate, "fraction of answers that are right, with Wilson's interval"]
    mean_tokens: Annotated[float, "mean tokens sampled for an answer, dropped steps included"]
    answers: Annotated[int, "answers that could be judged"]
    unfinished: Annotated[int, "answers that reached the token limit"] = 0


@dataclass(frozen=True)
class ScoredTrace:
    """One solution with the score of each step."""

    question: Annotated[str, "what was asked"]
    steps: Annotated[tuple[str, ...], "the steps"]
    scores: Annotated[tuple[float, ...], "the score of each"]
    first_wrong: Annotated[int | None, "index of the first wrong step; null if all are right"] = None
    states: Annotated[
        tuple[str | None, ...], "of a program that was run: the values of its names after each step; empty without"
    ] = ()


@dataclass(frozen=True)
class ProcessRecord(FileRecord):
    """What a process reward model, or a judge in its place, is worth."""

    model: Annotated[str, "what was measured: a stage, a folder's name, or `judge MODEL`"]
    subsets: Annotated[tuple[ProcessSubset, ...], "by file or task"]
    f1: Annotated[float | None, "mean F1 of the subsets"]
    precision: Annotated[str | None, "type of the weights of what scored; null for a judge"] = None
    threshold: Annotated[float | None, "score below which a step is called wrong; null for a judge"] = None
    threshold_from: Annotated[str, "the rows it was chosen on, or `given`"] = "given"
    aggregate: Annotated[str, "how step scores become one in the stress tests"] = "minimum"
    calibration: Annotated[tuple[CalibrationPoint, ...], "from low scores to high ones"] = ()
    calibration_error: Annotated[float | None, "expected calibration error of labelled steps"] = None
    last_step_minima: Annotated[float | None, "fraction of solutions whose lowest score is the last step's"] = None
    last_step_minima_by_chance: Annotated[float | None, "that of random scores"] = None
    stress: Annotated[tuple[StressTest, ...], "stress tests"] = ()
    best_of: Annotated[tuple[BestOfN, ...], "best of N on a task, with rising N"] = ()
    outcome_model: Annotated[str | None, "the reward model of `outcome` in best_of; null without one"] = None
    outcome_unscored: Annotated[int, "answers that it could not score, which are chosen last"] = 0
    beam_search: Annotated[SearchedAnswers | None, "beam search by these scores on the same problems"] = None
    answers_auc: Annotated[
        float | None, "probability that a right one of these answers scores above a wrong one, by the aggregate"
    ] = None
    judge: Annotated[JudgeSpending | None, "what a judge was asked; null for a model"] = None
    traces: Annotated[tuple[ScoredTrace, ...], "some solutions with their scores"] = ()
