"""The probe of a prompt, which sets its thinking budget, and reading adaptive.json. Imports no torch.

A probe estimates how hard a prompt is: its length in tokens, which costs nothing, or how often a few non-thinking answers
agree, which costs their tokens. Neighbours: records/adaptive.py (the file), fit.py (fits the budgets to a sweep),
commands/chat/ and serve/middleware.py (use the file).
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from alignment.core.errors import ArtifactError, OptionError
from alignment.records.adaptive import AdaptiveBudget
from rewards.kinds.math_answer.verifier import MathAnswer
from rewards.vote import answer_groups


def load_adaptive(path: Path) -> AdaptiveBudget:
    """Read adaptive.json. Raises OptionError if it cannot be read."""
    try:
        return AdaptiveBudget.read(path)
    except ArtifactError as error:
        raise OptionError(f"{error}; `alignment adapt` writes such a file") from error


def agreement(groups: Sequence[int | None]) -> float:
    """Fraction of the samples that give the most frequent answer; a sample without an answer agrees with none."""
    counts = Counter(group for group in groups if group is not None)
    return max(counts.values(), default=0) / len(groups)


def agreement_of(answers: Sequence[str]) -> float:
    """The agreement of completions' answers; two are the same as in a vote (rewards/vote.py)."""
    verifier = MathAnswer()
    try:
        (groups,) = answer_groups([answers], verifier)
    finally:
        verifier.close()
    return agreement(groups)
