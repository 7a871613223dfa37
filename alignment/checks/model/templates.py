"""Checks of the chat template: a local model has one that will do or the recipe names one, and one by path can be parsed.

Everything is rendered through it. Neighbours: ../recipe.py (runs the checks), data/chat/templates.py (the templates),
folder.py (a model's own), lint/ (looks at what the template makes of rows).
"""

import re
from collections.abc import Iterator
from pathlib import Path

from alignment.checks.model.folder import ModelFolder
from alignment.core.errors import DataError
from alignment.core.resources import EMBEDDED
from alignment.data.chat.template import marks_loss
from alignment.data.chat.templates import shipped, suggested, template_file, template_text
from alignment.recipe.issue import Issue, nearest
from alignment.recipe.kinds import kind_of
from alignment.recipe.own.paths import is_template_path
from alignment.recipe.schema import Recipe

_GENERATION_TAGS = re.compile(r"\{%-?\s*(end)?generation\s*-?%\}")


def chat_templates(recipe: Recipe) -> Iterator[Issue]:
    """The recipe's template exists and parses; a local model without `chat_template` has one that does what the stages need."""
    chosen = recipe.chat_template
    if chosen is not None:
        yield from _chosen(chosen, _masked(recipe))
        return
    folder = ModelFolder(Path(recipe.model))
    if recipe.model == EMBEDDED or not (folder.path / "config.json").is_file():
        return
    advice = f"write `chat_template: {suggested(folder.vocabulary, folder.family)}` at the top of the recipe"
    if folder.template is None:
        yield Issue(
            ("model",),
            f"{folder.path} has no chat template, so chats and prompts cannot be rendered; {advice} (shipped: "
            f"{', '.join(shipped())})",
        )
    elif (stage := _masked(recipe)) is not None and not marks_loss(folder.template):
        yield Issue(
            ("model",),
            f"the chat template of {folder.path} does not mark what the assistant wrote ({{% generation %}}), so that stage "
            f"{stage} cannot tell which tokens carry loss; {advice}",
        )


def _masked(recipe: Recipe) -> str | None:
    """The name of the first stage whose loss falls where the template marks it; None without one."""
    for stage in recipe.stages:
        kind = kind_of(stage)
        if kind.trains and kind.takes == "rows" and kind.lint(stage).places_loss:
            return str(stage.name)
    return None


def _chosen(name: str, masked: str | None) -> Iterator[Issue]:
    path = template_file(name)
    if not path.is_file():
        known = shipped()
        hint = f"write one of: {', '.join(known)}" if is_template_path(name) else nearest(name, known)
        yield Issue(("chat_template",), f"there is no template `{name}`; {hint}")
        return
    try:
        text = template_text(name)
    except DataError as error:
        yield Issue(("chat_template",), str(error))
        return
    fault = template_fault(text)
    if fault is not None:
        yield Issue(("chat_template",), f"{path} is no Jinja template: {fault}; fix it, or name a shipped one")
    elif masked is not None and not marks_loss(text):
        yield Issue(
            ("chat_template",),
            f"{path} does not mark what the assistant wrote, so that stage {masked} cannot tell which tokens carry loss; put "
            "{% generation %} … {% endgeneration %} around the assistant's text and its end-of-turn token",
        )


def template_fault(text: str) -> str | None:
    """Why a chat template cannot be parsed, with its line, or None."""
    from jinja2 import Environment, TemplateSyntaxError

    try:
        Environment(extensions=["jinja2.ext.loopcontrols"], autoescape=True).parse(_GENERATION_TAGS.sub("", text))
    except TemplateSyntaxError as error:
        return f"line {error.lineno}: {error.message}"
    return None
