"""The scorer `reward_model`: a reward model's score of the whole conversation, centred and clipped within the group.

Neighbours: joined.py (the seam), inference/reward_model.py (the model), recipe/blocks/scorers.py (its settings).
"""

import math
from collections.abc import Sequence

from alignment.core.errors import DataError
from alignment.inference.reward_model import RewardModel
from alignment.recipe.blocks.scorers import RewardModelScorer
from alignment.rollout.trajectory import Trajectory
from rewards import Verdict


class RewardModelScores:
    """Scores of a reward model, which is not trained here. Implements ModelScorer."""

    def __init__(self, settings: RewardModelScorer, model: RewardModel) -> None:
        self.name, self.weight, self.tasks = settings.called, settings.weight, tuple(settings.tasks or ())
        self._settings, self._model = settings, model

    def verdicts(self, rollouts: Sequence[Trajectory]) -> list[Verdict]:
        """See ModelScorer."""
        return verdicts_of(self._model, rollouts)

    def in_group(self, scores_G: Sequence[float | None]) -> list[float | None]:
        """Scores less the mean of those that are known, between minus `clip` and `clip`."""
        known = [score for score in scores_G if score is not None]
        middle = sum(known) / len(known) if known and self._settings.centre else 0.0
        most = math.inf if self._settings.clip is None else self._settings.clip
        return [None if score is None else min(max(score - middle, -most), most) for score in scores_G]


def verdicts_of(model: RewardModel, rollouts: Sequence[Trajectory]) -> list[Verdict]:
    """A reward model's score of each whole conversation.

    One that cannot be rendered, is longer than the model reads, or has no finite score is unknown.
    """
    rendered = [_ids(model, one) for one in rollouts]
    scores = iter(model.scores([ids for ids in rendered if not isinstance(ids, Verdict)]))
    return [ids if isinstance(ids, Verdict) else _verdict(next(scores)) for ids in rendered]


def _ids(model: RewardModel, made: Trajectory) -> list[int] | Verdict:
    """The conversation's token ids, or the verdict that it cannot be scored."""
    try:
        ids = model.rendered([*made.opening.messages, *made.messages], made.mode, made.opening.tools)
    except DataError as error:
        return Verdict(None, "cannot_be_rendered", {"detail": str(error)})
    return ids if model.fits(ids) else Verdict(None, "too_long", {"tokens": len(ids)})


def _verdict(score: float) -> Verdict:
    return Verdict(score, "scored") if math.isfinite(score) else Verdict(None, "not_finite")
