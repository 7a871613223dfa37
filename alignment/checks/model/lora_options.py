"""Checks of how an adapter is trained and left: 4-bit weights, variants, modules trained whole, adapters alone.

Neighbours: adapters.py (names of targets and tokens), recipe/blocks/lora.py (the block), ../recipe.py (runs the
checks).
"""

import importlib.util
from collections.abc import Iterator

from alignment.checks.model.folder import ModelFolder
from alignment.core.errors import RecipeError
from alignment.core.machine import visible_gpus
from alignment.recipe.blocks.hardware import Hardware
from alignment.recipe.blocks.lora import EMBEDDINGS, HEADS, Lora, in_preset
from alignment.recipe.issue import Issue, Place, nearest
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import TrainingStage
from alignment.run.launcher import LauncherConfig, launcher_config

KEPT = ("rank", "alpha", "variant", "targets", "dropout", "modules_to_save", "train_tokens", "initialisation")


def lora_options(recipe: Recipe) -> Iterator[Issue]:
    """What a `lora` block asks for can be trained on this hardware and model, and continues what was there before."""
    folder, launcher = ModelFolder.of(recipe.model), _launcher(recipe.hardware)
    for index, stage in enumerate(recipe.stages):
        if not isinstance(stage, TrainingStage) or stage.lora is None:
            continue
        lora, place = stage.lora, ("stages", index, "lora")
        before = _lora_before(recipe, index)
        if lora.quantise and launcher is not None:
            yield from _quantised(lora, place, launcher, before)
        if lora.adapter == "continue" and before is not None:
            yield from _kept(lora, place, before)
        if folder.experts:
            yield from _on_experts(lora, place)
        if folder.modules:
            yield from _whole_modules(lora, place, folder.modules)
            yield from _preset(lora, place, folder.modules)


def _quantised(lora: Lora, place: Place, launcher: LauncherConfig, before: Lora | None) -> Iterator[Issue]:
    """4-bit weights need a GPU, bitsandbytes, whole weights on each process, and a whole model to start from."""
    where = (*place, "quantise")
    if launcher.hides_gpus:
        yield Issue(
            where,
            f"4-bit weights are computed on a GPU, and {launcher.path.name} trains on a CPU, where they save no time and "
            "are rounded for nothing: leave `quantise` out, or write `hardware: {accelerate: gpu}`",
        )
    elif visible_gpus() and importlib.util.find_spec("bitsandbytes") is None:
        yield Issue(where, "bitsandbytes is not installed: pip install 'alignment[qlora]', or leave `quantise` out")
    if launcher.shards_weights:
        yield Issue(
            where,
            f"{launcher.path.name} shards weights, and 4-bit ones cannot be gathered to be saved; write `accelerate: gpu` "
            "or `zero2`, which keep them whole, or leave `quantise` out",
        )
    if before is not None and before.output == "adapter":
        yield Issue(
            where, "starts from an adapter alone, and is quantised from a whole model; write `output: model` before it"
        )


def _kept(lora: Lora, place: Place, before: Lora) -> Iterator[Issue]:
    """An adapter that is continued keeps its shape and the form of its base."""
    for name in KEPT:
        mine, theirs = getattr(lora, name), getattr(before, name)
        if name in lora.model_fields_set and mine != theirs:
            yield Issue(
                (*place, name),
                f"found {mine!r}, and the adapter that is continued has {theirs!r}: write that, or `adapter: new`",
            )
    if lora.quantise != before.quantise:
        yield Issue(
            (*place, "quantise"),
            f"found {lora.quantise}, and the adapter that is continued was trained with {before.quantise}: on other weights "
            "it is another policy; write the same, or `adapter: new`",
        )


def _on_experts(lora: Lora, place: Place) -> Iterator[Issue]:
    """Experts are parameters and no linear layers, which PEFT adapts without dropout and DoRA and bitsandbytes leaves whole."""
    if lora.targets != "all-linear":
        return
    if lora.variant == "dora":
        yield Issue(
            (*place, "variant"), "the model's experts cannot have DoRA; write `variant: lora`, or `targets: attention`"
        )
    if lora.dropout:
        yield Issue(
            (*place, "dropout"),
            "adapters on the model's experts cannot have dropout; write 0, or `targets: attention`",
        )
    if lora.quantise:
        yield Issue(
            (*place, "quantise"),
            "bitsandbytes leaves experts as they are, which are most of this model, so that nothing is saved; leave it out",
        )


def _whole_modules(lora: Lora, place: Place, modules: set[str]) -> Iterator[Issue]:
    """Modules that are trained whole exist, and get no adapter too."""
    targets = [] if isinstance(lora.targets, str) else lora.targets
    known = sorted({name.rpartition(".")[2] for name in modules} | {*HEADS[:1]})
    for number, module in enumerate(lora.modules_to_save):
        last = module.rpartition(".")[2]
        if last not in known and last not in (*EMBEDDINGS, *HEADS):
            yield Issue(
                (*place, "modules_to_save", number),
                f"no module of the model is called `{module}`; {nearest(module, known)}",
            )
        elif module in targets:
            yield Issue(
                (*place, "modules_to_save", number),
                f"`{module}` is a target too, and is trained whole or by an adapter; name it once",
            )


def _preset(lora: Lora, place: Place, modules: set[str]) -> Iterator[Issue]:
    """A preset finds modules in the model."""
    if lora.targets in ("attention", "mlp") and not any(in_preset(name, str(lora.targets)) for name in modules):
        yield Issue(
            (*place, "targets"),
            f"the model has no module that `{lora.targets}` takes; name its modules, or write all-linear",
        )


def _lora_before(recipe: Recipe, index: int) -> Lora | None:
    before = recipe.policy_before(recipe.stages[index].name)
    earlier = None if before is None else recipe.stage(before)
    return earlier.lora if isinstance(earlier, TrainingStage) else None


def _launcher(hardware: Hardware) -> LauncherConfig | None:
    try:
        return launcher_config(hardware)
    except RecipeError:
        return None  # surroundings says what is wrong with it
