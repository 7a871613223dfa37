"""Recipes for GPUs run in miniature on a CPU, whole: what they join together works before anybody rents a machine for them."""

from pathlib import Path

import pytest
import yaml
from rehearsal import lesson, rehearsed

from alignment.core.resources import resource
from alignment.records.manifest import Manifest
from alignment.records.run_folder import RunFolder
from judge_server import JudgeServer
from scorers.reward_models import untrained_reward_model
from smoke.processes import alignment

pytestmark = pytest.mark.long
RECIPES = sorted(resource("recipes").glob("qwen3-*.yaml"))


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policy")
    done = alignment("run", lesson(folder), "--run", folder / "run")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "run/01-sums/output"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_for_gpus_runs_whole_in_miniature(recipe: Path, policy: Path, tmp_path: Path) -> None:
    reward_model = untrained_reward_model(tmp_path / "reward_model")
    with JudgeServer() as judge:
        small = rehearsed(recipe, tmp_path, model=policy, reward_model=reward_model, judge=judge.base_url)
        done = alignment("run", small, "--run", tmp_path / "run")
    assert done.returncode == 0, done.stdout + done.stderr
    run, names = RunFolder.open(tmp_path / "run"), [one["name"] for one in yaml.safe_load(recipe.read_text())["stages"]]
    for name in names:
        assert Manifest.read(run.find(name).path / "manifest.json").name == name
    assert (tmp_path / "run/report.html").is_file()
