"""Which of two answers is better, asked in both orders, many pairs at once.

A verdict that turns with the order is one on the order, and counts as a tie; `a_first` and `b_first` in the evidence keep both, so
that a position bias can be measured. Neighbours: verifier.py (`Judge.compare_pairs`), forms.py (`pair_form`), prompt.py (fences).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rewards.kinds.judge.endpoint import Endpoint, Reply, Request
from rewards.kinds.judge.forms import pair_form
from rewards.kinds.judge.options import JudgeOptions
from rewards.kinds.judge.prompt import Part, TooLong, build, prompt_text

Prompt = str | list[dict[str, Any]]
Winner = Literal["a", "b", "tie"]
NAMES: tuple[Mapping[str, Winner], ...] = (
    {"response_1": "a", "response_2": "b"},
    {"response_1": "b", "response_2": "a"},
)  # of the responses in the first order and in the second


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt."""

    prompt: Prompt
    a: str
    b: str


@dataclass(frozen=True)
class PairVerdict:
    """Which of two answers is better: `a`, `b` or `tie`; None when it could not be judged."""

    winner: Winner | None
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


def compared(endpoint: Endpoint, options: JudgeOptions, pairs: Sequence[Pair]) -> list[PairVerdict]:
    """One verdict per pair, in order; at most `concurrency` questions are under way at a time."""
    asked = [_questions(options, pair) for pair in pairs]
    replies = iter(endpoint.ask([one for found in asked if not isinstance(found, PairVerdict) for one in found[0]]))
    said = {"model": endpoint.model, "form": "pair"}
    return [
        found if isinstance(found, PairVerdict) else _verdict([next(replies), next(replies)], {**said, **found[1]})
        for found in asked
    ]


def _questions(options: JudgeOptions, pair: Pair) -> tuple[list[Request], Mapping[str, Any]] | PairVerdict:
    """Both orders of a pair, and what was sent; or why it cannot be asked about."""
    form, requests, facts = pair_form(), list[Request](), dict[str, Any]()
    form = form if options.reasoning else form.without_reasoning()
    for first, second in ((pair.a, pair.b), (pair.b, pair.a)):
        parts = [Part("QUESTION", prompt_text(pair.prompt)), Part("RESPONSE_1", first), Part("RESPONSE_2", second)]
        try:
            built = build(form.task, parts, form.reply, options.max_characters)
        except TooLong as error:
            return PairVerdict(None, "too_long", {"part": str(error).lower()})
        requests.append(Request(built.messages, form.schema, form.read, built.marker))
        facts = dict(built.facts)
    return requests, facts


def _verdict(replies: Sequence[Reply], said: Mapping[str, Any]) -> PairVerdict:
    """What both orders say together."""
    failed = next((one for one in replies if one.value is None), None)
    if failed is not None:
        return PairVerdict(None, failed.reason, {**said, **failed.facts})
    first, second = (named.get(str(one.value["better"]), "tie") for named, one in zip(NAMES, replies, strict=True))
    evidence = {**said, "a_first": first, "b_first": second}
    if first != second:
        return PairVerdict("tie", "orders_disagree", evidence)
    return PairVerdict(first, "orders_agree", evidence)
