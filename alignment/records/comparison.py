"""comparisons/: which of two policies answers better by a judge. answers/KEY.jsonl, judgements.jsonl, NAME.json, NAME.jsonl.

Neighbours: evaluation/comparison/ (samples, judges and writes them), report/render/pairwise.py (shows them).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from alignment.core.statistics.estimate import Estimate
from alignment.core.typed_json import INLINE, Json
from alignment.core.vocabulary import Mode
from alignment.records.file_record import FileRecord, LineRecord

FOLDER, ANSWERS, JUDGEMENTS = "comparisons", "answers", "judgements.jsonl"
Winner = Literal["a", "b", "tie"]


@dataclass(frozen=True)
class RecordedAnswer(LineRecord):
    """One answer of a policy, sampled to be compared."""

    task: Annotated[str, "the task"]
    problem: Annotated[str, "the problem's id"]
    sample: Annotated[int, "which of the problem's samples, from 0"]
    prompt: Annotated[tuple[Mapping[str, Json], ...], "the messages that ask"]
    answer: Annotated[str, "what the judge is shown: the answer without its thinking; of several turns, all of them"]
    answer_tokens: Annotated[int, "its length in the policy's own tokens"]
    thinking_tokens: Annotated[int, "the length of its thinking"]
    truncated: Annotated[bool, "whether it was cut off at the token limit"]
    fault: Annotated[str, "why there is none: what its environment failed of; else empty"] = ""


@dataclass(frozen=True)
class ComparedPair(LineRecord):
    """Two answers to one prompt, and what the judge said of them in either order."""

    task: Annotated[str, "the task"]
    mode: Annotated[Mode, "the mode that was asked for"]
    problem: Annotated[str, "the problem's id"]
    winner: Annotated[Winner | None, "which is better: `a`, `b` or `tie`; null where it could not be judged"]
    reason: Annotated[str, "`orders_agree`, `orders_disagree`, `no_answer`, `same_answer`, or why there is no verdict"]
    a_first: Annotated[Winner | None, "the verdict with the first policy's answer shown first; null where not asked"]
    b_first: Annotated[Winner | None, "the verdict with the second's shown first"]
    prompt: Annotated[tuple[Mapping[str, Json], ...], "the messages that ask"]
    a: Annotated[str, "the first policy's answer"]
    b: Annotated[str, "the second's"]


@dataclass(frozen=True)
class ComparedSide:
    """One of the two policies."""

    name: Annotated[str, "its stage, or the model folder's name"]
    policy: Annotated[str, "the hash of its output"]


@dataclass(frozen=True)
class AnswersFigures:
    """How one policy's answers look, whichever wins."""

    mean_characters: Annotated[Estimate, "mean length of an answer in characters, without its thinking"]
    mean_tokens: Annotated[Estimate, "the same in the policy's own tokens"]
    no_answer: Annotated[int, "answers that are empty, as where thinking used up the tokens"]
    truncated_fraction: Annotated[float | None, "fraction of answers cut off at the token limit"]


@dataclass(frozen=True)
class ComparisonFigures:
    """The first policy's answers against the second's in one mode. Fractions are of judged pairs; ties count half."""

    mode: Annotated[Mode, "the mode that was asked for"]
    task: Annotated[str | None, "the task; null for all together"]
    pairs: Annotated[int, "pairs that were judged"]
    wins: Annotated[int, "pairs in which the first policy's answer is better in both orders"]
    losses: Annotated[int, "pairs in which the second's is"]
    ties: Annotated[int, "the others"]
    win_rate: Annotated[Estimate, "wins and half the ties, with Wilson's interval over problems"]
    length_controlled: Annotated[
        Estimate, "the win rate that a regression on the difference of lengths leaves at equal lengths"
    ]
    if_shorter: Annotated[Estimate, "win rate where the first policy's answer is the shorter one, in characters"]
    if_longer: Annotated[Estimate, "win rate where it is the longer one"]
    longer_won: Annotated[Estimate, "fraction in which the longer answer is better, whosever it is"]
    orders_disagree: Annotated[Estimate, "fraction of asked pairs whose verdict changes with the order; these are ties"]
    first_won: Annotated[
        Estimate,
        "fraction of verdicts in one order that prefer what stands first, of those that prefer any; 0.5: no bias",
    ]
    unjudged: Annotated[int, "pairs without a verdict, which are no part of the other figures"]
    a: Annotated[AnswersFigures, "the first policy's answers"]
    b: Annotated[AnswersFigures, "the second's"]


@dataclass(frozen=True)
class JudgeSpending:
    """What the judge was asked for this comparison, and what that took."""

    asked: Annotated[int, "questions, two for each pair"]
    cached: Annotated[int, "questions that had been asked before, and were not paid for again"]
    tokens: Annotated[int, "tokens of questions and replies"]
    cost: Annotated[float, "in the unit of the prices that were given; 0 without any"]


@dataclass(frozen=True)
class ComparisonRecord(FileRecord):
    """Which of two policies answers better by a judge, each pair in both orders."""

    a: Annotated[ComparedSide, "the first policy"]
    b: Annotated[ComparedSide, "the second, which it is compared with"]
    judge: Annotated[str, "the judge's model"]
    figures: Annotated[tuple[ComparisonFigures, ...], "of each mode: all tasks together, then each of several"]
    unjudged: Annotated[Mapping[str, int], "pairs without a verdict by reason"]
    left_out: Annotated[int, "answers of one policy without one of the other, as where a prompt is too long for it"]
    spending: Annotated[JudgeSpending, INLINE]
    cautions: Annotated[tuple[str, ...], "reasons to doubt the win rate"] = ()
    identity: Annotated[Mapping[str, Json] | None, "what decides the figures: policies, tasks, sampling, judge"] = None
