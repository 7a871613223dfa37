"""The model scorers of a grpo stage: opened once, and asked after the verifiers for each group of a step.

Neighbours: rollouts.py (who asks), rollout/scorers/ (the scorers), recipe/blocks/scorers.py (their settings),
trainer.py (whose reference policy scores fluency where it can).
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from alignment.inference.frozen_policy import FrozenPolicy
from alignment.inference.reward_model import RewardModel
from alignment.recipe.blocks.scorers import AnyScorer, RewardModelScorer
from alignment.rollout.scorers.fluency import FluencyScores, StartLogprobs
from alignment.rollout.scorers.joined import ModelScorer, with_scores
from alignment.rollout.scorers.reward_model import RewardModelScores
from alignment.rollout.scoring import Judged, Scorer
from alignment.training.context import StageContext

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class ModelScorers:
    """A stage's model scorers on this rank, which score its own rows. `seconds` is what they have taken.

    start: log-probs under the policy at the stage's start, where the trainer holds it; else a frozen copy is loaded.
    """

    def __init__(
        self,
        context: StageContext,
        verifiers: Scorer,
        tokenizer: "PreTrainedTokenizerBase",
        start: StartLogprobs | None = None,
    ) -> None:
        self._context, self._verifiers, self._tokenizer, self._start = context, verifiers, tokenizer, start
        self._scorers = [self._opened(one) for one in context.stage.scorers]
        self.seconds = 0.0

    def score(self, judged: Sequence[Judged]) -> list[Judged]:
        """Whole groups of judged rollouts with the scorers' verdicts and their part of the total."""
        began = time.monotonic()
        found = with_scores(self._verifiers, self._scorers, judged, self._context.stage.rollout.generations)
        self.seconds += time.monotonic() - began
        return found

    def _opened(self, settings: AnyScorer) -> ModelScorer:
        trusted = self._context.recipe.trust_remote_code
        if isinstance(settings, RewardModelScorer):
            model = str(settings.model) if settings.stage is None else str(self._context.artifact(settings.stage))
            fraction = settings.gpu_memory_fraction
            opened = RewardModel(model, settings.engine, gpu_memory_fraction=fraction, trust_remote_code=trusted)
            return RewardModelScores(settings, opened)
        if self._start is None:  # loaded once, however many scorers ask it
            self._start = FrozenPolicy(self._context.policy_path, trust_remote_code=trusted).logprobs
        return FluencyScores(settings, self._start, self._tokenizer)
