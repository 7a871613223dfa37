"""Check that a local model has a chat template, or that the recipe names one: everything is rendered through it.

Neighbours: recipe.py (runs the checks), lint/ (looks at what the template makes of rows).
"""

import json
from collections.abc import Iterator
from pathlib import Path

from alignment.core.resources import resource
from alignment.recipe.issue import Issue
from alignment.recipe.schema import Recipe

TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json")


def chat_templates(recipe: Recipe) -> Iterator[Issue]:
    """A local model has a chat template of its own, unless the recipe gives it one."""
    folder = Path(recipe.model)
    if recipe.chat_template is not None or recipe.model == "embedded" or not (folder / "config.json").is_file():
        return
    if not _has_template(folder):
        known = ", ".join(sorted(path.stem for path in resource("data/templates").glob("*.jinja")))
        yield Issue(
            ("model",),
            f"{folder} has no chat template, so chats and prompts cannot be rendered; write `chat_template:` with one of: "
            f"{known}",
        )


def _has_template(folder: Path) -> bool:
    if any((folder / name).is_file() for name in TEMPLATE_FILES) or (folder / "additional_chat_templates").is_dir():
        return True
    try:
        return bool(json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("chat_template"))
    except (OSError, ValueError, AttributeError):
        return False
