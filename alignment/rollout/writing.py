"""What a policy writes, in figures that no verifier pays for: how long its answers are, and how much they say twice.

Neighbours: scoring.py (puts the figures beside the verdicts), report/alarms/writing.py (when they speak against a reward).
"""

import itertools
import random
from collections.abc import Sequence

from alignment.rollout.trajectory import Trajectory
from rewards.contract import split_thinking

BIGRAMS = 500  # that are compared, so that the figure does not depend on how much was written
SEED = 0


def writing(rollouts: Sequence[Trajectory]) -> dict[str, float]:
    """Mean answer tokens and the distinct fraction of word bigrams, by the names of records/metrics.py."""
    if not rollouts:
        return {}
    found = {"answer_tokens": sum(one.answer_tokens for one in rollouts) / len(rollouts)}
    distinct = distinct_bigrams([split_thinking(one.text)[1] for one in rollouts])
    return found if distinct is None else {**found, "distinct_bigrams": distinct}


def distinct_bigrams(texts: Sequence[str]) -> float | None:
    """The distinct fraction of at most 500 word bigrams that are drawn, with a fixed seed, from all texts (arXiv 1510.03055).

    None where no text has two words.
    """
    pairs = [pair for text in texts for words in [text.lower().split()] for pair in itertools.pairwise(words)]
    if not pairs:
        return None
    drawn = random.Random(SEED).sample(pairs, BIGRAMS) if len(pairs) > BIGRAMS else pairs
    return round(len(set(drawn)) / len(drawn), 4)
