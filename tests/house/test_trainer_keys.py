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
STAGES = Path(__file__).parents[2] / "alignment" / "training" / "stages"
FIELDS_OF_THE_CLASSES = """
import dataclasses, json
from trl import DPOConfig, GRPOConfig, SFTConfig
classes = {"sft": SFTConfig, "grpo": GRPOConfig, "dpo": DPOConfig}
print(json.dumps({kind: [field.name for field in dataclasses.fields(one) if field.init] for kind, one in classes.items()}))
"""


@cache
def imported() -> dict[str, list[str]]:
    """The fields of the imported classes, from one process that loads torch so that this one need not."""
    command = [sys.executable, "-W", "ignore", "-c", FIELDS_OF_THE_CLASSES]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout.splitlines()[-1])


@pytest.mark.parametrize("kind", TRAINED)
def test_the_fields_read_from_the_source_are_those_of_the_imported_class(kind: str) -> None:
    private = {name for name in imported()[kind] if name.startswith("_")}
    assert TRAINED[kind].known() == set(imported()[kind]) - private


@pytest.mark.parametrize("kind", TRAINED)
def test_every_key_that_a_stage_decides_is_one_that_trl_has(kind: str) -> None:
    known = TRAINED[kind].known()
    assert known is not None
    assert set(TRAINED[kind].owned) - known == set()


@pytest.mark.parametrize("kind", TRAINED)
def test_what_a_stage_sets_over_the_recipe_is_refused_in_the_recipe(kind: str) -> None:
    tree = ast.parse((STAGES / f"{kind}.py").read_text(encoding="utf-8"))
    settings = [node for node in ast.walk(tree) if isinstance(node, ast.Dict) and _spreads_the_recipe(node)]
    assert len(settings) == 1, "the one place where the recipe's trainer keys are joined with the stage's own"
    own = {key.value for key in settings[0].keys if isinstance(key, ast.Constant)}
    assert own - TRAINED[kind].owned.keys() == set()


def _spreads_the_recipe(node: ast.Dict) -> bool:
    spread = [value for key, value in zip(node.keys, node.values, strict=True) if key is None]
    return any("trainer_settings()" in ast.unparse(value) for value in spread)
