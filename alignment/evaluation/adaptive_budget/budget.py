"""The probe that decides a prompt's thinking budget, and the file that says how. Light.

A probe says how hard a prompt looks: its length in tokens, which costs nothing, or how often a few answers without
thinking agree, which costs their tokens. Neighbours: records/adaptive.py (the file), fit.py (learns the budgets from a
sweep); commands/chat.py and serve/middleware.py use what `alignment adapt` wrote.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from alignment.core.errors import ArtifactError, OptionError
from alignment.records.adaptive import AdaptiveBudget
from rewards.kinds.math_answer.verifier import MathAnswer
from rewards.vote import answer_groups


def load_adaptive(path: Path) -> AdaptiveBudget:
    """Read adaptive.json. Raises OptionError that says what is wrong with it."""
    try:
        return AdaptiveBudget.read(path)
    except ArtifactError as error:
        raise OptionError(f"{error}; `alignment adapt` writes such a file") from error


def agreement(groups: Sequence[int | None]) -> float:
    """The share of the samples that give the most frequent answer; a sample without an answer agrees with none."""
    counts = Counter(group for group in groups if group is not None)
    return max(counts.values(), default=0) / len(groups)


def agreement_of(answers: Sequence[str]) -> float:
    """The agreement of answers as a policy wrote them; which are the same is what a vote would say."""
    verifier = MathAnswer()
    try:
        (groups,) = answer_groups([answers], verifier)
    finally:
        verifier.close()
    return agreement(groups)
