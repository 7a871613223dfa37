"""Faults of the chat template or the tokenizer, which affect every row. One function per fault.

Neighbours: views.py, loss_faults.py, settings.py (loads a model's templates).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from alignment.lint.findings import Finding, Intent, Severity
from alignment.lint.loss_faults import unfinished
from alignment.lint.views import View, Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

USER = {"role": "user", "content": "What is 1 + 2?"}
CALL = {"type": "function", "function": {"name": "add", "arguments": {"a": 1, "b": 2}}}
# The chats on which two templates are compared: one for each thing in which templates are known to differ.
PROBES: dict[str, list[dict[str, Any]]] = {
    "a question": [USER],
    "thinking": [USER, {"role": "assistant", "reasoning_content": "1 + 2 = 3", "content": "3"}],
    "an answer without thinking": [USER, {"role": "assistant", "content": "3"}],
    "thinking in history": [
        USER,
        {"role": "assistant", "content": "<think>\neasy\n</think>\n\n3"},
        {"role": "user", "content": "And 2 + 2?"},
        {"role": "assistant", "reasoning_content": "also easy", "content": "4"},
    ],
    "a system turn": [{"role": "system", "content": "Be brief."}, USER],
    "tool turns": [
        USER,
        {"role": "assistant", "reasoning_content": "call it", "content": "", "tool_calls": [CALL, CALL]},
        {"role": "tool", "content": "3"},
        {"role": "assistant", "reasoning_content": "done", "content": "It is 3."},
    ],
}


@dataclass(frozen=True)
class Setting:
    """A tokenizer with its chat template, and the templates that its model folder holds."""

    tokenizer: "PreTrainedTokenizerBase"
    vocabulary: Vocabulary
    shipped: Mapping[str, str] = field(default_factory=dict)  # from file name to template
    replaced: bool = False  # the recipe's chat_template replaces the model's own


def no_generation_markers(setting: Setting, views: Sequence[View], intent: Intent) -> Iterator[Finding]:
    """A template without {% generation %}, so that the loss cannot be masked."""
    if intent.places_loss and not setting.vocabulary.marks_loss:
        yield Finding(
            "no_generation_markers",
            "error",
            None,
            "the chat template does not mark the assistant's text with {% generation %}, so no token can carry loss",
            "write chat_template: qwen3 in the recipe, or put {% generation %} … {% endgeneration %} around the answers",
        )


def templates_differ(setting: Setting, views: Sequence[View], intent: Intent) -> Iterator[Finding]:
    """Two templates in one model folder that render differently: engines differ in which one they read."""
    names = list(setting.shipped)
    for name in names[1:]:
        places = _differences(setting.tokenizer, setting.shipped[names[0]], setting.shipped[name])
        if places:
            yield Finding(
                "templates_differ",
                "error",
                None,
                f"{names[0]} and {name} render differently: {', '.join(places)}",
                f"remove chat_template from {name}; transformers reads {names[0]}",
            )


def template_replaced(setting: Setting, views: Sequence[View], intent: Intent) -> Iterator[Finding]:
    """A recipe's template that renders differently from the model's own."""
    if not setting.replaced or not setting.shipped:
        return
    name, own = next(iter(setting.shipped.items()))
    places = _differences(setting.tokenizer, own, setting.vocabulary.template)
    if places:
        yield Finding(
            "template_replaced",
            "note",
            None,
            f"the recipe's chat_template renders differently from the model's own {name}: {', '.join(places)}",
            "serve the output folders of the run, which hold the recipe's template",
        )


def no_end_of_turn(setting: Setting, views: Sequence[View], intent: Intent) -> Iterator[Finding]:
    """Answers that end with no token at which an engine could stop: it would write until the limit."""
    answered = [view for view in views if not view.case.is_prompt]
    ends = {setting.vocabulary.end, setting.vocabulary.eos} - {None}
    if answered and not any(str(end) in view.text[len(view.prompt) :] for view in answered for end in ends):
        yield Finding(
            "no_end_of_turn",
            "error",
            None,
            "no rendered answer ends with a token at which engines could stop: neither a token of the tokenizer nor its eos "
            f"token ({setting.vocabulary.eos})",
            "write chat_template: qwen3 in the recipe, or a token of the tokenizer after the answer in the template",
        )


def pad_is_end_of_turn(setting: Setting, views: Sequence[View], intent: Intent) -> Iterator[Finding]:
    """A pad token that also ends turns: masking padding by its id masks the end of every answer."""
    vocabulary = setting.vocabulary
    if vocabulary.pad_id is None or vocabulary.pad_id not in vocabulary.turn_end_ids:
        return
    masked = any(unfinished(view) is not None for view in views)
    severity: Severity = "error" if masked else "warning"
    yield Finding(
        "pad_is_end_of_turn",
        severity,
        None,
        "the pad token is the end-of-turn token"
        + (", and it carries no loss" if masked else "; collators that mask padding by its id mask the end of answers"),
        "set pad_token to another token, such as <|endoftext|>",
    )


def bos_added_again(setting: Setting, views: Sequence[View], intent: Intent) -> Iterator[Finding]:
    """A begin-of-text token written by the template and added by the tokenizer: tokenizing rendered text gives two."""
    bos = setting.vocabulary.bos_id
    if bos is None or not views or views[0].input_ids[:2] == [bos, bos]:
        return
    if list(setting.tokenizer(views[0].text)["input_ids"])[:2] == [bos, bos]:
        yield Finding(
            "double_bos",
            "warning" if intent.takes == "pairs" else "note",
            None,
            "rendered text that is tokenized in a second step begins with two begin-of-text tokens",
            "remove the token from the template, or tokenize with add_special_tokens=False everywhere",
        )


def _differences(tokenizer: "PreTrainedTokenizerBase", one: str, other: str) -> list[str]:
    """Names of the PROBES on which two templates differ."""
    if one == other:
        return []
    return [name for name in PROBES if _rendered(tokenizer, one, name) != _rendered(tokenizer, other, name)]


def _rendered(tokenizer: "PreTrainedTokenizerBase", template: str, name: str) -> tuple[str, ...]:
    from jinja2 import TemplateError

    try:
        return tuple(
            str(
                tokenizer.apply_chat_template(
                    PROBES[name], chat_template=template, tokenize=False, add_generation_prompt=len(PROBES[name]) == 1,
                    enable_thinking=thinks,
                )
            )
            for thinks in (True, False)
        )  # fmt: skip
    except (TemplateError, TypeError, ValueError) as error:
        return ("refused", str(error))
