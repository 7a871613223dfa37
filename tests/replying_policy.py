"""A policy for tests of environments: an engine whose every turn is a function of the prompt that it is asked with.

What it is given is the text so far; what it returns is its turn. `before` is called with the number of turns sampled so
far, so that a test can kill a server in the middle.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from transformers import PreTrainedTokenizerBase

from alignment.data.rows import Problem
from alignment.inference.engine import Generation, GenerationRequest, SamplingSettings, as_generation
from alignment.inference.sampler import Sampler
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.rollout.episode import RolloutRequest
from alignment.rollout.sampler import TrajectorySampler
from alignment.rollout.trajectory import Trajectory


class Replies:
    """Implements Engine. `most`: the largest number of requests that were under way at one time."""

    name = "replies"

    def __init__(self, tokenizer: PreTrainedTokenizerBase, reply: Callable[[str], str]) -> None:
        self.tokenizer, self.reply, self.before = tokenizer, reply, lambda turns: None
        self.turns, self.most, self.weight_version = 0, 0, 0

    def generate(
        self, requests: Sequence[GenerationRequest], settings: SamplingSettings
    ) -> Iterator[tuple[int, Generation]]:
        self.most = max(self.most, len(requests))
        for index, request in enumerate(requests):
            self.before(self.turns)
            self.turns += 1
            text = self.reply(self.tokenizer.decode(request.prompt_ids))
            ids = [*self.tokenizer(text, add_special_tokens=False)["input_ids"], self.tokenizer.eos_token_id]
            yield index, as_generation(request, ids, [-0.5] * len(ids), None, ended=True)

    def logprobs(self, sequences: Sequence[list[int]]) -> list[list[float]]:
        return [[-0.5] * (len(one) - 1) for one in sequences]

    def load_weights(self, weights: Iterable[object]) -> int:
        """Its weights are the function's."""
        self.weight_version += 1
        return self.weight_version

    def rest(self) -> None:
        """Nothing to free."""

    def close(self) -> None:
        """Nothing to end."""


def sampler_of(engine: Replies, limit: int = 2000, **environment: object) -> TrajectorySampler:
    """A sampler of trajectories in an environment, as a recipe would write it."""
    whole = Sampler(engine, engine.tokenizer, None)  # type: ignore[arg-type]
    return TrajectorySampler(whole, EnvironmentChoice.model_validate(environment), limit)


def rollouts(engine: Replies, problems: Sequence[Problem], **environment: object) -> list[Trajectory]:
    """One trajectory for each problem."""
    sampler = sampler_of(engine, **environment)
    asked = [RolloutRequest(one, "non_thinking", seed=place) for place, one in enumerate(problems)]
    made = sampler.sample(asked, SamplingSettings())
    sampler.close()
    return made
