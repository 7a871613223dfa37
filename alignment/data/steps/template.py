"""From a solution in steps to the tokens that a process reward model reads, for training and for scoring alike.

The prompt is rendered by the chat template, as for a policy; each step's text is followed by the step token, at which
its score is read. The step token stands in the place of the line break. Neighbours: template.py (prompts), data/rows.py
(Stepwise).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from alignment.core.errors import DataError
from alignment.data.chat.template import inert, render_prompts
from alignment.data.rows import Message
from rewards.contract import THINK_CLOSE, THINK_OPEN

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class RenderedSteps:
    """Token ids of a prompt with its solution, the position of the step token of each step, and where the solution begins."""

    input_ids: list[int]
    positions: list[int]
    begins: int = 0


def step_token_id(tokenizer: "PreTrainedTokenizerBase", step_token: str) -> int:
    """The id of the step token. Raises DataError if the tokenizer has it not as one token."""
    ids = tokenizer(step_token, add_special_tokens=False)["input_ids"]
    if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
        raise DataError(f"the tokenizer has no single token {step_token!r}, at which the scores of steps are read")
    return int(ids[0])


class SolutionInSteps(Protocol):
    """A prompt and the steps that answer it, the first `thinking_steps` of which are in a think block."""

    @property
    def prompt(self) -> list[Message]:
        """The conversation before the solution."""
        ...

    @property
    def steps(self) -> Sequence[str]:
        """The texts of the steps."""
        ...

    @property
    def thinking_steps(self) -> int:
        """How many of them are in the think block."""
        ...


def render_steps(
    tokenizer: "PreTrainedTokenizerBase", solutions: Sequence[SolutionInSteps], step_id: int
) -> list[RenderedSteps]:
    """Prompts and their solutions, each in the think block that a policy writes around its thinking steps.

    A policy that reads its thinking outside the block knows much less about it. Special tokens are taken out of the steps,
    so that none can pass for the step token. The tokenizer is called once for all pieces: a call of its own for each takes
    longer than the pieces do, and for a small model as long as its scores.
    """
    if not solutions:
        return []
    texts = [inert(step, tokenizer) for one in solutions for step in one.steps]
    encoded = tokenizer([f"{THINK_OPEN}\n", f"{THINK_CLOSE}\n\n", *texts], add_special_tokens=False)["input_ids"]
    (opening, closing), pieces = encoded[:2], iter(encoded[2:])
    prompts = render_prompts(tokenizer, [one.prompt for one in solutions], "thinking", flagged=False)
    rendered = []
    for ids, one in zip(prompts, solutions, strict=True):
        opens = bool(one.thinking_steps) and not tokenizer.decode(ids).rstrip().endswith(THINK_OPEN)
        begins, positions = len(ids), []
        ids += opening if opens else []
        for place in range(len(one.steps)):
            if place and place == one.thinking_steps:
                ids += closing
            ids += next(pieces)
            positions.append(len(ids))
            ids.append(step_id)
        rendered.append(RenderedSteps(ids, positions, begins))
    return rendered
