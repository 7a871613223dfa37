"""Functions of the user's own in a recipe: found by name, held to their signature, and a part of what a stage is."""

from pathlib import Path

import pytest
import yaml

from alignment.core.errors import RecipeError, StaleInputsError
from alignment.core.resources import resource
from alignment.recipe.own.function import named_function
from alignment.run.plan import RunPlan

CODE = "def ranked(rewards_NG, mask_NGT):\n    return rewards_NG - {}\n"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of the folder from which commands are started."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"ranks_of_{tmp_path.name.replace('-', '_')}.py"
    path.write_text(CODE.format(1), encoding="utf-8")
    return path


def test_a_function_is_found_in_the_folder_of_the_command(module: Path) -> None:
    assert named_function(f"{module.stem}:ranked", ("rewards_NG", "mask_NGT"))(3, None) == 2


def test_what_cannot_be_called_so_says_what_it_takes(module: Path) -> None:
    with pytest.raises(RecipeError, match=r"is called with \(tokens\) and takes \(rewards_NG, mask_NGT\)"):
        named_function(f"{module.stem}:ranked", ("tokens",))
    with pytest.raises(RecipeError, match="has no function `rankd`; it has ranked"):
        named_function(f"{module.stem}:rankd", ("tokens",))


def test_a_stage_is_not_resumed_with_another_function_under_the_same_name(module: Path, tmp_path: Path) -> None:
    recipe = yaml.safe_load(resource("recipes/tiny-thinking.yaml").read_text(encoding="utf-8"))
    recipe["stages"] = [stage for stage in recipe["stages"] if stage["name"] == "reasoning_rl"]
    recipe["stages"][0]["algorithm"] = {"type": "dapo", "advantages": f"{module.stem}:ranked"}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    plan = RunPlan.load(path, [], tmp_path / "run")
    plan.folder("reasoning_rl").path.mkdir(parents=True)
    plan.begin("reasoning_rl")
    assert RunPlan.load(path, [], tmp_path / "run").state("reasoning_rl") == "unfinished"
    module.write_text(CODE.format(2), encoding="utf-8")
    with pytest.raises(StaleInputsError, match=f"{module.stem}:ranked"):
        RunPlan.load(path, [], tmp_path / "run").state("reasoning_rl")
