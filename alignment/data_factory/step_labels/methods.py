"""Labels of solutions by the method that a recipe names, one or two of them.

Neighbours: labelling.py and prefixes.py (completions), execution.py, judge.py, recipe/steps.py (the methods' settings).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from alignment.data.rows import WRONG_BELOW
from alignment.data_factory.step_labels.execution import execution_labels
from alignment.data_factory.step_labels.judge import Solution, StepJudge
from alignment.data_factory.step_labels.labelling import Labels, labelling_of, run
from alignment.data_factory.step_labels.prefixes import Prefixes, Trace
from alignment.recipe.steps import AnyMethod, BinarySearch, Consensus, Execution, JudgedSteps, MonteCarlo


@dataclass(frozen=True)
class Labelled:
    """The labels of one solution; disagrees: two methods named different first wrong steps."""

    labels: Labels
    rationale: str = ""
    disagrees: bool = False


class Labeller:
    """Labels traces by a recipe's method."""

    def __init__(self, method: AnyMethod, prefixes: Prefixes, seed: int) -> None:
        self._method, self._prefixes, self._seed = method, prefixes, seed

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

    def _by(
        self, method: MonteCarlo | BinarySearch | Execution | JudgedSteps, traces: Sequence[Trace]
    ) -> list[Labelled]:
        if isinstance(method, Execution):
            return [Labelled(execution_labels([step.text for step in one.steps], right=one.right)) for one in traces]
        if isinstance(method, JudgedSteps):
            shown = [Solution(one.judged.problem.question, [step.text for step in one.steps]) for one in traces]
            return [Labelled(one.labels, one.rationale) for one in StepJudge(method).critiques(shown)]
        labellings = [labelling_of(method, len(one.steps), right=one.right, reached=one.reached) for one in traces]
        prefixes = self._prefixes.at(method.temperature)
        return [Labelled(one) for one in run(labellings, lambda asked: prefixes.answer(traces, asked, self._seed))]


def agreed(first: Labelled, second: Labelled) -> Labelled:
    """The first one's labels if both name the same first wrong step, or none. Qwen's consensus (arXiv 2501.07301, 3.1)."""
    rationale = first.rationale or second.rationale
    if not second.labels.known:
        return Labelled(second.labels, rationale)
    return replace(first, rationale=rationale, disagrees=_first_wrong(first.labels) != _first_wrong(second.labels))


def _first_wrong(labels: Labels) -> int | None:
    return next((place for place, one in enumerate(labels.labels) if one is not None and one < WRONG_BELOW), None)
