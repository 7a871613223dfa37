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


def markers_of(model: str) -> tuple[str, ...]:
    """ChatML's tokens, and for a model folder those of its tokenizer.json too; of a hub id, ChatML's alone."""
    file = Path(model) / "tokenizer.json"
    return tuple(dict.fromkeys((*CHATML, *(_special(file, file.stat().st_mtime_ns) if file.is_file() else ()))))


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
