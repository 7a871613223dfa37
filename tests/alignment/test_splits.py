"""Training can never meet a problem that is held out, whatever seed, stage or recipe drew it."""

import itertools
from pathlib import Path

import pytest

from alignment.core.errors import DataError
from alignment.core.resources import resource
from alignment.core.vocabulary import SPLITS
from alignment.data.generators.families import problem_key
from alignment.data.mixture import load_parts, problems_of
from alignment.data.rows import Problem
from alignment.data.sources.declared import Procedural, source_names
from alignment.data.sources.named import load_source
from alignment.data.sources.rows import source_problems
from alignment.data.sources.splits import only, split_of
from alignment.evaluation.task import held_out
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.recipe.reading.load import Document
from alignment.recipe.schema import Recipe
from alignment.training.kinds.sft import SftStage

COUNT = 500
RECIPES = sorted(resource("recipes").glob("*.yaml"))
PROCEDURAL = [name for name in source_names() if isinstance(load_source(name), Procedural)]


def drawn(source: str, split: str, seed: int, count: int = COUNT) -> list[Problem]:
    part = MixturePart(source=source, split=split, seed=seed, count=count)
    return problems_of(recipe_with([part]), [part])


def recipe_with(parts: list[MixturePart], tasks: tuple[str, ...] = ()) -> Recipe:
    stage = SftStage(name="only", kind="sft", data=parts)
    return Recipe(name="r", model="embedded", stages=[stage], evaluations=Evaluations(after_each_stage=list(tasks)))


def keys(problems: list[Problem]) -> set[str]:
    """The problems themselves, without what their source adds to each."""
    return {
        problem_key(problem.question.removesuffix(load_source(problem.family.partition("/")[0]).instruction))
        for problem in problems
    }


def procedural_parts(recipe: Recipe) -> list[MixturePart]:
    parts = itertools.chain.from_iterable(load_parts(stage.data) for stage in recipe.stages)
    return [part for part in parts if part.source in PROCEDURAL]


def test_splits_share_no_problem_even_where_their_seeds_differ() -> None:
    found = {split: keys(drawn("chain-sum", split, seed)) for seed, split in enumerate(SPLITS)}
    assert {split: len(problems) for split, problems in found.items()} == dict.fromkeys(SPLITS, COUNT)
    for one, other in itertools.combinations(SPLITS, 2):
        assert not found[one] & found[other]


def test_two_seeds_that_lie_close_together_draw_other_problems() -> None:
    one, other = (keys(drawn("chain-sum", "reasoning", seed)) for seed in (1, 2))
    assert len(one & other) < COUNT // 10


def test_the_same_seed_draws_the_same_problems_in_the_same_order() -> None:
    assert drawn("chain-sum", "fusion", 7, 50) == drawn("chain-sum", "fusion", 7, 50)


def test_what_is_held_out_does_not_follow_the_wording_but_the_problem() -> None:
    assert split_of("State the final answer: 2 + 3") == split_of("  state the  final answer:\n2 + 3 ")


@pytest.mark.parametrize("name", PROCEDURAL)
def test_no_problem_is_drawn_twice_and_its_answer_ends_its_worked_solution(name: str) -> None:
    found = list(itertools.islice(source_problems(load_source(name), seed=0, parameters={}, path=None), 200))
    assert len(keys(found)) == 200
    for problem in found:
        if not problem.answer:
            assert problem.columns, "a problem without an answer is judged by its columns"
            continue
        if problem.demonstration:
            assert problem.demonstration[-1]["content"] == f"\\boxed{{{problem.answer}}}"
            continue
        assert problem.trace is not None
        assert problem.trace.split()[-1] == problem.answer


def test_a_part_that_asks_for_more_than_there_is_fails_and_does_not_search_for_ever() -> None:
    digits = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    part = MixturePart(source="chain-sum", split="general", count=1000, parameters=digits)
    with pytest.raises(DataError, match=r"source `chain-sum` has \d+ rows for this part, fewer than count: 1000"):
        problems_of(recipe_with([part]), [part])


def test_a_part_without_a_split_never_meets_what_is_held_out() -> None:
    part = MixturePart(source="chain-sum", count=COUNT)
    assert all(split_of(problem.question) != "evaluation" for problem in problems_of(recipe_with([part]), [part]))
    assert all(
        split_of(problem.question) == "evaluation" for problem in held_out(recipe_with([part], ("chain-sum",)), 50, 3)
    )


def test_sources_with_the_same_problems_and_other_instructions_keep_them_in_the_same_split() -> None:
    one, other = load_source("chain-sum"), load_source("chain-sum-boxed")
    assert isinstance(one, Procedural)
    assert isinstance(other, Procedural)
    assert (one.family, one.instruction) != (other.family, other.instruction)
    small = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}  # so few that all of them are met
    part = MixturePart(source="chain-sum", parameters=small)
    settings = Evaluations(after_each_stage=["chain-sum-boxed"], parameters={"chain-sum-boxed": small})
    recipe = recipe_with([part]).model_copy(update={"evaluations": settings})
    trained, measured = problems_of(recipe, [part]), held_out(recipe, COUNT, 3)
    assert len(trained) > 100
    assert len(measured) > 20
    assert all(problem.question.endswith("\\boxed{}.") for problem in measured)
    assert not keys(trained) & keys(measured)


def test_a_source_for_training_cannot_be_evaluated_on() -> None:
    with pytest.raises(DataError, match="`gsm8k-train` is for training"):
        held_out(recipe_with([MixturePart(source="chain-sum")], ("gsm8k-train",)), 5, 0)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_no_recipe_trains_on_a_problem_that_it_is_measured_on(path: Path) -> None:
    recipe, _ = Document(path).recipe()
    assert recipe is not None
    tasks = [name for name in recipe.evaluations.after_each_stage if name in PROCEDURAL]
    parts = procedural_parts(recipe)
    if not (tasks and parts):
        pytest.skip("nothing in this recipe is procedural; tables are held apart by what their source is for")
    settings = recipe.evaluations.model_copy(update={"after_each_stage": tasks})
    measured = keys(held_out(recipe.model_copy(update={"evaluations": settings}), COUNT, settings.seed))
    assert measured
    for part in parts:
        shorter = part.model_copy(update={"count": min(part.count or COUNT, COUNT)})
        assert not measured & keys(problems_of(recipe, [shorter]))


def test_only_keeps_the_order() -> None:
    found = list(itertools.islice(source_problems(load_source("chain-sum"), seed=0, parameters={}, path=None), 100))
    kept = list(only(["fusion"], found))
    assert kept == [problem for problem in found if problem in kept]
