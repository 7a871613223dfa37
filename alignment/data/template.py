"""From rows to tokens: the chat template, the mode's switch, and which tokens carry loss.

One renderer for training, rollouts and evaluation, so that the three cannot disagree. The template marks what the
assistant wrote (`{% generation %}`); everything else never carries loss.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alignment.core.errors import DataError
from alignment.core.vocabulary import Mode
from alignment.data.modes import flagged_mode, with_flag
from alignment.data.rows import Conversation, Message, Preference, ToolSchema

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SAMPLED = "[what was sampled]"  # stands for a turn whose tokens are there already
IGNORED = -100  # the label that torch's cross entropy leaves out
_GENERATION = re.compile(r"\{%-?\s*generation\b")


@dataclass(frozen=True)
class Rendered:
    """One training row: token ids, and labels that are IGNORED wherever a token carries no loss."""

    input_ids: list[int]
    labels: list[int]

    @property
    def trained_tokens(self) -> int:
        """Number of tokens that carry loss."""
        return sum(label != IGNORED for label in self.labels)


def render_prompt(
    tokenizer: "PreTrainedTokenizerBase",
    messages: list[Message],
    mode: Mode,
    *,
    flagged: bool,
    tools: Sequence[ToolSchema] = (),
) -> list[int]:
    """Token ids of a prompt that asks for a mode: the whole conversation so far, and the tools that may be called.

    flagged: ask by `/think` or `/no_think` in the last user turn, and leave opening the think block to the policy.
    Otherwise by the template's own switch, which for non-thinking writes the empty think block itself.
    """
    if flagged:
        messages = with_flag(messages, mode)
    return list(
        tokenizer.apply_chat_template(
            messages,
            tools=list(tools) or None,
            add_generation_prompt=True,
            enable_thinking=flagged or mode == "thinking",
            tokenize=True,
            return_dict=False,
        )
    )


def render_continuation(
    tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message], *, thinks: bool
) -> list[int]:
    """Token ids of what stands between a sampled turn and the next: other turns' messages and the header of the answer.

    The text is the template's, and is put into tokens by itself. The turn before it ends with the tokenizer's eos token,
    a token of its own, so that its ids followed by these are the ids of the whole text; what was sampled is never decoded
    and encoded again. Earlier turns stay as they were sampled, thinking included, where a template that renders the whole
    conversation again may cut it. Messages have to be inert (see `inert`).

    thinks: the template's `enable_thinking`, as in the prompt of the first turn.

    Raises DataError for a template that does not end an assistant turn with the eos token, or moves it.
    """
    stub: list[Message] = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _SAMPLED}]
    text = str(
        tokenizer.apply_chat_template(
            [*stub, *messages], tokenize=False, add_generation_prompt=True, enable_thinking=thinks
        )
    )
    ending = f"{_SAMPLED}{tokenizer.eos_token}"
    if text.count(_SAMPLED) != 1 or ending not in text:
        raise DataError(
            f"the chat template does not end an assistant turn with the eos token {tokenizer.eos_token}, so that a "
            "conversation cannot go on from sampled tokens; write `chat_template: qwen3` at the top of the recipe"
        )
    return list(tokenizer(text.partition(ending)[2], add_special_tokens=False)["input_ids"])


def inert(text: str, tokenizer: "PreTrainedTokenizerBase") -> str:
    """A text without the tokenizer's own marks: with them in a history, a policy or a tool could speak as the user."""
    added = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    marks = {*tokenizer.all_special_tokens, *added} - {""}
    while any(mark in text for mark in marks):  # what is left of two may make a third
        for mark in marks:
            text = text.replace(mark, "")
    return text


def render_conversation(
    tokenizer: "PreTrainedTokenizerBase",
    conversation: Conversation,
    *,
    loss_on_empty_think: bool = False,
    loss_on_history: bool = False,
) -> Rendered:
    """Token ids and labels of a conversation.

    loss_on_empty_think: where the row is flagged /no_think, its empty think block carries loss, because there the
    policy has to write the block itself. Unflagged rows get the block from the template's switch and never train it.
    """
    if not marks_generation(tokenizer):
        raise DataError(
            "the model's chat template does not mark what the assistant wrote ({% generation %}), so the loss cannot be "
            "masked; write `chat_template: qwen3` at the top of the recipe for models with ChatML tokens"
        )
    rendered = labelled(
        tokenizer, conversation, loss_on_empty_think=loss_on_empty_think, loss_on_history=loss_on_history
    )
    if not rendered.trained_tokens:
        raise DataError(
            f"conversation {conversation.id} has no token that carries loss: does it end with an assistant turn?"
        )
    return rendered


def marks_generation(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether the chat template marks what the assistant wrote; `add_generation_prompt` is not such a mark."""
    return _GENERATION.search(str(tokenizer.chat_template)) is not None


def template_switches(
    conversation: Conversation, *, loss_on_empty_think: bool = False, loss_on_history: bool = False
) -> dict[str, bool]:
    """What the template is told about the loss of a conversation."""
    asked = flagged_mode(conversation.messages)
    return {
        "train_empty_think": loss_on_empty_think and asked == "non_thinking",
        "train_history": loss_on_history,
    }


def labelled(
    tokenizer: "PreTrainedTokenizerBase",
    conversation: Conversation,
    *,
    loss_on_empty_think: bool = False,
    loss_on_history: bool = False,
) -> Rendered:
    """A conversation as render_conversation has it, whether or not anything in it carries loss."""
    switches = template_switches(conversation, loss_on_empty_think=loss_on_empty_think, loss_on_history=loss_on_history)
    encoded = tokenizer.apply_chat_template(
        conversation.messages,
        tools=conversation.tools or None,
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
        **switches,
    )
    ids, mask = list(encoded["input_ids"]), encoded["assistant_masks"]
    return Rendered(ids, [token if trained else IGNORED for token, trained in zip(ids, mask, strict=True)])


def render_preference(tokenizer: "PreTrainedTokenizerBase", pair: Preference) -> dict[str, str]:
    """The text of prompt, chosen and rejected answer; TRL's DPO trainer puts it into tokens."""
    # A flagged prompt leaves the think block to the policy, so the block is part of the answer there.
    thinks = pair.mode == "thinking" or flagged_mode(pair.prompt) is not None
    tools = pair.tools or None
    prompt = tokenizer.apply_chat_template(
        pair.prompt, tools=tools, tokenize=False, add_generation_prompt=True, enable_thinking=thinks
    )
    sides = {"prompt": prompt}
    for name, answer in (("chosen", pair.chosen), ("rejected", pair.rejected)):
        whole = tokenizer.apply_chat_template([*pair.prompt, answer], tools=tools, tokenize=False)
        if not whole.startswith(prompt):
            raise DataError(f"preference {pair.id}: its {name} answer does not continue its prompt")
        end = whole.rindex(tokenizer.eos_token) + len(tokenizer.eos_token)
        sides[name] = whole[len(prompt) : end]
    return sides
