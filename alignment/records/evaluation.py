"""evaluations/thinking.json and non_thinking.json: what one policy did on the held-out problems in one mode.

Neighbours: evaluation/job.py (measures and writes them), follow.py and constraints.py (the files beside them).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from alignment.core.statistics.estimate import UNKNOWN, Estimate
from alignment.core.typed_json import INLINE, Json
from alignment.core.vocabulary import Mode
from alignment.records.file_record import FileRecord

COUNT = "answers that could be judged"
ACCURACY = "fraction of judged answers that are right, with Wilson's interval at 95% over problems"
NOT_JUDGED = "answers that could not be judged, which `accuracy` leaves out"


@dataclass(frozen=True)
class TaskScore:
    """The accuracy on one task."""

    task: Annotated[str, "the task's name"]
    count: Annotated[int, COUNT]
    accuracy: Annotated[Estimate, ACCURACY]
    unknown: Annotated[int, NOT_JUDGED] = 0


@dataclass(frozen=True)
class TargetLengthPoint:
    """Thinking tokens against a target length in the question, without a thinking budget."""

    budget: Annotated[int, "the target length in tokens"]
    count: Annotated[int, COUNT]
    accuracy: Annotated[Estimate, ACCURACY]
    unknown: Annotated[int, NOT_JUDGED]
    mean_thinking_tokens: Annotated[Estimate, "mean length of the thinking, with Student's interval over problems"]
    adherence_error: Annotated[Estimate, "mean of |thinking tokens - target| / target"]


@dataclass(frozen=True)
class Sample:
    """One answer, in full."""

    task: Annotated[str, "the task's name"]
    question: Annotated[str, "what was asked"]
    answer: Annotated[str, "the reference answer"]
    text: Annotated[str, "what the policy wrote; of several turns, the last"]
    correct: Annotated[bool | None, "whether it is right; null where it could not be judged"]
    thinking_tokens: Annotated[int | None, "the length of its thinking"] = None
    messages: Annotated[
        tuple[Mapping[str, Json], ...], "of several turns: all after the prompt, tool calls and their results included"
    ] = ()


@dataclass(frozen=True)
class EvaluationFigures:
    """The figures of one mode. The report shows all of them, and nothing else."""

    mode: Annotated[Mode, "the mode that was asked for, by the template's switch"]
    count: Annotated[int, COUNT]
    accuracy: Annotated[Estimate, ACCURACY]
    unknown: Annotated[int, NOT_JUDGED] = 0
    seed: Annotated[int | None, "seed of the problems and draws"] = None
    format: Annotated[float | None, "fraction of answers that are well formed"] = None
    think_follow: Annotated[float | None, "fraction of prompts whose flag alone (`/think`, `/no_think`) was obeyed"] = (
        None
    )
    think_follow_count: Annotated[int | None, "prompts that were asked by flag alone"] = None
    mean_thinking_tokens: Annotated[float | None, "mean length of the thinking"] = None
    mean_answer_tokens: Annotated[float | None, "mean length of what follows it"] = None
    truncated_fraction: Annotated[float | None, "fraction of answers cut off at the token limit"] = None
    forced_fraction: Annotated[float | None, "fraction of answers whose thinking was ended by a budget"] = None
    finished_fraction: Annotated[float | None, "fraction that the policy ended itself: no budget, no limit"] = None
    distinct_bigrams: Annotated[
        float | None,
        "fraction of word bigrams, of at most 500 drawn from all answers, that are different; low: they repeat",
    ] = None
    calls_count: Annotated[int, "answers to problems that have reference tool calls"] = 0
    calls_right: Annotated[
        Estimate, "fraction of these that make exactly the reference calls, with Wilson's interval over problems"
    ] = UNKNOWN
    wrong_claims_count: Annotated[int, "answers to questions in which the user claims something wrong"] = 0
    sycophancy: Annotated[Estimate, "fraction of these that repeat the claim, with Wilson's interval over problems"] = (
        UNKNOWN
    )
    language_count: Annotated[int, "answers whose language can be told, where `audits` has language"] = 0
    language_consistency: Annotated[
        Estimate, "fraction of these that are in the question's language, thinking included, with Wilson's interval"
    ] = UNKNOWN
    confidence_count: Annotated[int, "answers whose confidence is known, where `audits` has calibration"] = 0
    confidence: Annotated[
        Estimate, "mean fraction of a problem's other samples that give the same answer, with Student's interval"
    ] = UNKNOWN
    calibration_error: Annotated[
        float | None, "mean distance between that fraction and how often such answers are right"
    ] = None
    unanswerable_count: Annotated[int, "answers to questions that cannot be answered from what is given"] = 0
    hallucination: Annotated[
        Estimate, "fraction of these that give an answer all the same, with Wilson's interval over problems"
    ] = UNKNOWN
    answerable_count: Annotated[int, "answers to questions of such tasks that can be answered"] = 0
    over_refusal: Annotated[Estimate, "fraction of these that decline to answer"] = UNKNOWN
    refusals_count: Annotated[int, "answers in which refusals were counted, where `audits` has refusals"] = 0
    refused: Annotated[
        Estimate, "fraction of these that begin by saying that the policy will not or cannot, with Wilson's interval"
    ] = UNKNOWN
    harmful_count: Annotated[int, "answers to questions of which the row says that they should be declined"] = 0
    rightly_refused: Annotated[Estimate, "fraction of these that decline"] = UNKNOWN
    harmless_count: Annotated[int, "answers to questions of which the row says that they should be answered"] = 0
    wrongly_refused: Annotated[Estimate, "fraction of these that decline"] = UNKNOWN
    environment_faults: Annotated[
        int, "answers whose environment failed; not judged, and no part of the other figures"
    ] = 0
    seconds: Annotated[float | None, "wall time"] = None
    engine: Annotated[str | None, "what sampled"] = None
    left_out_too_long: Annotated[
        int | None, "problems above `max_prompt_tokens`, which were not asked; null if none"
    ] = None
    tasks: Annotated[tuple[TaskScore, ...], "by task, where there are several too"] = ()
    target_lengths: Annotated[
        tuple[TargetLengthPoint, ...], "where the recipe names `target_lengths`; thinking mode alone"
    ] = ()


@dataclass(frozen=True)
class Identified(FileRecord):
    """What decides a recorded evaluation, of whichever file of evaluations/."""

    identity: Annotated[Mapping[str, Json] | None, "what decides the figures: settings, policy, seed"] = None


@dataclass(frozen=True)
class EvaluationRecord(FileRecord):
    """What one policy did on the held-out problems in one mode."""

    figures: Annotated[EvaluationFigures, INLINE]
    stage: Annotated[str | None, "the stage whose policy answered"] = None
    identity: Annotated[Mapping[str, Json] | None, "what decides the figures: settings, policy, seed"] = None
    samples: Annotated[tuple[Sample, ...], "a few answers in full"] = ()
