"""The scorer `fluency`: how likely the policy at the stage's start would have been to write the answer.

A policy that learns to please a reward leaves the language it began with long before a verifier notices. Neighbours:
joined.py (the seam), inference/frozen_policy.py (log-probs), recipe/blocks/scorers.py (its settings).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from alignment.data.steps.definition import token_ends
from alignment.recipe.blocks.scorers import FLUENCY_FLOOR, FluencyScorer
from alignment.rollout.trajectory import Trajectory
from rewards import Verdict
from rewards.contract import answer_start

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Log-probs (nats) of completion tokens under the policy at the start, for rows of prompt ids and completion ids.
StartLogprobs = Callable[[Sequence[tuple[Sequence[int], Sequence[int]]]], list[list[float]]]


class FluencyScores:
    """Mean log-prob in nats per token. Implements ModelScorer."""

    def __init__(self, settings: FluencyScorer, start: StartLogprobs, tokenizer: "PreTrainedTokenizerBase") -> None:
        self.name, self.weight, self.tasks = settings.called, settings.weight, tuple(settings.tasks or ())
        self._settings, self._start, self._tokenizer = settings, start, tokenizer

    def verdicts(self, rollouts: Sequence[Trajectory]) -> list[Verdict]:
        """See ModelScorer. Counted are the last turn's sampled tokens after its thinking; without any it is at the floor."""
        places = [self._answer(one) for one in rollouts]
        asked = [one for one, counted in zip(rollouts, places, strict=True) if counted]
        logprobs = iter(self._start([(one.prompt_ids, one.token_ids) for one in asked]))
        found = []
        for counted in places:
            if not counted:  # silence must not be the easy way
                found.append(Verdict(FLUENCY_FLOOR, "no_answer"))
                continue
            of_token = next(logprobs)
            score = sum(of_token[place] for place in counted) / len(counted)
            found.append(Verdict(score, "scored", {"tokens": len(counted)}))
        return found

    def in_group(self, scores_G: Sequence[float | None]) -> list[float | None]:
        """Scores between the floor of -10 and `at_most`."""
        most = self._settings.at_most
        return [None if score is None else min(max(score, FLUENCY_FLOOR), most) for score in scores_G]

    def _answer(self, made: Trajectory) -> list[int]:
        """Places in token_ids of the last turn's sampled tokens that are no thinking."""
        if not made.assistant_turns:
            return []
        turn = made.assistant_turns[-1]
        answer = answer_start(turn.text)
        if answer is None:  # cut off before it
            return []
        first = turn.start
        if answer:
            (count,) = token_ends(self._tokenizer, made.token_ids[turn.start : turn.end], [answer])
            first += count
        return [place for place in range(first, turn.end) if made.loss_mask[place]]
