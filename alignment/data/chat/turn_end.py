"""The token that ends an assistant's turn, as the chat template writes it.

It need not be the tokenizer's eos token: Gemma's turns end with `<end_of_turn>`, Phi's with `<|end|>`, and those of a
base model with a ChatML template with `<|im_end|>`, while eos ends documents. Neighbours: template.py (renders turns),
inference/start.py (engines stop at it), lint/ (looks whether it is there and carries loss).
"""

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ANSWER = "[what was sampled]"  # stands for an answer; no template changes it


def turn_end(tokenizer: "PreTrainedTokenizerBase") -> str | None:
    """The token that follows an answer in a rendered turn, or None if none does."""
    return _found(tokenizer, str(tokenizer.chat_template), str(tokenizer.eos_token), len(tokenizer))


def turn_end_id(tokenizer: "PreTrainedTokenizerBase") -> int | None:
    """The id of `turn_end`."""
    token = turn_end(tokenizer)
    return None if token is None else int(tokenizer.convert_tokens_to_ids(token))


def end_ids(own: Iterable[int | None], listed: int | list[int] | None) -> list[int]:
    """Ids that end a completion, each once: one's own, where there are any, and those that a generation_config lists."""
    more = [listed] if isinstance(listed, int) else listed or []
    return list(dict.fromkeys(one for one in (*own, *more) if one is not None))


def after_answer(tokenizer: "PreTrainedTokenizerBase") -> str | None:
    """The text that the template writes after the answer of a chat of two turns; None if it cannot render one."""
    from jinja2 import TemplateError

    chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": ANSWER}]
    try:
        text = str(tokenizer.apply_chat_template(chat, tokenize=False))
    except (TemplateError, TypeError, ValueError):
        return None
    return text.partition(ANSWER)[2] if text.count(ANSWER) == 1 else None


@functools.lru_cache(maxsize=8)
def _found(tokenizer: "PreTrainedTokenizerBase", template: str, eos: str, size: int) -> str | None:
    """`turn_end`, kept for a template: it is asked for with every row. template, eos, size: what decides it."""
    after = (after_answer(tokenizer) or "").lstrip()
    tokens = {*map(str, tokenizer.added_tokens_decoder.values()), *tokenizer.all_special_tokens}
    return max((token for token in tokens if token and after.startswith(token)), key=len, default=None)
