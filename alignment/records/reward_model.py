"""evaluations/reward_model.json: what a reward model is worth on pairs that it has not seen.

Neighbours: training/stages/reward_model.py and evaluation/pairs.py (measure it), report/render/reward_models.py (shows
it), core/statistics/preference.py.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from alignment.core.statistics import preference
from alignment.core.statistics.estimate import Estimate
from alignment.core.statistics.preference import ScoredPair
from alignment.records.file_record import FileRecord


@dataclass(frozen=True)
class ConfidenceBin:
    """Pairs in which the model is about as sure of the answer that it prefers."""

    pairs: Annotated[int, "how many"]
    confidence: Annotated[float, "mean probability of the preferred answer: the sigmoid of the difference of rewards"]
    right: Annotated[float, "fraction in which it is the chosen one"]


@dataclass(frozen=True)
class RewardModelRecord(FileRecord):
    """Figures of a reward model on held-out pairs."""

    pairs: Annotated[int, "held-out pairs"]
    accuracy: Annotated[Estimate, "fraction whose chosen answer has the higher reward; ties count half"]
    length_alone: Annotated[
        Estimate, "the same of a model that prefers the longer answer: what length explains of the pairs"
    ]
    prefers_longer: Annotated[Estimate, "fraction in which the model's preferred answer is the longer one"]
    accuracy_if_shorter: Annotated[
        Estimate, "accuracy where the chosen answer is the shorter one: length is no help there"
    ]
    length_correlation: Annotated[float | None, "rank correlation of an answer's reward with its length in tokens"]
    calibration_error: Annotated[
        float | None, "expected calibration error of the probability that the chosen answer wins"
    ]
    mean_reward: Annotated[float | None, "mean over chosen and rejected answers"]
    reward_deviation: Annotated[float | None, "their standard deviation"]
    calibration: Annotated[tuple[ConfidenceBin, ...], "from unsure to sure"] = ()


def record_of(pairs: Sequence[ScoredPair]) -> RewardModelRecord:
    """The figures of scored pairs."""
    rewards = [reward for one in pairs for reward in (one.chosen, one.rejected)]
    bins = preference.calibration(pairs)
    return RewardModelRecord(
        pairs=len(pairs),
        accuracy=preference.accuracy(pairs),
        length_alone=preference.length_alone(pairs),
        prefers_longer=preference.prefers_longer(pairs),
        accuracy_if_shorter=preference.accuracy_if_shorter(pairs),
        length_correlation=preference.length_correlation(pairs),
        calibration_error=preference.calibration_error(bins),
        mean_reward=statistics.fmean(rewards) if rewards else None,
        reward_deviation=statistics.pstdev(rewards) if rewards else None,
        calibration=tuple(ConfidenceBin(one.pairs, one.confidence, one.right) for one in bins),
    )
