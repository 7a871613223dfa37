"""The keys that `check` allows under `trainer:` are those of the installed TRL, so that an upgrade fails here first."""

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from alignment.recipe.kinds import kinds

TRAINED = {kind.name: kind.trainer for kind in kinds() if kind.trainer is not None}
TRAINING = Path(__file__).parents[2] / "alignment" / "training"
FIELDS_OF_THE_CLASSES = """
import dataclasses, importlib, json, sys
found = {}
for kind, (module, name) in json.loads(sys.argv[1]).items():
    fields = dataclasses.fields(getattr(importlib.import_module(module), name))
    found[kind] = {field.name: field.default for field in fields if field.init and field.name == "learning_rate"}
    found[kind] |= {field.name: None for field in fields if field.init and field.name != "learning_rate"}
print(json.dumps(found))
"""


@cache
def imported() -> dict[str, dict[str, float | None]]:
    """The fields of the imported classes, the learning rate with its default, from one process that loads torch so that this one need not."""
    places = {
        kind: (f"{keys.package}.{keys.file.removesuffix('.py').replace('/', '.')}", keys.class_name)
        for kind, keys in TRAINED.items()
    }
    places["general"] = ("transformers", "TrainingArguments")
    command = [sys.executable, "-W", "ignore", "-c", FIELDS_OF_THE_CLASSES, json.dumps(places)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout.splitlines()[-1])


@pytest.mark.parametrize("kind", TRAINED)
def test_the_fields_read_from_the_source_are_those_of_the_imported_class(kind: str) -> None:
    private = {name for name in imported()[kind] if name.startswith("_")}
    assert TRAINED[kind].known() == set(imported()[kind]) - private


@pytest.mark.parametrize("kind", TRAINED)
def test_the_learning_rate_of_a_kind_is_the_default_of_its_class(kind: str) -> None:
    assert TRAINED[kind].learning_rate == imported()[kind]["learning_rate"]


@pytest.mark.parametrize("kind", TRAINED)
def test_every_key_that_a_stage_decides_is_one_that_trl_has(kind: str) -> None:
    known = TRAINED[kind].known()
    assert known is not None
    assert set(TRAINED[kind].owned) - known == set()


@pytest.mark.parametrize("kind", TRAINED)
def test_what_a_stage_sets_over_the_recipe_is_refused_in_the_recipe(kind: str) -> None:
    files = [path for room in ("kinds", "stages") if (path := TRAINING / room / f"{kind}.py").exists()]
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    settings = [node for node in nodes if isinstance(node, ast.Dict) and _spreads_the_recipe(node)]
    assert len(settings) == 1, "the one place where the recipe's trainer keys are joined with the stage's own"
    own = {key.value for key in settings[0].keys if isinstance(key, ast.Constant)}
    assert own - TRAINED[kind].owned.keys() == set()


EFFECTIVE = {"cast_lm_head_to_fp32", "disable_dropout", "router_aux_loss_coef", "shuffle_dataset"}


def test_of_trls_own_grpo_keys_those_alone_are_allowed_that_this_trainer_obeys() -> None:
    """Rollouts, rewards and loss are not TRL's here, so that a key of theirs would be accepted and change nothing."""
    declared = set(imported()["grpo"]) - set(imported()["general"])
    assert {name for name in declared - TRAINED["grpo"].owned.keys() if not name.startswith("_")} == EFFECTIVE


def _spreads_the_recipe(node: ast.Dict) -> bool:
    spread = [value for key, value in zip(node.keys, node.values, strict=True) if key is None]
    return any("trainer_settings()" in ast.unparse(value) for value in spread)
