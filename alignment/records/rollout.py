"""rollouts.jsonl: a sample of each step's completions, with their verdicts.

Neighbours: rollout/scoring.py (makes a row of a judged completion), training/kinds/sample.py (keeps its chunks as such).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from alignment.core.typed_json import Json
from alignment.core.vocabulary import Mode
from alignment.records.file_record import LineRecord


@dataclass(frozen=True)
class VerdictRecord:
    """What one verifier found of one completion."""

    score: Annotated[float | None, "from 0 to 1; null where it could not judge"]
    reason: Annotated[str, "why"] = ""


@dataclass(frozen=True)
class OpeningRecord:
    """What a rollout began with."""

    messages: Annotated[tuple[Mapping[str, Json], ...], "the messages of the first prompt"]
    tools: Annotated[tuple[Mapping[str, Json], ...], "the tools that it offered"] = ()


@dataclass(frozen=True)
class WeightSpan:
    """Tokens of a completion that the same weights sampled; it ends where the next one begins."""

    first_token: Annotated[int, "the place of its first token, from 0"]
    staleness: Annotated[int, "steps by which the weights that sampled it are older than those that it trains"]


@dataclass(frozen=True)
class RolloutRow(LineRecord):
    """One judged completion."""

    step: Annotated[int, "the optimizer step, or the chunk of a sample stage"]
    problem: Annotated[str, "the problem's id"]
    question: Annotated[str, "what was asked"]
    answer: Annotated[str, "the reference answer; empty where tests or constraints judge"]
    mode: Annotated[Mode, "the mode that was asked for"]
    budget: Annotated[int | None, "thinking tokens after which thinking was to be ended; null for none"]
    text: Annotated[str, "the completion as the engine decoded it; of several turns, the last"]
    completion_tokens: Annotated[int, "its length, all turns and tool results included"]
    thinking_tokens: Annotated[int, "the length of its thinking"]
    forced_tokens: Annotated[int, "tokens that a budget wrote in place of the policy"]
    stop_reason: Annotated[
        str, "`end`, `length` (tokens ran out), `turns` (turns did) or `fault` (the environment failed)"
    ]
    reward: Annotated[float | None, "the total; null where a weighted verdict could not be reached"]
    verdicts: Annotated[Mapping[str, VerdictRecord], "by verifier"] = field(default_factory=dict)
    messages: Annotated[
        tuple[Mapping[str, Json], ...], "of several turns: all after the prompt, tool calls and their results included"
    ] = ()
    opening: Annotated[OpeningRecord | None, "the prompt, where an environment made it another than the problem's"] = (
        None
    )
    staleness: Annotated[int, "steps by which its oldest weights are older than those that it trains"] = 0
    weight_spans: Annotated[tuple[WeightSpan, ...], "each span, where it went on over a change of weights"] = ()


@dataclass(frozen=True)
class PassRate(LineRecord):
    """How often one problem of a sample stage was solved: a line of output/pass_rates.jsonl."""

    problem: Annotated[str, "the problem's id"]
    pass_rate: Annotated[float, "fraction of its completions that were accepted"]
