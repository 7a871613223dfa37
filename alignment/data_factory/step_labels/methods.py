"""Labels of solutions by the method that a recipe names, one or two of them.

Neighbours: labelling.py and prefixes.py (completions), execution.py, judge.py, recipe/blocks/steps.py (the methods'
settings).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from alignment.data.rows import WRONG_BELOW
from alignment.data_factory.step_labels.execution import execution_labels
from alignment.data_factory.step_labels.judge import Solution, StepJudge
from alignment.data_factory.step_labels.labelling import Labels, labelling_of, run
from alignment.data_factory.step_labels.prefixes import Prefixes, Trace
from alignment.recipe.blocks.steps import AnyMethod, BinarySearch, Consensus, Execution, JudgedSteps, MonteCarlo
from rewards.spending import Spending


@dataclass(frozen=True)
class Labelled:
    """The labels of one solution; disagrees: two methods named different first wrong steps.

    reason: why a judge gave none, such as `too_long`.
    """

    labels: Labels
    rationale: str = ""
    disagrees: bool = False
    reason: str = ""


class Labeller:
    """Labels traces by a recipe's method. judgements: the file that keeps what a judge says."""

    def __init__(self, method: AnyMethod, prefixes: Prefixes, seed: int, judgements: Path | None = None) -> None:
        self._method, self._prefixes, self._seed = method, prefixes, seed
        self._judges = step_judges(method, judgements)

    def labels(self, traces: Sequence[Trace]) -> list[Labelled]:
        """Labels for each trace, in order."""
        if not isinstance(self._method, Consensus):
            return self._by(self._method, traces)
        # The second method is only asked about what the first could label.
        first, found = self._by(self._method.of[0], traces), list[Labelled]()
        asked = [trace for trace, one in zip(traces, first, strict=True) if one.labels.known]
        second = iter(self._by(self._method.of[1], asked))
        for one in first:
            found.append(agreed(one, next(second)) if one.labels.known else one)
        return found

    def spent_in_all(self) -> Spending:
        """What the method's judges have been asked in all processes of the run."""
        return spent_by(self._judges)

    def judges(self) -> dict[str, str]:
        """The models that judge steps; see `named`."""
        return named(self._judges)

    def _by(
        self, method: MonteCarlo | BinarySearch | Execution | JudgedSteps, traces: Sequence[Trace]
    ) -> list[Labelled]:
        if isinstance(method, Execution):
            return [Labelled(execution_labels([step.text for step in one.steps], right=one.right)) for one in traces]
        if isinstance(method, JudgedSteps):
            shown = [
                Solution(one.judged.problem.question, [step.text for step in one.steps], one.states) for one in traces
            ]
            judge = next(judge for one, judge in self._judges if one is method)
            return [Labelled(one.labels, one.rationale, reason=one.reason) for one in judge.critiques(shown)]
        labellings = [labelling_of(method, len(one.steps), right=one.right, reached=one.reached) for one in traces]
        prefixes = self._prefixes.at(method.temperature)
        return [Labelled(one) for one in run(labellings, lambda asked: prefixes.answer(traces, asked, self._seed))]


def step_judges(method: AnyMethod, judgements: Path | None) -> list[tuple[JudgedSteps, StepJudge]]:
    """The judges of a method, or of the two that it compares. judgements: their file; the second one's has a 2 in its name."""
    methods = method.of if isinstance(method, Consensus) else (method,)
    found: list[tuple[JudgedSteps, StepJudge]] = []
    for one in methods:
        if isinstance(one, JudgedSteps):
            file = judgements.with_stem(f"{judgements.stem}-2") if judgements is not None and found else judgements
            found.append((one, StepJudge(one, file)))
    return found


def named(judges: Sequence[tuple[JudgedSteps, StepJudge]]) -> dict[str, str]:
    """The model of each judge, under `steps` and `steps 2`."""
    return {f"steps {place}" if place > 1 else "steps": judge.model for place, (_, judge) in enumerate(judges, 1)}


def spent_by(judges: Sequence[tuple[JudgedSteps, StepJudge]]) -> Spending:
    """What they have been asked so far, in earlier processes too where their judgements have a file."""
    return sum((judge.spent_in_all() for _, judge in judges), Spending())


def agreed(first: Labelled, second: Labelled) -> Labelled:
    """The first one's labels if both name the same first wrong step, or none. Qwen's consensus (arXiv 2501.07301, 3.1)."""
    rationale = first.rationale or second.rationale
    if not second.labels.known:
        return Labelled(second.labels, rationale, reason=second.reason)
    return replace(first, rationale=rationale, disagrees=_first_wrong(first.labels) != _first_wrong(second.labels))


def _first_wrong(labels: Labels) -> int | None:
    return next((place for place, one in enumerate(labels.labels) if one is not None and one < WRONG_BELOW), None)
