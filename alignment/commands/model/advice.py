"""What a model lacks for the thinking pipeline, what to write in a recipe, and which stages and engines take it.

Neighbours: inspection.py (prints it), checks/model/templates.py and checks/model/adapters.py (refuse what would not
work).
"""

import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alignment.checks.model.folder import ModelFolder
from alignment.data.chat.templates import DEFAULT, MARKS, suggested
from alignment.recipe.kinds import kinds
from rewards.contract import THINK_CLOSE, THINK_OPEN

TAGS = (THINK_OPEN, THINK_CLOSE)


@dataclass(frozen=True)
class Advice:
    """lacks: sentences. recipe: lines of YAML. works: by stage kind or engine, what happens with this model."""

    lacks: tuple[str, ...]
    recipe: tuple[str, ...]
    works: Mapping[str, str]


def advice_for(name: str, folder: ModelFolder, pieces: tuple[int, int], template: tuple[bool, bool] | None) -> Advice:
    """Advice on a model. pieces: tokens of the think tags. template: whether it marks loss and renders thinking, or None."""
    replaces = template is None or not all(template)
    split = [tag for tag, count in zip(TAGS, pieces, strict=True) if count != 1]
    chosen = suggested(folder.vocabulary, folder.family)
    return Advice(
        lacks=tuple(_lacks(folder, split, template, chosen)) or ("nothing: its template and tokens are made for it",),
        recipe=tuple(_recipe(name, folder, split, chosen if replaces else None)),
        works=_works(folder, marked=template is not None and template[0]),
    )


def _lacks(folder: ModelFolder, split: list[str], template: tuple[bool, bool] | None, chosen: str) -> Iterator[str]:
    if template is None:
        yield f"it has no chat template: `chat_template: {chosen}` gives it one{_for_its_tokens(folder, chosen)}"
    elif not all(template):
        faults = [("does not mark what carries loss", template[0]), ("drops thinking", template[1])]
        what = " and ".join(text for text, fine in faults if not fine)
        yield f"its template {what}: `chat_template: {chosen}` replaces it{_for_its_tokens(folder, chosen)}"
    if split:
        yield (
            f"{' and '.join(split)} {'is' if len(split) == 1 else 'are'} no single token, and thinking budgets need them: "
            "`add_tokens` adds them"
        )
        if not folder.tied:
            yield (
                "its head is a matrix of its own: full training trains the rows of new tokens in both, and LoRA needs "
                "`train_tokens`, which trains them in both"
            )
    if folder.stateful_layers:
        yield f"its {', '.join(folder.stateful_layers)} layers carry a state along a row: stages pad its rows, which is slower"


def _for_its_tokens(folder: ModelFolder, chosen: str) -> str:
    if chosen != DEFAULT or set(MARKS[DEFAULT]) <= set(folder.vocabulary):
        return ", in the format that its tokens are made for"
    return ", and adds its end-of-turn token"


def _recipe(name: str, folder: ModelFolder, split: list[str], template: str | None) -> Iterator[str]:
    yield f"model: {name}"
    if template is not None:
        yield f"chat_template: {template}"
    if split:
        yield f'add_tokens: ["{TAGS[0]}", "{TAGS[1]}"]'
        yield f'# with LoRA, in each stage: lora: {{train_tokens: ["{TAGS[0]}", "{TAGS[1]}"]}}'


def _works(folder: ModelFolder, *, marked: bool) -> dict[str, str]:
    rows = "padded rows" if folder.stateful_layers else "packed rows"
    by_takes = {
        "rows": rows if marked else f"{rows}, with the template below",
        "problems": rows,
        "pairs": "padded rows",
    }
    return {
        **{kind.name: by_takes[kind.takes] for kind in kinds() if kind.leaves_policy and kind.takes in by_takes},
        "transformers": "samples from it" if _known_to_transformers(folder.family) else "does not have this family",
        "vllm": _vllm(str((folder.config.get("architectures") or [""])[0])),
    }


def _known_to_transformers(family: str) -> bool:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    return family in CONFIG_MAPPING_NAMES


def _vllm(architecture: str) -> str:
    known = _vllm_architectures()
    if known is None:
        return "not installed"
    return "has this architecture" if architecture in known else "does not have this architecture"


@cache
def _vllm_architectures() -> frozenset[str] | None:
    """The architectures in vLLM's registry, read as text: importing vLLM takes many seconds."""
    spec = importlib.util.find_spec("vllm")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / "model_executor" / "models" / "registry.py"
    try:
        return frozenset(re.findall(r'"(\w+)":\s*\(\s*"', path.read_text(encoding="utf-8")))
    except OSError:
        return None
