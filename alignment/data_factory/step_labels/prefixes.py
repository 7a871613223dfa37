"""Completes prefixes of solutions with an engine and judges what comes of them: the answers to a labelling's asks.

A prefix is the prompt's tokens and the solution's own up to the end of a step; it is never decoded and encoded again.
The completions of one prefix are equal requests but for their seeds, so that engines read the prefix once; what two
solutions ask for alike at the same time is sampled once. Neighbours: labelling.py (asks), rollout/scoring.py
(verdicts).
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from alignment.data.steps.definition import Step, StepRule, token_ends
from alignment.data_factory.step_labels.labelling import Ask, Verdicts
from alignment.inference.engine import Generation, GenerationRequest, SamplingSettings, request_seed
from alignment.inference.sampler import Sampler
from alignment.rollout.scoring import Judged, Scorer
from alignment.rollout.trajectory import one_turn


@dataclass(frozen=True)
class Trace:
    """One judged solution of a single turn with its steps, and where they end in its tokens."""

    judged: Judged
    steps: list[Step]
    ends: list[int]
    right: bool
    reached: int = 0  # how many of its first steps a right solution of its problem has too
    states: Sequence[str | None] = ()  # of a program that was run: the values of its names after each step

    @classmethod
    def of(cls, judged: Judged, rule: StepRule, sampler: Sampler, *, right: bool) -> "Trace":
        """The trace of a judged solution."""
        made = judged.trajectory
        steps = rule.split(made.text)
        return cls(judged, steps, token_ends(sampler.tokenizer, made.token_ids, [one.end for one in steps]), right)

    def prefix_ids(self, steps: int) -> list[int]:
        """The tokens of the first so many steps, after the prompt."""
        return self.judged.trajectory.token_ids[: self.ends[steps - 1]] if steps else []


def with_reached(traces: Sequence[Trace]) -> list[Trace]:
    """The traces with `reached`: a right solution is a completion of every prefix that it begins with."""
    leading = {
        (one.judged.problem.id, tuple(one.prefix_ids(count)))
        for one in traces
        if one.right
        for count in range(1, len(one.steps))
    }
    found = []
    for one in traces:
        known = [(one.judged.problem.id, tuple(one.prefix_ids(count))) in leading for count in range(1, len(one.steps))]
        found.append(replace(one, reached=known.index(False) if False in known else len(known)))
    return found


@dataclass
class Cost:
    """What labelling has cost so far."""

    completions: int = 0
    tokens: int = 0

    def add(self, generations: Sequence[Generation]) -> None:
        """Count completions and the tokens that were sampled for them."""
        self.completions += len(generations)
        self.tokens += sum(len(one.token_ids) for one in generations)


class Prefixes:
    """Answers the asks of labellings of some traces. right: whether a judged completion has reached the answer."""

    def __init__(
        self,
        sampler: Sampler,
        scorer: Scorer,
        settings: SamplingSettings,
        max_completion_tokens: int,
        right: Callable[[Judged], bool | None],
    ) -> None:
        self.sampler, self.right, self._scorer = sampler, right, scorer
        self._settings = replace(settings, logprobs=False)
        self._most, self.cost = max_completion_tokens, Cost()

    def at(self, temperature: float | None) -> "Prefixes":
        """These prefixes, completed at another temperature; what they cost is counted together. None: as they are."""
        if temperature is None:
            return self
        found = copy.copy(self)
        found._settings = replace(self._settings, temperature=temperature)  # noqa: SLF001  a copy of the same class
        return found

    def answer(self, traces: Sequence[Trace], asked: Sequence[tuple[int, Ask]], seed: int) -> list[Verdicts]:
        """The verdicts of each ask's completions. asked: `(number of a trace, what is asked)`."""
        requests = [
            self._request(traces[number], ask, completion, seed)
            for number, ask in asked
            for completion in range(ask.first, ask.first + ask.count)
        ]
        # Solutions that begin alike ask for the same: the same prefix with the same seed, which is sampled once.
        asked_for = {_known_by(one): one for one in requests if one.max_tokens > 0}
        made = self.sampler.sample(list(asked_for.values()), self._settings)
        self.cost.add(made)
        generations = dict(zip(asked_for, made, strict=True))
        places = [traces[number] for number, ask in asked for _ in range(ask.count)]
        whole = [
            _whole(trace, request, generations[_known_by(request)], self.sampler) if request.max_tokens > 0 else None
            for trace, request in zip(places, requests, strict=True)
        ]
        judged = iter(self._judge(places, whole))
        verdicts = [None if one is None else self.right(next(judged)) for one in whole]
        # A prefix that leaves no token to continue with reaches nothing.
        found = iter([False if one is None else verdict for one, verdict in zip(whole, verdicts, strict=True)])
        return [[next(found) for _ in range(ask.count)] for _, ask in asked]

    def _judge(self, traces: Sequence[Trace], whole: Sequence[Generation | None]) -> list[Judged]:
        pairs = [(trace, made) for trace, made in zip(traces, whole, strict=True) if made is not None]
        opened = [one_turn(trace.judged.trajectory.opening, made) for trace, made in pairs]
        return self._scorer.judge([trace.judged.problem for trace, _ in pairs], opened)

    def _request(self, trace: Trace, ask: Ask, completion: int, seed: int) -> GenerationRequest:
        made = trace.judged.trajectory
        prefix = trace.prefix_ids(ask.steps)
        return GenerationRequest(
            prompt_ids=made.prompt_ids + prefix,
            mode=made.mode,
            max_tokens=self._most - len(prefix),
            # By what is completed and not by whose it is: two solutions that begin alike have the same labels there.
            seed=request_seed("label", seed, *made.prompt_ids, "then", *prefix, completion),
        )


def _known_by(request: GenerationRequest) -> tuple[int, ...]:
    return (request.seed, *request.prompt_ids)


def _whole(trace: Trace, request: GenerationRequest, made: Generation, sampler: Sampler) -> Generation:
    """A completion with its prefix, as if it had been sampled from the prompt in one piece."""
    prompt = trace.judged.trajectory.prompt_ids
    ids = request.prompt_ids[len(prompt) :] + made.token_ids
    ended = ids[:-1] if made.stop_reason == "end" else ids
    text = sampler.tokenizer.decode(ended, skip_special_tokens=False)
    blank = [0.0] * len(ids)
    return replace(
        made,
        request=replace(request, prompt_ids=prompt),
        token_ids=ids,
        logprobs=blank,
        forced=[False] * len(ids),
        text=text,
    )
