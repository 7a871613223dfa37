"""Chooses which model answers the page shows: the same question after consecutive stages, and first and last rollouts.

Questions whose verdict changed come first, one that was lost before one that was gained; a page of successes would
mislead. The text stays as the model wrote it and is escaped where it is rendered.
Neighbours: record.py (where the samples are from), html.py (lays them side by side).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest

from alignment.report.record import MODES, Line, Run, Sample, is_number
from rewards.contract import split_thinking

SHOWN = {"thinking": 3, "non_thinking": 2}  # questions per mode
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


@dataclass(frozen=True)
class Comparison:
    """One held-out question and the answers of consecutive stages to it. `story` is one of STORIES."""

    mode: str
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


def _comparison(mode: str, answers: Sequence[tuple[str, Sample]]) -> Comparison:
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
    return Answer(stage, mark, spent, clip(thinking), clip(answer))


def first_and_last(run: Run) -> list[StageRollouts]:
    """For each stage that recorded rollouts of two steps or more."""
    return [
        StageRollouts(stage.name, _rolled(stage.rollouts.first), _rolled(stage.rollouts.last))
        for stage in run.stages
        if stage.rollouts.first and stage.rollouts.last
    ]


def _rolled(lines: Sequence[Line]) -> tuple[Answer, ...]:
    return tuple(_rollout(line) for line in lines[:ROLLOUTS_SHOWN])


def _rollout(line: Line) -> Answer:
    thinking, answer = split_thinking(_text(line.get("text")))
    reward = line.get("reward")
    verdicts = line.get("verdicts")
    scores = [f"{name} {_score(verdict)}" for name, verdict in verdicts.items()] if isinstance(verdicts, dict) else []
    detail = " · ".join([f"reward {_score({'score': reward})}", *scores, _text(line.get("stop_reason"))]).strip(" ·")
    question, expected = clip(_text(line.get("question"))), clip(_text(line.get("answer")))
    return Answer(f"step {line.get('step')}", "", detail, clip(thinking), clip(answer), question, expected)


def _score(verdict: object) -> str:
    score = verdict.get("score") if isinstance(verdict, dict) else None
    return f"{float(score):.2f}" if is_number(score) else "not judged"


def clip(text: str) -> str:
    """The beginning and the end of a long text, with the number of characters between them."""
    left_out = len(text) - HEAD - TAIL
    return text if left_out <= 0 else f"{text[:HEAD]}\n\n[… {left_out:,} characters left out …]\n\n{text[-TAIL:]}"


def _text(value: object) -> str:
    return "" if value is None else str(value)
