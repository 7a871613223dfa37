"""How the labels of one solution are found by completions of its prefixes. Pure: what is to be completed is asked for.

A labelling is a generator that yields an Ask and gets the verdicts of its completions; `run` answers the asks of many
at once, so that an engine is kept busy. Neighbours: prefixes.py (answers with an engine), execution.py and judge.py
(other methods).

Every label is a function of the prefix and the numbers of its completions, whose seeds are fixed. So stopping at the
first right completion, and binary search, give the labels that drawing all of them would give.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from alignment.recipe.blocks.steps import BinarySearch, MonteCarlo

Verdicts = Sequence[bool | None]  # of completions; None: could not be judged


@dataclass(frozen=True)
class Ask:
    """Completions `first` to `first + count - 1` of the prefix that holds the first `steps` steps."""

    steps: int
    first: int
    count: int


@dataclass(frozen=True)
class Labels:
    """One label for each step; None after the first wrong step, and where nothing could be judged."""

    labels: list[float | None]

    @property
    def known(self) -> bool:
        """Whether any step has a label."""
        return any(label is not None for label in self.labels)


Labelling = Generator[Ask, Verdicts, Labels]


def labelling_of(method: MonteCarlo | BinarySearch, steps: int, *, right: bool, reached: int = 0) -> Labelling:
    """The labelling of a solution of so many steps. right: whether its own final answer is.

    reached: how many of its first steps a right solution of the same problem has too; hard labels count that solution as a
    completion of theirs.
    """
    if isinstance(method, BinarySearch):
        return binary_search(steps, method.completions, right=right, reached=reached)
    if method.label == "relative":
        return relative_labels(steps, method, right=right)
    return _by_difficulty(steps, method, right=right, reached=reached)


def _by_difficulty(steps: int, method: MonteCarlo, *, right: bool, reached: int) -> Labelling:
    """Hard or soft labels with the completions that `by_difficulty` chooses by the fraction right at the prompt."""
    hard, completions = method.label == "hard", method.completions
    first = 1 + (reached if hard else 0)
    if method.by_difficulty and first < steps:  # else no step needs a completion
        completions = _completions(method, (yield from _value(0, method.completions)))
    if hard:
        return (yield from hard_labels(steps, completions, right=right, reached=reached))
    return (yield from soft_labels(steps, completions, right=right))


def hard_labels(steps: int, completions: int, *, right: bool, reached: int = 0) -> Labelling:
    """Label 1 if any completion of the prefix reaches the answer, else 0. Math-Shepherd (arXiv 2312.08935, equation 3).

    What follows the first 0 has no label. The last step needs no completion: the solution's own answer is its outcome.
    """
    labels: list[float | None] = [1.0] * min(reached, steps - 1)
    for count in range(len(labels) + 1, steps):
        found = yield from _reaches(count, completions)
        labels.append(None if found is None else float(found))
        if not found:
            return _padded(labels, steps)
    return Labels([*labels, float(right)])


def soft_labels(steps: int, completions: int, *, right: bool) -> Labelling:
    """The fraction of completions that reach the answer. Math-Shepherd (arXiv 2312.08935, equation 4)."""
    labels: list[float | None] = []
    for count in range(1, steps):
        labels.append((yield from _value(count, completions)))
        if not labels[-1]:
            return _padded(labels, steps)
    return Labels([*labels, float(right)])


def relative_labels(steps: int, method: MonteCarlo, *, right: bool) -> Labelling:
    """Label 1 iff MC(after the step) / MC(before it) is at least `least_progress`. GenPRM (arXiv 2504.00891, section 3.2).

    MC before the first step is that of the prompt; it also chooses the number of completions, by `by_difficulty`.
    """
    before = yield from _value(0, method.completions)
    completions = _completions(method, before)
    labels: list[float | None] = []
    for count in range(1, steps + 1):
        after = float(right) if count == steps else (yield from _value(count, completions))
        if not before or after is None:
            labels.append(None if after is None or before is None else 0.0)
            return _padded(labels, steps)
        labels.append(float(after / before >= method.least_progress))
        if labels[-1] == 0:
            return _padded(labels, steps)
        before = after
    return Labels(labels)


def binary_search(steps: int, completions: int, *, right: bool, reached: int = 0) -> Labelling:
    """The first prefix from which no completion reaches the answer, by bisection. OmegaPRM (arXiv 2406.06592, section 3.2).

    Hard labels for about log2(steps) prefixes. They are those of `hard_labels` if no prefix recovers after a lost one. The
    steps of a right solution are all right; one whose last step alone is wrong is found by its outcome.

    Where a right solution begins alike, the step at which the two part is looked at first: it is mostly the wrong one.
    """
    if right:
        return Labels([1.0] * steps)
    good, bad = min(reached, steps - 1), steps
    parting = good + 1 if good else None
    while bad - good > 1:
        middle, parting = parting or (good + bad) // 2, None
        found = yield from _reaches(middle, completions)
        if found is None:
            return Labels([None] * steps)
        if found:
            good = middle
        else:
            bad = middle
    return _padded([*[1.0] * good, 0.0], steps)


def run(labellings: Sequence[Labelling], answer: Callable[[list[tuple[int, Ask]]], list[Verdicts]]) -> list[Labels]:
    """Advance all labellings together. answer: from `(number of the labelling, what it asks)` to verdicts, in order."""
    found: dict[int, Labels] = {}
    asked: list[tuple[int, Ask]] = []

    def advance(number: int, verdicts: Verdicts | None) -> None:
        try:
            labelling = labellings[number]
            asked.append((number, next(labelling) if verdicts is None else labelling.send(verdicts)))
        except StopIteration as ended:
            found[number] = ended.value

    for number in range(len(labellings)):
        advance(number, None)
    while asked:
        current, asked = asked, []
        for (number, _), verdicts in zip(current, answer(current), strict=True):
            advance(number, verdicts)
    return [found[number] for number in range(len(labellings))]


def _reaches(steps: int, completions: int) -> Generator[Ask, Verdicts, bool | None]:
    """Whether any completion is right, drawing 1, 1, 2, 4, … until one is; None if none could be judged."""
    drawn, known = 0, False
    while drawn < completions:
        verdicts = yield Ask(steps, drawn, min(max(1, drawn), completions - drawn))
        if any(verdicts):
            return True
        known = known or any(one is not None for one in verdicts)
        drawn += len(verdicts)
    return False if known else None


def _value(steps: int, completions: int) -> Generator[Ask, Verdicts, float | None]:
    """The fraction of completions that are right, of those that could be judged."""
    verdicts = yield Ask(steps, 0, completions)
    known = [one for one in verdicts if one is not None]
    return sum(known) / len(known) if known else None


def _completions(method: MonteCarlo, value: float | None) -> int:
    chosen = (count for bound, count in sorted(method.by_difficulty) if value is not None and value < bound)
    return next(chosen, method.completions)


def _padded(labels: list[float | None], steps: int) -> Labels:
    return Labels([*labels, *[None] * (steps - len(labels))])
