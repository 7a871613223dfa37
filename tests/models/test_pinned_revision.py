"""A hub model at a revision: everything that is loaded is of that commit, and the commit is a part of the identity."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file, save_file

from alignment.checks.recipe import checked
from alignment.core.errors import ArtifactError, RecipeError
from alignment.core.resources import resource
from alignment.lint.markers import CHATML, markers_of
from alignment.run.base_model import _prepare
from alignment.run.plan import RunPlan
from alignment.run.start.hub import moving, pinned_folder

MODEL = "some/model"
OLD, NEW = "1" * 40, "2" * 40
NORM = "model.norm.weight"


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache with two commits of a model, which differ in one weight; main is the newer one. There is no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = tmp_path / "hub" / "models--some--model"
    for number, commit in enumerate((OLD, NEW), 1):
        snapshot = folder / "snapshots" / commit
        shutil.copytree(resource("data/base"), snapshot)
        weights = load_file(snapshot / "model.safetensors")
        weights[NORM] = weights[NORM] * 0 + number
        save_file(weights, snapshot / "model.safetensors", {"format": "pt"})
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(NEW, encoding="utf-8")
    return folder


def recipe(folder: Path, **changes: object) -> Path:
    data = [{"source": "chain-sum", "split": "cold_start", "count": 8}]
    stages = [{"name": "cold_start", "kind": "sft", "data": data, "max_length": 256}]
    path = folder / "recipe.yaml"
    written = {"name": "pinned", "model": MODEL, "stages": stages, **changes}
    path.write_text(yaml.safe_dump(written), encoding="utf-8")
    return path


def test_a_revision_names_the_folder_of_its_commit(cached: Path) -> None:
    assert pinned_folder(MODEL, OLD, trust_remote_code=False) == str(cached / "snapshots" / OLD)
    assert pinned_folder(MODEL, "main", trust_remote_code=False) == str(cached / "snapshots" / NEW)
    assert pinned_folder(MODEL, None, trust_remote_code=False) == MODEL
    with pytest.raises(
        ArtifactError, match=r"some/model cannot be read at revision 3333333.*write a commit that the hub has"
    ):
        pinned_folder(MODEL, "3" * 40, trust_remote_code=False)


def test_a_prepared_model_has_the_weights_of_the_pinned_commit(cached: Path, tmp_path: Path) -> None:
    plan = RunPlan.load(recipe(tmp_path, revision=OLD, add_tokens=["<more>"]), [], tmp_path / "run")
    assert plan.identity("cold_start")["inputs"] == {"model": f"hub:{MODEL}@{OLD}"}
    plan.run.path.mkdir()
    _prepare(plan)
    assert load_file(plan.run.base / "model.safetensors")[NORM].float().mean() == 1.0
    other = RunPlan.load(recipe(tmp_path, revision=NEW, add_tokens=["<more>"]), [], tmp_path / "run")
    with pytest.raises(Exception, match=f"revision: {OLD[:37]}"):
        other.base.needs_preparing()


def test_only_a_hub_model_has_a_revision(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="revision: the embedded model has no revisions; leave `revision` out"):
        checked(recipe(tmp_path, model="embedded", revision=OLD), [])


def test_a_model_that_may_move_is_said() -> None:
    assert moving(MODEL, OLD) is None
    assert "is not pinned" in str(moving(MODEL, None))
    assert "is a branch or tag, which may move" in str(moving(MODEL, "main"))


def test_special_tokens_of_a_hub_model_in_the_cache_are_looked_for_in_rows(cached: Path) -> None:
    file = cached / "snapshots" / OLD / "tokenizer.json"
    tokenizer = json.loads(file.read_text(encoding="utf-8"))
    tokenizer["added_tokens"].append({**tokenizer["added_tokens"][0], "content": "[TURN]", "special": True})
    file.write_text(json.dumps(tokenizer), encoding="utf-8")
    assert "[TURN]" in markers_of(MODEL, OLD) and "[TURN]" not in markers_of(MODEL, NEW)
    assert markers_of("some/other", None) == CHATML
