"""The special tokens of a local model that text must not hold, read from its files, so that rows are linted without a tokenizer.

Neighbours: findings.py (Intent holds them), views.py (the same of a loaded tokenizer), text_faults.py (looks for them).
"""

import re
from functools import lru_cache
from pathlib import Path

from alignment.core.files import json_or_empty

CHATML = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
# Written by an assistant, and special in some tokenizers.
ASSISTANT_TOKENS = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")


def markers_of(model: str, revision: str | None = None) -> tuple[str, ...]:
    """ChatML's tokens, and those of the model's tokenizer.json: in its folder, or of a hub id where it is in the cache.

    A stage finds it there, since it has loaded the model; `check` does not download it, and may know ChatML's tokens alone.
    """
    file = _tokenizer_file(model, revision)
    known = () if file is None else _special(file, file.stat().st_mtime_ns)
    return tuple(dict.fromkeys((*CHATML, *known)))


def _tokenizer_file(model: str, revision: str | None) -> Path | None:
    file = Path(model) / "tokenizer.json"
    if file.is_file():
        return file
    if model.count("/") != 1 or Path(model).exists():
        return None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, "tokenizer.json", revision=revision)
    except HFValidationError:
        return None  # the check of the model's files says that it is no id
    return Path(found) if isinstance(found, str) else None


@lru_cache(maxsize=8)
def _special(file: Path, changed: int) -> tuple[str, ...]:
    """The tokens of a tokenizer that separate turns or texts. changed: when it was written, in nanoseconds."""
    added = json_or_empty(file).get("added_tokens", [])  # the check of the model's files says what is wrong with it
    named = [(str(one.get("content", "")), bool(one.get("special"))) for one in added if isinstance(one, dict)]
    return tuple(
        text
        for text, special in named
        if text and text not in ASSISTANT_TOKENS and (special or re.fullmatch(r"<\|.*\|>", text))
    )
