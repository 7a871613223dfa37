"""Guided decoding: step-level beam search and best of N, in which scores of steps decide what an answer becomes.

Searches of many problems advance together, so that an engine is kept busy: a round samples the next step of every
unfinished answer, and scores all of them in one pass. Neighbours: sampler.py (plain rollouts),
inference/process_model.py (what scores), recipe/blocks/search.py (the settings).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from alignment.core.errors import DataError
from alignment.data.rows import Message
from alignment.inference.engine import Generation, GenerationRequest, SamplingSettings, request_seed
from alignment.inference.process_model import Solution, StepModel
from alignment.inference.sampler import joined
from alignment.recipe.blocks.process import aggregated
from alignment.recipe.blocks.search import SEARCHED_BY, BeamSearch, BestOfN
from alignment.rollout.environments.protocol import Opening
from alignment.rollout.episode import RolloutRequest
from alignment.rollout.sampler import TrajectorySampler
from alignment.rollout.trajectory import Trajectory, one_turn
from rewards import Verdict
from rewards.contract import THINK_CLOSE, THINK_OPEN

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

VERDICT = "process"  # the name of a search's score among the verdicts
UNSCORED = -1.0  # of an answer without steps, or too long to be scored: below every score


@dataclass(frozen=True)
class Found:
    """The answer that a search took. score: the aggregate of its steps, None without any; tokens: sampled in all for it."""

    trajectory: Trajectory
    score: float | None
    tokens: int

    @property
    def verdict(self) -> Verdict:
        """The score as it stands beside the verifiers' verdicts."""
        return Verdict(self.score, "no_steps" if self.score is None else "scored", {"sampled_tokens": self.tokens})


@dataclass(frozen=True)
class _Partial:
    """An answer so far. closed: it has ended, or has no tokens left. rank: what it is compared by."""

    made: Generation
    closed: bool = False
    rank: tuple[float, float] = (UNSCORED, UNSCORED)


class GuidedSampler:
    """Answers problems in one turn by a search. Raises DataError if its steps cannot be sampled one at a time.

    The trajectories' engine and the model stay their owners'.
    """

    def __init__(
        self,
        trajectories: TrajectorySampler,
        model: StepModel,
        search: BeamSearch | BestOfN,
        max_completion_tokens: int,
    ) -> None:
        self._trajectories, self._model, self._search = trajectories, model, search
        self._most, self._breaks = max_completion_tokens, tuple[int, ...]()
        if isinstance(search, BeamSearch):
            if model.rule.by not in SEARCHED_BY:
                raise DataError(
                    f"{model.name} has steps by {model.rule.by}, which are known in a whole answer alone; beam search needs "
                    f"steps by {' or '.join(SEARCHED_BY)}: write `type: best_of`, or another model"
                )
            self._breaks = line_break_ids(trajectories.tokenizer)

    def sample(self, requests: Sequence[RolloutRequest], settings: SamplingSettings) -> list[Found]:
        """One answer for each request, in order; the same for the same weights, requests and settings."""
        if isinstance(self._search, BestOfN):
            return self._best_of(self._search.answers, requests, settings)
        return self._beam(self._search, requests, settings)

    def _best_of(self, answers: int, requests: Sequence[RolloutRequest], settings: SamplingSettings) -> list[Found]:
        asked = [
            replace(one, seed=request_seed(one.seed, "answer", number)) for one in requests for number in range(answers)
        ]
        made = self._trajectories.sample(asked, settings)
        ranks = self._ranks([(list(one.opening.messages), one.prompt_ids, one.text) for one in made])
        found = []
        for start in range(0, len(made), answers):
            group = range(start, start + answers)
            best = max(group, key=lambda place: (made[place].stop_reason == "end", ranks[place]))
            tokens = sum(made[place].policy_tokens for place in group)
            found.append(Found(made[best], _score(ranks[best]), tokens))
        return found

    def _beam(self, search: BeamSearch, requests: Sequence[RolloutRequest], settings: SamplingSettings) -> list[Found]:
        kept = [[_Partial(_nothing(self._root(one)))] for one in requests]
        tokens, round_ = [0] * len(requests), 0
        while any(not one.closed for partials in kept for one in partials):
            numbers, begun = _expanded(kept, search, requests, round_)
            made = self._next_steps([one for one, _ in begun], [seed for _, seed in begun], settings)
            for number, (before, _), after in zip(numbers, begun, made, strict=True):
                tokens[number] += len(after.token_ids) - len(before.token_ids)
            once = {(number, tuple(one.token_ids)): one for number, one in zip(numbers, made, strict=True)}
            scored = self._scored([requests[number] for number, _ in once], list(once.values()))
            candidates = [[one for one in partials if one.closed] for partials in kept]
            for (number, _), one in zip(once, scored, strict=True):
                candidates[number].append(one)
            kept = [_highest(one, search.beams) for one in candidates]
            round_ += 1
        best = [max(partials, key=lambda one: (one.made.stop_reason == "end", one.rank)) for partials in kept]
        return [
            Found(
                one_turn(Opening(asked.problem.messages, asked.problem.tools), one.made),
                _score(one.rank),
                tokens[number],
            )
            for number, (asked, one) in enumerate(zip(requests, best, strict=True))
        ]

    def _root(self, asked: RolloutRequest) -> GenerationRequest:
        prompt_ids = self._trajectories.prompt_ids(asked.problem, asked.mode, flagged=asked.flagged)
        return GenerationRequest(prompt_ids, asked.mode, None, self._most, asked.seed)

    def _next_steps(
        self, begun: Sequence[Generation], seeds: Sequence[int], settings: SamplingSettings
    ) -> list[Generation]:
        """Each answer with its next piece, up to where a step may end. A blank line may be several tokens, and rounds."""
        sampler, going, part = self._trajectories.sampler, list(enumerate(begun)), 0
        found = list(begun)
        while going:
            asked = [self._request(one, request_seed(seeds[place], part)) for place, one in going]
            following = []
            for index, more in sampler.generate(asked, settings):
                place, before = going[index]
                whole = sampler.finished(joined(before, more))
                found[place] = whole
                written = whole.text[len(begun[place].text) :]
                if whole.stop_reason != "end" and self._left(whole) and not self._model.rule.ends(written):
                    following.append((place, whole))
            going, part = sorted(following, key=lambda pair: pair[0]), part + 1
        return found

    def _request(self, begun: Generation, seed: int) -> GenerationRequest:
        root, ids = begun.request, begun.token_ids
        return GenerationRequest(root.prompt_ids + ids, root.mode, None, root.max_tokens - len(ids), seed, self._breaks)

    def _left(self, made: Generation) -> int:
        return made.request.max_tokens - len(made.token_ids)

    def _scored(self, requests: Sequence[RolloutRequest], made: Sequence[Generation]) -> list[_Partial]:
        asked = [
            (one.problem.messages, after.request.prompt_ids, after.text)
            for one, after in zip(requests, made, strict=True)
        ]
        return [
            _Partial(one, one.stop_reason == "end" or not self._left(one), rank)
            for one, rank in zip(made, self._ranks(asked), strict=True)
        ]

    def _ranks(self, asked: Sequence[tuple[list[Message], list[int], str]]) -> list[tuple[float, float]]:
        """The aggregate of each answer's step scores, and the last step's where answers agree in it: messages, prompt, text.

        Under `minimum`, answers that share their worst step do agree.
        """
        scores = self._model.scores([self._solution(*one) for one in asked])
        how = self._search.process.aggregate
        return [
            (UNSCORED, UNSCORED) if not one or (number := aggregated(one, how)) is None else (number, one[-1])
            for one in scores
        ]

    def _solution(self, messages: list[Message], prompt_ids: list[int], text: str) -> Solution:
        found = Solution.of([dict(one) for one in messages], text, self._model.rule.split(text))
        if THINK_OPEN not in text and THINK_CLOSE not in text:
            prompt = self._trajectories.tokenizer.decode(prompt_ids[-8:])
            if prompt.rstrip().endswith(THINK_OPEN):  # the prompt has opened a block that is not closed so far
                return replace(found, thinking_steps=len(found.steps))
        return found


def line_break_ids(tokenizer: "PreTrainedTokenizerBase") -> tuple[int, ...]:
    """The tokens whose text has a line break: after one of them a step may have ended. Special tokens are none."""
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    texts = tokenizer.batch_decode([[number] for number in range(len(tokenizer))])
    return tuple(number for number, text in enumerate(texts) if "\n" in text and number not in special)


def _nothing(request: GenerationRequest) -> Generation:
    return Generation(request, [], [], [], "length")


def _expanded(
    kept: Sequence[Sequence[_Partial]], search: BeamSearch, requests: Sequence[RolloutRequest], round_: int
) -> tuple[list[int], list[tuple[Generation, int]]]:
    """What is sampled in a round: the request of each, and the answer so far with a seed of its own.

    Every unfinished answer is continued as often as the others, and those that were kept for want of others more often.
    """
    numbers, begun = [], []
    for number, partials in enumerate(kept):
        unfinished = [one for one in partials if not one.closed]
        finished = len(partials) - len(unfinished)
        candidates = (search.beams - finished) * search.expansions
        for place in range(candidates if unfinished else 0):
            numbers.append(number)
            seed = request_seed(requests[number].seed, "beam", round_, place)
            begun.append((unfinished[place % len(unfinished)].made, seed))
    return numbers, begun


def _highest(candidates: Iterable[_Partial], beams: int) -> list[_Partial]:
    """The candidates of highest rank; of equal ones the earlier."""
    return sorted(candidates, key=lambda one: one.rank, reverse=True)[:beams]


def _score(rank: tuple[float, float]) -> float | None:
    return None if rank[0] == UNSCORED else rank[0]
