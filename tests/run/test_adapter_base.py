"""The model under a continued adapter is one of the stage's inputs, as the policy that it starts from is."""

from pathlib import Path

import pytest

from alignment.core.files import canonical_hash, folder_files
from alignment.records.manifest import Manifest
from alignment.run.plan import RunPlan

RECIPE = """\
name: chain
model: embedded
stages:
  - {name: one, kind: sft, data: tiny-cold-start, START}
  - {name: two, kind: sft, data: tiny-cold-start, lora: {rank: 4}}
  - {name: three, kind: sft, data: tiny-cold-start, lora: {rank: 4, adapter: continue}}
  - {name: four, kind: sft, data: tiny-cold-start, lora: {rank: 4, adapter: continue}}
"""


def plan_of(folder: Path, start: str = "max_length: 512") -> RunPlan:
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.replace("START", start), encoding="utf-8")
    return RunPlan.load(path, [], folder / "run")


def finish(plan: RunPlan, name: str, content: str) -> str:
    """A stage with a manifest over one file; returns its output hash."""
    folder = plan.folder(name)
    folder.output.mkdir(parents=True, exist_ok=True)
    (folder.output / "weights").write_text(content, encoding="utf-8")
    output, identity = folder_files(folder.output), plan.identity(name)
    Manifest(
        name, "sft", identity, canonical_hash(identity), plan.inputs(name), output, canonical_hash(output), 0, 1.0
    ).write(folder.manifest_path)
    return canonical_hash(output)


def test_the_stage_under_an_adapter_is_an_input_of_every_stage_that_continues_it(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    hashes = {name: finish(plan, name, name) for name in ("one", "two", "three")}
    assert plan.inputs("two") == {"one": hashes["one"]}
    assert plan.inputs("three") == {"two": hashes["two"], "one": hashes["one"]}
    assert plan.inputs("four") == {"three": hashes["three"], "one": hashes["one"]}
    assert plan.needed_for("four") == ["one", "two", "three", "four"]
    finish(plan, "one", "made again")
    with pytest.raises(Exception, match=f"inputs.one: {hashes['one'][:37]}"):
        plan.state("three")


def test_an_adapter_that_was_begun_on_the_base_model_has_it_as_an_input(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "lora: {rank: 4}")
    for name in ("one", "two"):
        finish(plan, name, name)
    assert set(plan.inputs("three")) == {"two", "one"}, "`two` begins a new adapter on what `one` left"
    begun = plan_of(tmp_path, "lora: {rank: 4}")
    again = begun.recipe.stages[1].model_copy(update={"lora": begun.recipe.stages[2].lora})  # type: ignore[attr-defined]
    recipe = begun.recipe.model_copy(update={"stages": [begun.recipe.stages[0], again]})
    continued = RunPlan(recipe, begun.path, (), begun.run)
    assert set(continued.inputs("two")) == {"one", "model"}
