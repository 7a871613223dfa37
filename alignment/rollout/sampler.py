"""Samples trajectories: many environments at once over one engine, a batch for each round of turns.

In each round every rollout that is not done asks for its next turn; its environment is stepped as soon as the turn is
there, in a thread of its own, while the engine samples the others. The next prompt is the ids so far and those of the
rendered continuation (data/template.py). Neighbours: trajectory.py, environments/, inference/sampler.py (one turn).
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alignment.core.vocabulary import Mode
from alignment.data.rows import Message, Problem
from alignment.data.template import inert, render_continuation, render_prompt
from alignment.data.turns_rendered import TurnsRendered
from alignment.inference.engine import Generation, GenerationRequest, SamplingSettings, request_seed
from alignment.inference.sampler import Sampler
from alignment.recipe.environment import EnvironmentChoice
from alignment.recipe.sampling import ThinkingBudget
from alignment.rollout.environments.calls import as_message
from alignment.rollout.environments.protocol import Environment, Opening
from alignment.rollout.environments.registry import open_environments
from alignment.rollout.trajectory import Trajectory, TrajectoryEnd, joined

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PROMPTS_REMEMBERED = 4096
STEPPED_AT_ONCE = 16  # environments whose steps run side by side; most wait for a sandbox or for another machine


@dataclass(frozen=True)
class RolloutRequest:
    """One rollout to sample: a problem, the mode it is asked for in, and by what (see data/template.render_prompt)."""

    problem: Problem
    mode: Mode
    flagged: bool = False
    budget: ThinkingBudget | None = None
    seed: int = 0


@dataclass
class _Episode:
    """A rollout under way."""

    request: RolloutRequest
    environment: Environment
    opening: Opening
    ids: list[int]  # the prompt of the next turn
    left: int  # tokens that may still come
    generations: list[Generation] = field(default_factory=list)
    said: list[tuple[list[Message], list[int]]] = field(default_factory=list)
    stopped: TrajectoryEnd | None = None  # by a limit, where the environment had more to say

    def next_turn(self) -> GenerationRequest:
        """The request for the next turn. A first turn is drawn with the rollout's own seed."""
        asked, place = self.request, len(self.generations)
        seed = request_seed(asked.seed, "turn", place) if place else asked.seed
        return GenerationRequest(self.ids, asked.mode, asked.budget, self.left, seed)


class TrajectorySampler:
    """Runs rollouts of problems in environments of one kind. Use `close` when done; the engine stays its owner's."""

    def __init__(self, sampler: Sampler, choice: EnvironmentChoice, max_completion_tokens: int) -> None:
        self.sampler, self._max_turns, self._limit = sampler, choice.max_turns, max_completion_tokens
        self._environments = open_environments(choice)
        self._pool: ThreadPoolExecutor | None = None
        self._rendered: dict[tuple[str, Mode, bool], list[int]] = {}
        self._turns = TurnsRendered(sampler.tokenizer)

    @property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """The policy's tokenizer."""
        return self.sampler.tokenizer

    def prompt_ids(self, problem: Problem, mode: Mode, *, flagged: bool = False) -> list[int]:
        """The first prompt of a problem, with what its environment opens with."""
        return self._opened(RolloutRequest(problem, mode, flagged))[2]

    def sample(
        self,
        requests: Sequence[RolloutRequest],
        settings: SamplingSettings,
    ) -> list[Trajectory]:
        """One trajectory per request, in order; the same for the same weights, requests and settings."""
        found = sorted(self.finished(requests, settings), key=lambda pair: pair[0])
        return [trajectory for _, trajectory in found]

    def finished(
        self, requests: Sequence[RolloutRequest], settings: SamplingSettings
    ) -> Iterator[tuple[int, Trajectory]]:
        """`(index of the request, its trajectory)` as each ends; otherwise as `sample`."""
        going: dict[int, _Episode] = {}
        for index, request in enumerate(requests):
            environment, opening, ids = self._opened(request)
            going[index] = _Episode(request, environment, opening, ids, self._limit)
        while going:
            following = set()
            for index, goes_on in self._round(going, settings):
                if goes_on:
                    following.add(index)
                else:
                    one = going[index]
                    yield index, joined(one.opening, one.generations, one.said, one.stopped)
            going = {index: going[index] for index in sorted(following)}

    def close(self) -> None:
        """End what the environments started."""
        self._environments.close()
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _opened(self, request: RolloutRequest) -> tuple[Environment, Opening, list[int]]:
        environment = self._environments.new()
        opening = environment.reset(request.problem)
        key = (json.dumps([opening.messages, opening.tools]), request.mode, request.flagged)
        if key not in self._rendered:  # a group asks the same, and a sweep at every budget
            if len(self._rendered) >= PROMPTS_REMEMBERED:
                self._rendered.clear()
            self._turns.prove(request.problem.id, opening.messages, opening.tools)
            self._rendered[key] = render_prompt(
                self.tokenizer, opening.messages, request.mode, flagged=request.flagged, tools=opening.tools
            )
        return environment, opening, self._rendered[key]

    def _round(self, episodes: dict[int, _Episode], settings: SamplingSettings) -> Iterator[tuple[int, bool]]:
        """Sample a turn of each episode; whether each goes on, as soon as its environment has answered."""
        stepped: dict[int, Future[list[Message]]] = {}
        pool = self._pool = self._pool or ThreadPoolExecutor(STEPPED_AT_ONCE, thread_name_prefix="environment")
        numbers = list(episodes)
        for place, made in self.sampler.generate([one.next_turn() for one in episodes.values()], settings):
            index, episode = numbers[place], episodes[numbers[place]]
            episode.generations.append(made)
            if made.stop_reason != "end":
                yield index, False
                continue
            stepped[index] = pool.submit(episode.environment.step, as_message(made.text))
            for done in [one for one, future in stepped.items() if future.done()]:
                yield done, self._goes_on(episodes[done], stepped.pop(done).result())
        for index, future in stepped.items():
            yield index, self._goes_on(episodes[index], future.result())

    def _goes_on(self, episode: _Episode, said: list[Message]) -> bool:
        """Take in what the environment says after a turn; whether the policy has another."""
        if not said:
            return False
        if len(episode.generations) >= self._max_turns:
            episode.stopped = "turns"
            return False
        messages = [{**one, "content": inert(str(one.get("content") or ""), self.tokenizer)} for one in said]
        asked = episode.request
        between = render_continuation(self.tokenizer, messages, thinks=asked.flagged or asked.mode == "thinking")
        made = episode.generations[-1]
        left = episode.left - len(made.token_ids) - len(between)
        if left < 1:
            episode.stopped = "length"
            return False
        episode.said.append((messages, between))
        episode.ids = [*episode.ids, *made.token_ids, *between]
        episode.left = left
        return True
