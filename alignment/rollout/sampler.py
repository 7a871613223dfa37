"""Samples trajectories: many environments at once over one engine, a batch for each round of turns.

In each round every rollout that is not done asks for its next turn; its environment is stepped as soon as the turn is
there, in a thread of its own, while the engine samples the others. The next prompt is the ids so far and those of the
rendered continuation (data/chat/template.py). Neighbours: episode.py (one rollout under way), environments/,
inference/sampler.py (one turn).
"""

import json
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from alignment.core.vocabulary import Mode
from alignment.data.chat.template import inert, render_continuation, render_prompt
from alignment.data.chat.turns_rendered import TurnsRendered
from alignment.data.rows import Message, Problem
from alignment.inference.engine import SamplingSettings
from alignment.inference.sampler import Sampler
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.rollout.environments.calls import as_message
from alignment.rollout.environments.protocol import BoundedEnvironments, EnvironmentFault, Opening
from alignment.rollout.environments.registry import open_environments
from alignment.rollout.episode import Begun, Episode, RolloutRequest, begin
from alignment.rollout.trajectory import Trajectory

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PROMPTS_REMEMBERED = 4096
FULL_SECONDS = 0.2  # before another try where others hold all sessions
STEPPED_AT_ONCE = 16  # environments whose steps run side by side; most wait for a sandbox or for another machine


class TrajectorySampler:
    """Runs rollouts of problems in environments of one kind, from any thread. Use `close` when done; the engine stays its owner's."""

    def __init__(self, sampler: Sampler, choice: EnvironmentChoice, max_completion_tokens: int) -> None:
        self.sampler, self._max_turns, self._limit = sampler, choice.max_turns, max_completion_tokens
        self._environments = open_environments(choice)
        self._threads = ThreadPoolExecutor(STEPPED_AT_ONCE, thread_name_prefix="environment")  # started when needed
        self._rendered: dict[tuple[str, Mode, bool], list[int]] = {}
        self._turns = TurnsRendered(sampler.tokenizer)

    @property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """The policy's tokenizer."""
        return self.sampler.tokenizer

    def prompt_ids(self, problem: Problem, mode: Mode, *, flagged: bool = False) -> list[int]:
        """The first prompt of a problem, with what its environment opens with. Raises EnvironmentFault if it does not."""
        begun = begin(self._environments, problem)
        begun.release()
        if begun.fault:
            raise EnvironmentFault(begun.fault)
        return self._ids(RolloutRequest(problem, mode, flagged), begun.opening)

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
        waiting, going = deque(enumerate(requests)), dict[int, Episode]()
        while waiting or going:
            fresh = [waiting.popleft() for _ in range(min(len(waiting), self._at_once(len(requests)) - len(going)))]
            for (index, request), begun in zip(fresh, self._begun([one.problem for _, one in fresh]), strict=True):
                if begun.full:
                    waiting.append((index, request))
                    continue
                going[index] = Episode(request, begun, self._ids(request, begun.opening), self._limit)
                if begun.fault:
                    yield index, going.pop(index).unanswered(int(self.tokenizer.eos_token_id))
            if not going:
                time.sleep(FULL_SECONDS if waiting else 0.0)
                continue
            following, ending = set[int](), dict[int, Future[None]]()
            for index, goes_on in self._round(going, settings):
                if goes_on:
                    following.add(index)
                elif going[index].is_scored_or_held:
                    ending[index] = self._threads.submit(going[index].finish)
                else:
                    yield index, going[index].trajectory()
            for index, future in ending.items():
                future.result()
                yield index, going[index].trajectory()
            going = {index: going[index] for index in sorted(following)}

    def close(self) -> None:
        """End what the environments started."""
        self._environments.close()
        self._threads.shutdown()

    def _at_once(self, requests: int) -> int:
        """Rollouts that may be under way at one time."""
        environments = self._environments
        return environments.at_once if isinstance(environments, BoundedEnvironments) else requests

    def _begun(self, problems: Sequence[Problem]) -> list[Begun]:
        """A fresh environment for each problem; those of a server begin side by side."""
        if isinstance(self._environments, BoundedEnvironments):
            return list(self._threads.map(lambda one: begin(self._environments, one), problems))
        return [begin(self._environments, one) for one in problems]

    def _ids(self, request: RolloutRequest, opening: Opening) -> list[int]:
        """The first prompt of a request; a group asks the same, and a sweep at every budget."""
        key = (json.dumps([opening.messages, opening.tools]), request.mode, request.flagged)
        ids = self._rendered.get(key)
        if ids is None:
            if len(self._rendered) >= PROMPTS_REMEMBERED:
                self._rendered.clear()
            self._turns.prove(request.problem.id, opening.messages, opening.tools)
            ids = self._rendered[key] = render_prompt(
                self.tokenizer, opening.messages, request.mode, flagged=request.flagged, tools=opening.tools
            )
        return ids

    def _round(self, episodes: dict[int, Episode], settings: SamplingSettings) -> Iterator[tuple[int, bool]]:
        """Sample a turn of each episode; whether each goes on, as soon as its environment has answered."""
        stepped: dict[int, Future[list[Message]]] = {}
        numbers = list(episodes)
        for place, made in self.sampler.generate([one.next_turn() for one in episodes.values()], settings):
            index, episode = numbers[place], episodes[numbers[place]]
            episode.generations.append(made)
            if made.stop_reason != "end" or episode.ends_with_its_answer:
                yield index, False
                continue
            stepped[index] = self._threads.submit(episode.step, as_message(made.text))
            for done in [one for one, future in stepped.items() if future.done()]:
                yield done, self._goes_on(episodes[done], stepped.pop(done).result())
        for index, future in stepped.items():
            yield index, self._goes_on(episodes[index], future.result())

    def _goes_on(self, episode: Episode, said: list[Message]) -> bool:
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
