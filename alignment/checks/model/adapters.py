"""Checks of LoRA adapters against the files of a local model: targets, trained tokens, and an adapter to continue.

PEFT ignores a name that matches nothing as long as another one matches, so a misspelt target would train less than the
recipe says. Neighbours: ../recipe.py (runs the checks), files.py (reads the headers), training/policy.py (merges).
"""

from collections.abc import Iterator
from pathlib import Path

from alignment.checks.model.folder import ModelFolder
from alignment.core.files import json_or_empty
from alignment.core.resources import EMBEDDED
from alignment.recipe.blocks.lora import EMBEDDINGS, HEADS, PRESETS, Lora
from alignment.recipe.issue import Issue, Place, nearest
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import TrainingStage
from alignment.records.adapter import ADAPTER_CONFIG, is_adapter_alone

_IN_PEFT = {"rank": "r", "alpha": "lora_alpha", "dropout": "lora_dropout", "targets": "target_modules",
            "modules_to_save": "modules_to_save"}  # fmt: skip
SHARED = (*EMBEDDINGS, *HEADS)  # one matrix where embeddings are tied


def adapters(recipe: Recipe) -> Iterator[Issue]:
    """What `lora` names exists in a local model, and `adapter: continue` has an adapter before it."""
    folder = ModelFolder.of(recipe.model)
    for index, stage in enumerate(recipe.stages):
        if not isinstance(stage, TrainingStage) or stage.lora is None:
            continue
        place: Place = ("stages", index, "lora")
        if stage.lora.adapter == "continue":
            yield from _continues(recipe, index, place)
            if recipe.policy_before(stage.name) is None and may_be_adapter(recipe.model):
                yield from _starting_adapter(recipe, stage.lora, place)
        if folder.modules:
            yield from _targets(stage.lora, place, folder.modules, tied=folder.tied)
        yield from _tokens(recipe, stage.lora, place, folder)


def _continues(recipe: Recipe, index: int, place: Place) -> Iterator[Issue]:
    before = recipe.policy_before(recipe.stages[index].name)
    if before is None and may_be_adapter(recipe.model):
        return
    earlier = None if before is None else recipe.stage(before)
    if not isinstance(earlier, TrainingStage) or earlier.lora is None:
        from_what = "the base model" if before is None else f"`{before}`, which trains no adapter"
        yield Issue(
            (*place, "adapter"),
            f"continues an adapter, but this stage starts from {from_what}; write `adapter: new`, or start_from a stage "
            "with `lora`",
        )


def may_be_adapter(model: str) -> bool:
    """Whether a recipe's model is an adapter folder, or a hub id, of which only the hub can say it."""
    return model != EMBEDDED and (is_adapter_alone(Path(model)) or not Path(model).exists())


def _starting_adapter(recipe: Recipe, lora: Lora, place: Place) -> Iterator[Issue]:
    """What a recipe says of the adapter that it starts from is what that has."""
    if recipe.add_tokens:
        yield Issue(
            (*place, "adapter"),
            "continues the adapter that the recipe starts from, whose base has no added tokens; write `adapter: new`, or "
            "leave `add_tokens` out",
        )
    config = json_or_empty(Path(recipe.model) / ADAPTER_CONFIG)
    variant = "dora" if config.get("use_dora") else "rslora" if config.get("use_rslora") else "lora"
    has = {
        "variant": variant,
        **{ours: config[theirs] for ours, theirs in _IN_PEFT.items() if config.get(theirs) is not None},
    }
    for name, theirs in has.items():
        mine, alike = getattr(lora, name), theirs
        if isinstance(mine, list) and isinstance(theirs, list):
            mine, alike = sorted(mine), sorted(theirs)
        preset = name == "targets" and isinstance(mine, str)  # PEFT writes the names that it found
        if name in lora.model_fields_set and not preset and mine != alike:
            yield Issue((*place, name), f"found {mine}, and the adapter that it continues has {theirs}; leave it out")


def _targets(lora: Lora, place: Place, modules: set[str], *, tied: bool) -> Iterator[Issue]:
    if isinstance(lora.targets, str):
        if lora.targets not in PRESETS and not any(_matches(name, lora.targets) for name in modules):
            yield Issue(
                (*place, "targets"),
                f"no module of the model is called `{lora.targets}`; {_known(lora.targets, modules)}",
            )
        return
    for number, target in enumerate(lora.targets):
        if not any(_matches(name, target) for name in modules):
            yield Issue(
                (*place, "targets", number), f"no module of the model is called `{target}`; {_known(target, modules)}"
            )
        elif tied and target.rpartition(".")[2] in SHARED:
            yield Issue(
                (*place, "targets", number),
                f"the model ties its input embeddings to its head, and an adapter on `{target}` changes only one of the "
                "two, so the merged model would differ from the trained one; leave it out, train it whole with "
                "`modules_to_save`, or name single tokens in `train_tokens`",
            )


def _matches(module: str, target: str) -> bool:
    """As PEFT matches a list of names: the whole name, or its end after a dot."""
    return module == target or module.endswith(f".{target}")


def _known(target: str, modules: set[str]) -> str:
    return nearest(target, sorted({name.rpartition(".")[2] for name in modules}))


def _tokens(recipe: Recipe, lora: Lora, place: Place, folder: ModelFolder) -> Iterator[Issue]:
    """Every trained token is one token of the tokenizer, or is added by the recipe."""
    known = {*folder.vocabulary, *recipe.add_tokens}
    for number, token in enumerate(lora.train_tokens):
        # Of a hub id, or a tokenizer in another form, it is found when the stage starts.
        if folder.vocabulary and token not in known:
            yield Issue(
                (*place, "train_tokens", number),
                f"`{token}` is no single token of this tokenizer; add it with `add_tokens` at the top of the recipe",
            )
