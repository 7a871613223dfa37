"""Target lengths: the question, the worked solutions of matching length, and the verdict of `length`."""

import pytest

from alignment.core.resources import resource
from alignment.data.mixture import conversations_of, problems_of
from alignment.data.rows import Problem, user_turn
from alignment.data.target_length import REVIEW, with_target_length
from alignment.inference.engine import Generation, GenerationRequest
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.blocks.rewards import Reward
from alignment.recipe.blocks.sampling import ThinkingBudget
from alignment.recipe.schema import Recipe
from alignment.rollout.environments.protocol import Opening
from alignment.rollout.scoring import Scorer
from alignment.rollout.trajectory import one_turn
from alignment.run.plan import RunPlan

TARGETS = [16, 40, 64]


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return RunPlan.load(resource("recipes/tiny-budget-rl.yaml"), []).recipe


def part(**settings: object) -> MixturePart:
    shared = {"source": "chain-sum", "split": "cold_start", "count": 60, "seed": 1, "target_lengths": TARGETS}
    return MixturePart.model_validate({**shared, **settings})


def test_questions_ask_for_the_target_lengths_in_turn(recipe: Recipe) -> None:
    problems = problems_of(recipe, [part()])
    assert [problem.columns["budget"] for problem in problems] == TARGETS * 20
    assert all(f"about {problem.columns['budget']} tokens." in problem.question for problem in problems)
    assert len({problem.id for problem in problems}) == 60


@pytest.mark.parametrize(("fraction", "least", "most"), [(1.0, 60, 60), (0.5, 30, 52), (0.0, 8, 34)])
def test_the_length_matched_fraction_of_solutions_has_the_length_asked_for(
    recipe: Recipe, fraction: float, least: int, most: int
) -> None:
    rows = conversations_of(
        recipe, [part(max_review_passes=2, length_matched_fraction=fraction)], lambda _: resource("data")
    )
    kept = 0
    for row in rows:
        target = int(row.messages[0]["content"].rsplit("about ", 1)[1].split(" ")[0])
        kept += row.messages[-1]["reasoning_content"].count(REVIEW) == TARGETS.index(target)
    assert least <= kept <= most


def test_a_part_without_target_lengths_is_unchanged(recipe: Recipe) -> None:
    (plain,) = problems_of(recipe, [part(target_lengths=[], count=1)])
    assert "tokens" not in plain.question and "budget" not in plain.columns and REVIEW not in (plain.trace or "")


def test_adherence_is_judged_against_the_target_length_and_not_the_budget() -> None:
    problem = with_target_length(Problem("one", [user_turn("1 + 1 =")], "2"), 40)
    made = [
        one_turn(
            Opening([], []),
            Generation(
                GenerationRequest([1], "thinking", ThinkingBudget(most=500)),
                [5],
                [0.0],
                [False],
                "end",
                "<think>\n1\n</think>\n\n2",
                thought,
            ),
        )
        for thought in (40, 30, 100)
    ]
    scorer = Scorer([Reward.model_validate({"kind": "length", "form": "adherence"})])
    untargeted = Problem("two", [user_turn("1 + 1 =")], "2")
    judged = scorer.judge([problem] * 3, made)
    assert [row.verdicts["length"].score for row in judged] == [1.0, 0.75, 0.0]
    (alone,) = scorer.judge(
        [untargeted],
        [one_turn(Opening([], []), Generation(GenerationRequest([1], "thinking"), [5], [0.0], [False], "end", "2", 9))],
    )
    assert not alone.verdicts["length"].applicable
