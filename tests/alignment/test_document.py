"""A recipe file is read with anchors, merges and overrides, and everything in it remembers where it was written."""

from pathlib import Path

import pytest

from alignment.core.errors import RecipeError
from alignment.recipe.reading.load import Document
from alignment.recipe.schema import Recipe
from alignment.training.kinds.grpo import GrpoStage

TEXT = """\
name: two-stages
model: embedded
stages:
  - name: reasoning
    kind: grpo
    data: &problems
      - {source: chain-sum, split: reasoning, count: 64}
      - {source: chain-sum, split: general, count: 32}
    rollout: &rollout
      generations: 8
      problems_per_step: 16
    rewards: &rewards
      - {kind: math_answer, weight: 1.0}
      - {kind: think_format, name: form, weight: 0.2}
  - name: general
    kind: grpo
    data: tiny-general
    rollout:
      generations: 4
      <<: *rollout
      problems_per_step: 32
    rewards: *rewards
"""


@pytest.fixture
def read(tmp_path: Path):
    def document(*overrides: str, text: str = TEXT) -> Document:
        path = tmp_path / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        return Document(path, list(overrides))

    return document


def typed(document: Document) -> Recipe:
    recipe, problems = document.recipe()
    assert problems == []
    assert recipe is not None
    return recipe


def grpo(document: Document, name: str) -> GrpoStage:
    stage = typed(document).stage(name)
    assert isinstance(stage, GrpoStage)
    return stage


def test_a_mapping_keeps_its_own_keys_over_those_it_merges_wherever_the_merge_stands(read) -> None:
    rollout = grpo(read(), "general").rollout
    assert (rollout.generations, rollout.problems_per_step) == (4, 32)


def test_of_several_merged_mappings_the_first_wins(read) -> None:
    text = TEXT.replace("<<: *rollout\n", "<<: [*rollout, {generations: 2, temperature: 0.5}]\n").replace(
        "      generations: 4\n", ""
    )
    rollout = grpo(read(text=text), "general").rollout
    assert (rollout.generations, rollout.temperature) == (8, 0.5)


def test_an_alias_is_a_copy_so_that_an_override_changes_one_stage_only(read) -> None:
    document = read("stages.general.rewards.math_answer.weight=3")
    assert grpo(document, "general").rewards[0].weight == 3
    assert grpo(document, "reasoning").rewards[0].weight == 1


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("name",), 1),
        (("stages", 0, "data", 1), 8),
        (("stages", 0, "rollout", "generations"), 10),
        (("stages", 1, "rollout", "generations"), 19),  # its own key, not the merged one
        (("stages", 1, "rollout", "problems_per_step"), 21),
        (("stages", 1, "rewards", 1, "weight"), 14),  # written where the anchor stands
        (("stages", 1, "nothing", "there"), 15),  # the nearest thing that was written
    ],
)
def test_every_place_knows_its_line(read, place: tuple[str | int, ...], line: int) -> None:
    assert read().locate(place).endswith(f"recipe.yaml:{line}")


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("stages.reasoning.rollout.generations=16", lambda stage: stage.rollout.generations == 16),
        ("stages.reasoning.rewards.math_answer.timeout_seconds=4", lambda s: s.rewards[0].model_extra == {"timeout_seconds": 4}),
        ("stages.reasoning.rewards.form.weight=1", lambda stage: stage.rewards[1].weight == 1),
        ("stages.0.data.1.count=5", lambda stage: stage.data[1].count == 5),
        ("stages.reasoning.data.chain-sum.seed=5", lambda stage: (stage.data[0].seed, stage.data[1].seed) == (5, 0)),
        ("stages.reasoning.lora.rank=4", lambda stage: stage.lora.rank == 4),
        ("stages.reasoning.trainer={max_steps: 3}", lambda stage: stage.trainer == {"max_steps": 3}),
        ("stages.reasoning.rollout.thinking_budget.stop_text='a=b</think>'", lambda s: s.rollout.thinking_budget.stop_text == "a=b</think>"),
        ("stages.reasoning.rollout.thinking_budget.most=null", lambda stage: stage.rollout.thinking_budget.most is None),
        ("stages.reasoning.rollout.thinking_budget=40", lambda stage: stage.rollout.thinking_budget.most == 40),
    ],
)  # fmt: skip
def test_an_override_finds_its_place_by_name(read, override: str, value) -> None:
    assert value(grpo(read(override), "reasoning"))


def test_of_two_overrides_of_one_place_the_last_wins(read) -> None:
    assert typed(read("seed=1", "seed=2")).seed == 2


def test_an_error_in_an_override_names_the_override_and_not_a_line(read) -> None:
    document = read("stages.reasoning.rollout.generations=0", "hardware.processes=0")
    _, problems = document.recipe()
    assert [document.describe(problem).split(": ")[0] for problem in problems] == [
        "--set hardware.processes=0",
        "--set stages.reasoning.rollout.generations=0",
    ]


def test_a_bad_override_names_what_there_is(read) -> None:
    with pytest.raises(RecipeError, match=r"`zzz` is not in stages.reasoning.rewards; write one of: math_answer, form"):
        read("stages.reasoning.rewards.zzz.weight=1")
    with pytest.raises(RecipeError, match="`9` is not in stages; write one of: reasoning, general"):
        read("stages.9.data=x")


def test_nothing_in_a_recipe_can_change_after_it_was_read(read) -> None:
    with pytest.raises(ValueError, match="frozen"):
        typed(read()).seed = 3
