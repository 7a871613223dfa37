"""From a solution in steps to the tokens that a process reward model reads, for training and for scoring alike.

The prompt is rendered by the chat template, as for a policy; each step's text is followed by the step token, at which
its score is read. The step token stands in the place of the line break. Neighbours: template.py (prompts), data/rows.py
(Stepwise).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alignment.core.errors import DataError
from alignment.data.chat.template import inert, render_prompt
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


def render_steps(
    tokenizer: "PreTrainedTokenizerBase",
    prompt: list[Message],
    steps: Sequence[str],
    step_id: int,
    thinking_steps: int = 0,
) -> RenderedSteps:
    """A prompt and its solution, in the think block that a policy writes around the first `thinking_steps` steps.

    A policy that reads its thinking outside the block knows much less about it. Special tokens are taken out of the steps,
    so that none can pass for the step token.
    """
    ids = render_prompt(tokenizer, prompt, "thinking", flagged=False)
    opens = bool(thinking_steps) and not tokenizer.decode(ids).rstrip().endswith(THINK_OPEN)
    texts = [inert(step, tokenizer) for step in steps]
    # One call for all pieces: a call of its own for each takes longer than the pieces do.
    encoded = tokenizer([f"{THINK_OPEN}\n", f"{THINK_CLOSE}\n\n", *texts], add_special_tokens=False)["input_ids"]
    (opening, closing), pieces = encoded[:2], encoded[2:]
    begins = len(ids)
    ids += opening if opens else []
    positions = []
    for place, piece in enumerate(pieces):
        if place and place == thinking_steps:
            ids += closing
        ids += piece
        positions.append(len(ids))
        ids.append(step_id)
    return RenderedSteps(ids, positions, begins)
