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
from alignment.data.chat.modes import flagged_mode, with_flag
from alignment.data.chat.turn_end import ANSWER, turn_end
from alignment.data.rows import Conversation, Message, Preference, ToolSchema

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

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
    return render_prompts(tokenizer, [messages], mode, flagged=flagged, tools=tools)[0]


def render_prompts(
    tokenizer: "PreTrainedTokenizerBase",
    conversations: Sequence[list[Message]],
    mode: Mode,
    *,
    flagged: bool,
    tools: Sequence[ToolSchema] = (),
) -> list[list[int]]:
    """Token ids of each prompt, as `render_prompt` gives it; in one call."""
    asked = [with_flag(one, mode) for one in conversations] if flagged else list(conversations)
    found = tokenizer.apply_chat_template(
        asked,
        tools=list(tools) or None,
        add_generation_prompt=True,
        enable_thinking=flagged or mode == "thinking",
        tokenize=True,
        return_dict=False,
    )
    return [list(one) for one in found]


def render_continuation(
    tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message], *, thinks: bool
) -> list[int]:
    """Token ids of what stands between a sampled turn and the next: other turns' messages and the header of the answer.

    The text is the template's, and is put into tokens by itself. The turn before it ends with a token of its own, so that its ids followed by these are the ids of the whole text; what was sampled is never decoded
    and encoded again. Earlier turns stay as they were sampled, thinking included, where a template that renders the whole
    conversation again may cut it. Messages have to be inert (see `inert`).

    thinks: the template's `enable_thinking`, as in the prompt of the first turn.

    Raises DataError for a template that does not end an assistant turn with a token, or moves it.
    """
    stub: list[Message] = [{"role": "user", "content": "?"}, {"role": "assistant", "content": ANSWER}]
    text = str(
        tokenizer.apply_chat_template(
            [*stub, *messages], tokenize=False, add_generation_prompt=True, enable_thinking=thinks
        )
    )
    end, following = turn_end(tokenizer), text.partition(ANSWER)[2].lstrip()
    if end is None or text.count(ANSWER) != 1 or not following.startswith(end):
        raise DataError(
            "the chat template does not end an assistant turn with a token, so that a conversation cannot go on from "
            "sampled tokens; write `chat_template: qwen3` at the top of the recipe"
        )
    return _ids(tokenizer, following.removeprefix(end))


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
    return marks_loss(str(tokenizer.chat_template))


def marks_loss(template: str) -> bool:
    """Whether a template's text has `{% generation %}`."""
    return _GENERATION.search(template) is not None


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


@dataclass(frozen=True)
class RenderedPair:
    """Token ids of a preference: the prompt as a rollout begins with it, and two answers, each with the end of its turn."""

    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]

    @property
    def longest(self) -> int:
        """Tokens of the prompt and the longer answer."""
        return len(self.prompt_ids) + max(len(self.chosen_ids), len(self.rejected_ids))


def render_preference(tokenizer: "PreTrainedTokenizerBase", pair: Preference) -> RenderedPair:
    """A preference as token ids. The prompt's are exactly those of `render_prompt`; answers follow it as if sampled.

    Raises DataError for an answer that does not continue the prompt, or a template whose turns end with no token.
    """
    # A flagged prompt leaves the think block to the policy, so the block is part of the answer there.
    thinks = pair.mode == "thinking" or flagged_mode(pair.prompt) is not None
    tools = pair.tools or None
    prompt = str(
        tokenizer.apply_chat_template(
            pair.prompt, tools=tools, tokenize=False, add_generation_prompt=True, enable_thinking=thinks
        )
    )
    end = turn_end(tokenizer)
    if end is None:
        raise DataError(
            "the chat template ends an assistant turn with no token, so an answer would never end; write "
            "`chat_template: qwen3` at the top of the recipe"
        )
    sides = []
    for name, answer in (("chosen", pair.chosen), ("rejected", pair.rejected)):
        whole = str(tokenizer.apply_chat_template([*pair.prompt, answer], tools=tools, tokenize=False))
        if not whole.startswith(prompt) or end not in whole[len(prompt) :]:
            raise DataError(f"preference {pair.id}: its {name} answer does not continue its prompt")
        if str(answer.get("reasoning_content") or "").strip() not in whole:
            raise DataError(
                f"preference {pair.id}: the chat template drops the thinking of its {name} answer; write a `chat_template` "
                "that renders reasoning_content, such as those of data/templates/"
            )
        sides.append(whole[: whole.rindex(end) + len(end)])
    prompt_ids = _ids(tokenizer, prompt)
    chosen_ids, rejected_ids = (_following(tokenizer, side, prompt, prompt_ids) for side in sides)
    return RenderedPair(prompt_ids, chosen_ids, rejected_ids)


def _following(tokenizer: "PreTrainedTokenizerBase", whole: str, prompt: str, prompt_ids: list[int]) -> list[int]:
    """Token ids of what follows a prompt: a policy samples them after the prompt's, so none begins within it."""
    ids = _ids(tokenizer, whole)
    if ids[: len(prompt_ids)] == prompt_ids:
        return ids[len(prompt_ids) :]
    return _ids(tokenizer, whole[len(prompt) :])


def _ids(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """Token ids of rendered text, whose template has written all that begins a text."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
