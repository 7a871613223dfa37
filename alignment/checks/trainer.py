"""Checks of `trainer:`: keys and values. Neighbours: recipe.py (runs the checks), recipe/trainer_keys.py (TRL's keys)."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from alignment.checks.model.folder import ModelFolder
from alignment.checks.trainer_values import value_faults
from alignment.core.errors import RecipeError
from alignment.recipe.blocks.hardware import Hardware
from alignment.recipe.issue import Issue, Place, nearest
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import TrainingStage, held_out_of
from alignment.recipe.trainer_keys import TrainerKeys
from alignment.run.launcher import launcher_config

EXPONENT_AS_TEXT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")  # YAML 1.1 needs a point and a sign: 1.0e-5
_TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,), "int": (int,), "float": (int, float), "str": (str,), "dict": (dict,),
    "dict[str, Any]": (dict,), "None": (type(None),),
}  # fmt: skip
_TYPE_NAMES = {
    "bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text", 
    "dict": "a mapping", "dict[str, Any]": "a mapping",
}  # fmt: skip
WHOLE_ABOVE_ZERO = ("max_steps", "per_device_train_batch_size", "gradient_accumulation_steps")
ABOVE_ZERO = ("learning_rate", "num_train_epochs")


def trainer_settings(recipe: Recipe) -> Iterator[Issue]:
    """Every `trainer:` key exists in its TRL config class, is not set by the stage, and has a possible value."""
    dense, on_cpu = _is_dense(recipe.model), _on_cpu(recipe.hardware)
    for index, stage in enumerate(recipe.stages):
        keys = kind_of(stage).trainer
        if keys is None or not isinstance(stage, TrainingStage):
            continue
        known, faulty = keys.known(), set[str]()
        for key, value in stage.trainer.items():
            place: Place = ("stages", index, "trainer", key)
            faulty.add(key)
            if key in keys.owned:
                yield Issue(place, f"is set by the stage: {keys.owned[key]}")
            elif known is not None and key not in known:
                yield Issue(place, f"TRL's {keys.class_name} has no such field; {nearest(key, sorted(known))}")
            else:
                fault = _trainer_value(key, value) or _order_of_rows(key, value) or _idle(key, stage.trainer, keys)
                fault = fault or _another_type(value, keys.form(key)) or (_router(key, value) if dense else None)
                if fault is not None:
                    yield Issue(place, fault)
                else:
                    faulty.discard(key)
        for key, fault in value_faults(stage.trainer, keys, measures=held_out_of(stage) is not None, on_cpu=on_cpu):
            if key not in faulty:
                yield Issue(("stages", index, "trainer", key), fault)


def _on_cpu(hardware: Hardware) -> bool:
    """Whether stages are known to train on a CPU."""
    try:
        return launcher_config(hardware).hides_gpus
    except RecipeError:
        return False  # surroundings says what is wrong with it


def _is_dense(model: str) -> bool:
    """Whether a local model is known to have no router of experts."""
    folder = ModelFolder.of(model)
    return bool(folder.config) and not any("router" in key or "expert" in key for key in folder.text_config)


def _router(key: str, value: Any) -> str | None:
    """Why a dense model cannot have a setting, or None."""
    if key == "router_aux_loss_coef" and value:
        return "balances the experts of a mixture-of-experts model, and this model has none; leave it out"
    return None


def _idle(key: str, trainer: Mapping[str, Any], keys: TrainerKeys) -> str | None:
    """Why a key would change nothing beside the others, or None."""
    if (needed := keys.needed(key)) is None:
        return None
    other, wanted = needed
    found = trainer.get(other)
    if any(one in wanted for one in (found if isinstance(found, list) else [found])):
        return None
    values = " or ".join(str(one).lower() if isinstance(one, bool) else str(one) for one in wanted)
    return f"it has no effect unless {other} is {values}; write `{other}`, or leave it out"


def _another_type(value: Any, form: str) -> str | None:
    """Why a value is not of the type that a field has, such as the text "false", which would mean true; or None."""
    allowed = {one: _TYPES[one] for one in form.split(" | ") if one in _TYPES}
    if not form or len(allowed) < len(form.split(" | ")):
        return None  # a type that a person does not write, which the class looks at itself
    if any(isinstance(value, types) and (type(value) is not bool or one == "bool") for one, types in allowed.items()):
        return None
    return f"found {value!r}, and {' or '.join(_TYPE_NAMES[one] for one in allowed if one != 'None')} is needed"


def _order_of_rows(key: str, value: Any) -> str | None:
    """Why a resumed stage would not go on with the order of rows that an unbroken one has, or None."""
    if key == "train_sampling_strategy" and value in ("group_by_length", "batch_rebalance"):
        return (
            f"`{value}` draws each epoch's order from the one before, so that a stage resumed in a later epoch would train in "
            "another order; leave it out"
        )
    if key == "accelerator_config" and isinstance(value, dict) and value.get("use_seedable_sampler") is False:
        return "without the seedable sampler a resumed stage trains in another order; leave use_seedable_sampler out"
    return None


def _trainer_value(key: str, value: Any) -> str | None:
    """Why a trainer setting's value cannot work, or None."""
    if isinstance(value, str) and EXPONENT_AS_TEXT.fullmatch(value):
        mantissa, exponent = value.lower().split("e")
        point = "" if "." in mantissa else ".0"
        number = f"{mantissa}{point}e{exponent if exponent[0] in '+-' else '+' + exponent}"
        return f"found text, and a number is needed: YAML reads {value} as text; write {number}"
    if key not in (*WHOLE_ABOVE_ZERO, *ABOVE_ZERO):
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return f"found {value!r}, and a number is needed"
    if key == "max_steps" and value == -1:
        return None
    if not 0 < value < math.inf:
        return f"found {value}, with which nothing is trained; write a number above 0"
    return f"found {value}; write a whole number" if key in WHOLE_ABOVE_ZERO and value != int(value) else None
