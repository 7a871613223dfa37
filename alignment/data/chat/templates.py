"""Chat templates: those that ship in data/templates/, one by path, and what has to go with one that replaces a model's own.

Neighbours: template.py (renders with them), turn_end.py (the token that ends a turn), run/base_model.py (sets one in
base/), checks/model/templates.py, lint/settings.py.
"""

import hashlib
import json
import re
from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from alignment.core.errors import DataError
from alignment.core.resources import resource
from alignment.data.chat.turn_end import after_answer, turn_end
from alignment.recipe.own.paths import is_template_path

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# The tokens by which a tokenizer is known to be made for a shipped template, the most particular first.
MARKS: dict[str, tuple[str, ...]] = {
    "llama3": ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "gemma3": ("<start_of_turn>", "<end_of_turn>"),
    "granite": ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>"),
    "gpt-oss": ("<|start|>", "<|channel|>", "<|message|>", "<|return|>"),
    "phi3": ("<|user|>", "<|assistant|>", "<|end|>"),
    "mistral": ("[INST]", "[/INST]", "</s>"),
    "qwen3": ("<|im_start|>", "<|im_end|>"),
}
DEFAULT = "qwen3"  # for a tokenizer that was made for none: ChatML's end of turn is added to it
TODAY = "strftime_now"  # transformers' function of templates, by which they write today's date
_TODAY = re.compile(TODAY + r"""\(\s*('[^']*'|"[^"]*")\s*\)""")
_TOKEN = re.compile(r"\s*(<[^<>\s]{1,40}>|\[[A-Z_/]{1,20}\])")


def shipped() -> list[str]:
    """The names of the templates that ship with the project."""
    return sorted(path.stem for path in resource("data/templates").glob("*.jinja"))


def template_file(name: str) -> Path:
    """The file of a template, by its name or path; it may not exist."""
    return Path(name) if is_template_path(name) else resource("data/templates") / f"{name}.jinja"


def template_text(name: str) -> str:
    """The text of a template by its name or path. Raises DataError if it cannot be read."""
    path = template_file(name)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text ({error}); write one of: {', '.join(shipped())}") from error


def template_identity(name: str) -> str:
    """A template's name; of one by path its file name and a hash of its text, which decide what is rendered."""
    if not is_template_path(name):
        return name
    return f"{Path(name).name} {hashlib.sha256(template_text(name).encode()).hexdigest()[:16]}"


def suggested(tokens: Collection[str], model_type: str = "") -> str:
    """The shipped template that a tokenizer with these tokens was made for, or the one to take where it is made for none."""
    if model_type == "olmo2":  # its roles are plain text
        return "olmo2"
    return next((name for name, marks in MARKS.items() if set(marks) <= set(tokens)), DEFAULT)


def use_template(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[str]:
    """Set a template in place of a tokenizer's own; returns the tokens that have to be added so that turns end.

    The end of a turn becomes the eos token once it is a token. A template that writes no begin-of-text token gets it where
    the tokenizer or its own template would have put one: the model has not seen text without it.
    """
    begins = _begins_with_bos(tokenizer)
    tokenizer.chat_template = text
    if begins and not _rendered(tokenizer).startswith(str(tokenizer.bos_token)):
        tokenizer.chat_template = "{{- bos_token -}}\n" + text
    known = turn_end(tokenizer)
    if known is not None:
        tokenizer.eos_token = known
        return []
    found = _TOKEN.match(after_answer(tokenizer) or "")
    return [found[1]] if found else []


def with_date(text: str, day: date) -> str:
    """A template that writes this day where it asks for today's, as Llama's and SmolLM3's do.

    So a run has one text for each row, whatever the days on which it trains, resumes and is measured. Raises DataError for a
    template that makes up the form of its date.
    """

    def written(found: re.Match[str]) -> str:
        return json.dumps(day.strftime(found[1][1:-1]), ensure_ascii=False)

    fixed = _TODAY.sub(written, text)
    if f"{TODAY}(" in fixed:
        raise DataError(
            f"the chat template asks for today's date ({TODAY}) in a form that is not written out, so that rows would differ "
            "from day to day; write `chat_template: FILE.jinja`, a copy in which a date stands"
        )
    return fixed


def _begins_with_bos(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether text begins with the begin-of-text token, by the tokenizer or by its own chat template."""
    bos = tokenizer.bos_token_id
    if bos is None:
        return False
    if list(tokenizer("a")["input_ids"])[:1] == [bos]:
        return True
    return tokenizer.chat_template is not None and _rendered(tokenizer).startswith(str(tokenizer.bos_token))


def _rendered(tokenizer: "PreTrainedTokenizerBase") -> str:
    from jinja2 import TemplateError

    try:
        return str(tokenizer.apply_chat_template([{"role": "user", "content": "?"}], tokenize=False))
    except (TemplateError, TypeError, ValueError):
        return ""  # whatever is rendered with it will say so
