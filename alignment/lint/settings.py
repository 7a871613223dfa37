"""Loads the tokenizer and chat template that rows are checked with, from a model folder and, if given, a recipe.

A recipe's added tokens and chat template are applied as in the run's base/; no weights are read. Neighbours:
template_faults.py (checks what is loaded here), run/base_model.py (prepares base/).
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from alignment.core.errors import DataError
from alignment.core.resources import model_place
from alignment.data.chat.templates import suggested, template_text, use_template
from alignment.lint.template_faults import Setting
from alignment.lint.views import Vocabulary
from alignment.recipe.schema import Recipe

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def setting_of(model: str, recipe: Recipe | None = None) -> Setting:
    """Load the tokenizer of a model, as a recipe would prepare it. Raises DataError if it cannot be loaded."""
    from transformers import AutoTokenizer

    source = model_place(model)
    if not Path(source).is_dir() and (source.startswith((".", "~", "/", "models/", "runs/")) or "/" not in source):
        raise DataError(f"there is no model folder {source}; write --model FOLDER, a hub id, or `embedded`")
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source, trust_remote_code=recipe.trust_remote_code if recipe else False
        )
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{source}: its tokenizer cannot be loaded ({error})") from error
    shipped = shipped_templates(Path(source))
    if recipe is not None:
        _prepare(tokenizer, recipe)
    if tokenizer.chat_template is None:
        raise DataError(
            f"{source} has no chat template, so rows cannot be rendered; write `chat_template: "
            f"{suggested(tokenizer.get_vocab())}` in a recipe and lint that"
        )
    return Setting(tokenizer, Vocabulary.of(tokenizer), shipped, bool(recipe and recipe.chat_template))


def loaded_setting(tokenizer: "PreTrainedTokenizerBase", folder: str) -> Setting:
    """The setting of a tokenizer that a stage has already loaded from a folder."""
    return Setting(tokenizer, Vocabulary.of(tokenizer), shipped_templates(Path(folder)))


def shipped_templates(folder: Path) -> dict[str, str]:
    """The chat templates in a model folder by file name, in the order in which transformers reads them.

    Raises DataError for a damaged file.
    """
    found: dict[str, str] = {}
    own = folder / "chat_template.jinja"
    if own.is_file():
        found[own.name] = _read(own)
    for name in ("chat_template.json", "tokenizer_config.json"):
        path = folder / name
        if not path.is_file():
            continue
        try:
            config = json.loads(_read(path))
        except ValueError as error:
            raise DataError(f"{path} is damaged: {error}") from error
        template = config.get("chat_template") if isinstance(config, dict) else None
        if isinstance(template, list):  # several, by name; a chat uses the one called default
            template = next((one.get("template") for one in template if one.get("name") == "default"), None)
        if isinstance(template, str):
            found[name] = template
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text ({error})") from error


def _prepare(tokenizer: "PreTrainedTokenizerBase", recipe: Recipe) -> None:
    _add(tokenizer, recipe.add_tokens)
    if recipe.chat_template:
        text = template_text(recipe.chat_template)
        if missing := use_template(tokenizer, text):
            _add(tokenizer, missing)
            use_template(tokenizer, text)


def _add(tokenizer: "PreTrainedTokenizerBase", tokens: list[str]) -> None:
    new = [token for token in tokens if len(tokenizer(token, add_special_tokens=False)["input_ids"]) != 1]
    tokenizer.add_tokens(new, special_tokens=False)
