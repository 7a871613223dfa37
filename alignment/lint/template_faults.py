"""What is wrong with the template or the tokenizer, whatever the row: one function for each fault.

Neighbours: views.py, loss_faults.py, settings.py (where a model's templates are read).
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
# What two templates are compared on: one chat for each thing in which templates are known to differ.
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
    """A tokenizer with its template, and the other templates that came with its model."""

    tokenizer: "PreTrainedTokenizerBase"
    vocabulary: Vocabulary
    shipped: Mapping[str, str] = field(default_factory=dict)  # from a file's name to the template in it
    replaced: bool = False  # the recipe's chat_template takes the place of the model's own


def no_generation_markers(setting: Setting, views: Sequence[View], intent: Intent) -> Iterator[Finding]:
    """A template that does not say what the assistant wrote, so that no loss can be placed."""
    if intent.kind == "sft" and not setting.vocabulary.marks_loss:
        yield Finding(
            "no_generation_markers",
            "error",
            None,
            "the chat template does not mark what the assistant wrote, so nothing of a row can carry loss",
            "write chat_template: qwen3 in the recipe, or put {% generation %} … {% endgeneration %} around the answers",
        )


def templates_differ(setting: Setting, views: Sequence[View], intent: Intent) -> Iterator[Finding]:
    """Two templates in one model folder that render differently: which one an engine takes is chance."""
    names = list(setting.shipped)
    for name in names[1:]:
        places = _differences(setting.tokenizer, setting.shipped[names[0]], setting.shipped[name])
        if places:
            yield Finding(
                "templates_differ",
                "error",
                None,
                f"{names[0]} and {name} render differently: {', '.join(places)}",
                f"take chat_template out of {name}; {names[0]} is the one that transformers reads",
            )


def template_replaced(setting: Setting, views: Sequence[View], intent: Intent) -> Iterator[Finding]:
    """A recipe's template that renders otherwise than the model's own, which an engine started by hand would take."""
    if not setting.replaced or not setting.shipped:
        return
    name, own = next(iter(setting.shipped.items()))
    places = _differences(setting.tokenizer, own, setting.vocabulary.template)
    if places:
        yield Finding(
            "template_replaced",
            "note",
            None,
            f"the recipe's chat_template renders otherwise than the model's own {name}: {', '.join(places)}",
            "serve the folders that a run leaves, which hold the recipe's template, and not the model's",
        )


def end_of_turn_is_not_eos(setting: Setting, views: Sequence[View], intent: Intent) -> Iterator[Finding]:
    """Turns that end with another token than the one at which engines stop."""
    answered = [view for view in views if not view.case.is_prompt]
    eos = setting.vocabulary.eos
    if answered and (eos is None or not any(eos in view.text[len(view.prompt) :] for view in answered)):
        yield Finding(
            "end_of_turn_is_not_eos",
            "error",
            None,
            f"no rendered answer ends with the tokenizer's eos token ({eos}), at which engines stop",
            "write chat_template: qwen3 in the recipe, which sets both, or set eos_token to what ends a turn",
        )


def pad_is_end_of_turn(setting: Setting, views: Sequence[View], intent: Intent) -> Iterator[Finding]:
    """A pad token that also ends turns: whoever masks padding by its id masks the end of every answer."""
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
        "set pad_token to a token of its own, such as <|endoftext|>",
    )


def bos_added_again(setting: Setting, views: Sequence[View], intent: Intent) -> Iterator[Finding]:
    """A template that writes the begin-of-text token for a tokenizer that adds it too: text put into tokens has two."""
    bos = setting.vocabulary.bos_id
    if bos is None or not views or views[0].input_ids[:2] == [bos, bos]:
        return
    if list(setting.tokenizer(views[0].text)["input_ids"])[:2] == [bos, bos]:
        yield Finding(
            "double_bos",
            "warning" if intent.kind == "dpo" else "note",
            None,
            "rendered text that is put into tokens in a second step begins with two begin-of-text tokens",
            "take the token out of the template, or say add_special_tokens=False wherever text becomes tokens",
        )


def _differences(tokenizer: "PreTrainedTokenizerBase", one: str, other: str) -> list[str]:
    """The probes on which two templates differ."""
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
