"""Chooses which model answers the page shows: the same question after consecutive stages, and first and last rollouts.

Questions whose verdict changed come first, losses before gains; a page of successes would mislead. The text stays as
the model wrote it and is escaped where it is rendered. Neighbours: records/evaluation.py (where the samples are from),
html.py (lays them side by side).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest

from alignment.core.typed_json import Json
from alignment.core.vocabulary import MODES, Mode
from alignment.records.evaluation import Sample
from alignment.records.rollout import RolloutRow
from alignment.report.render.turns import ShownTurn, shown_turns
from alignment.report.run import Run
from rewards.contract import split_thinking

SHOWN: dict[Mode, int] = {"thinking": 3, "non_thinking": 2}  # questions per mode
ROLLOUTS_SHOWN = 2  # per step
STORIES = ("lost", "lost, then regained", "gained", "unchanged")  # as the page orders them
HEAD, TAIL = 700, 300  # characters kept at both ends of a longer text


@dataclass(frozen=True)
class Answer:
    """One completion, split at `</think>`, with its verdict in words and what stands above it."""

    title: str
    mark: str  # correct, incorrect or not judged; empty where a reward stands in `detail`
    detail: str
    thinking: str
    answer: str
    question: str = ""
    expected: str = ""
    turns: tuple[ShownTurn, ...] = ()  # of a rollout with several: all of them, in place of thinking and answer


@dataclass(frozen=True)
class Comparison:
    """One held-out question and the answers of consecutive stages to it. `story` is one of STORIES."""

    mode: Mode
    task: str
    question: str
    expected: str
    story: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class StageRollouts:
    """Completions from the first step of a stage and from its last."""

    stage: str
    first: tuple[Answer, ...]
    last: tuple[Answer, ...]


def comparisons(run: Run) -> list[Comparison]:
    """Questions answered after two stages or more; where there are none, those of the last evaluated stage."""
    chosen: list[Comparison] = []
    for mode in MODES:
        asked: dict[tuple[str, str], list[tuple[str, Sample]]] = {}
        for stage in run.stages:
            for sample in stage.evaluations[mode].samples if mode in stage.evaluations else ():
                answers = asked.setdefault((sample.task, sample.question), [])
                if all(name != stage.name for name, _ in answers):
                    answers.append((stage.name, sample))
        most = max((len(answers) for answers in asked.values()), default=0)
        found = [_comparison(mode, answers) for answers in asked.values() if len(answers) >= min(2, most)]
        chosen += _varied(found, SHOWN[mode])
    return chosen


def _comparison(mode: Mode, answers: Sequence[tuple[str, Sample]]) -> Comparison:
    sample = answers[-1][1]
    marks = [one.correct for _, one in answers if one.correct is not None]
    steps = list(pairwise(marks))
    lost, gained = (True, False) in steps, (False, True) in steps
    story = STORIES[(1 if marks[-1] else 0) if lost else 2 if gained else 3]
    return Comparison(
        mode, sample.task, sample.question, sample.answer, story, tuple(_evaluated(*one) for one in answers)
    )


def _varied(found: Sequence[Comparison], wanted: int) -> list[Comparison]:
    """Round robin over the stories, so that no kind of outcome crowds out another."""
    stories = [[one for one in found if one.story == story] for story in STORIES]
    turns = [one for turn in zip_longest(*stories) for one in turn if one is not None]
    return turns[:wanted]


def _evaluated(stage: str, sample: Sample) -> Answer:
    thinking, answer = split_thinking(sample.text)
    mark = {True: "correct", False: "incorrect", None: "not judged"}[sample.correct]
    spent = "" if sample.thinking_tokens is None else f"{sample.thinking_tokens:.0f} thinking tokens"
    return Answer(stage, mark, spent, clip(thinking), clip(answer), turns=_clipped(sample.messages))


def first_and_last(run: Run) -> list[StageRollouts]:
    """For each stage that recorded rollouts of two steps or more."""
    return [
        StageRollouts(stage.name, _rolled(stage.rollouts.first), _rolled(stage.rollouts.last))
        for stage in run.stages
        if stage.rollouts.first and stage.rollouts.last
    ]


def _rolled(rows: Sequence[RolloutRow]) -> tuple[Answer, ...]:
    return tuple(_rollout(row) for row in rows[:ROLLOUTS_SHOWN])


def _rollout(row: RolloutRow) -> Answer:
    thinking, answer = split_thinking(row.text)
    scores = [f"{name} {_score(verdict.score)}" for name, verdict in row.verdicts.items()]
    detail = " · ".join([f"reward {_score(row.reward)}", *scores, row.stop_reason]).strip(" ·")
    asked, expected, turns = clip(row.question), clip(row.answer), _clipped(row.messages)
    return Answer(f"step {row.step}", "", detail, clip(thinking), clip(answer), asked, expected, turns)


def _clipped(messages: Sequence[Mapping[str, Json]]) -> tuple[ShownTurn, ...]:
    """The turns of a rollout; long ones are clipped in the middle."""
    return tuple(ShownTurn(one.role, clip(one.thinking), clip(one.text)) for one in shown_turns(messages))


def _score(score: float | None) -> str:
    return "not judged" if score is None else f"{score:.2f}"


def clip(text: str) -> str:
    """The beginning and the end of a long text, with the number of characters between them."""
    left_out = len(text) - HEAD - TAIL
    return text if left_out <= 0 else f"{text[:HEAD]}\n\n[… {left_out:,} characters left out …]\n\n{text[-TAIL:]}"
