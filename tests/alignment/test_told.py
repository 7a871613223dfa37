"""Questions that say how long to think: what is asked, what the worked solutions show, and what the verdict reads."""

import pytest

from alignment.core.resources import resource
from alignment.data.mixture import conversations_of, problems_of
from alignment.data.rows import Problem, user_turn
from alignment.data.target_length import REVIEW, tell
from alignment.inference.sampler import Completion, Request
from alignment.recipe.data import MixturePart
from alignment.recipe.rewards import Reward
from alignment.recipe.schema import Recipe
from alignment.rollout.scoring import Scorer
from alignment.run.plan import Pipeline

TOLD = [16, 40, 64]


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Pipeline.load(resource("recipes/tiny-budget-rl.yaml"), []).recipe


def part(**settings: object) -> MixturePart:
    shared = {"source": "chain-sum", "split": "cold_start", "count": 60, "seed": 1, "target_lengths": TOLD}
    return MixturePart.model_validate({**shared, **settings})


def test_budgets_are_told_in_turn_and_stand_in_the_question(recipe: Recipe) -> None:
    problems = problems_of(recipe, [part()])
    assert [problem.columns["budget"] for problem in problems] == TOLD * 20
    assert all(f"about {problem.columns['budget']} tokens." in problem.question for problem in problems)
    assert len({problem.id for problem in problems}) == 60


@pytest.mark.parametrize(("share", "least", "most"), [(1.0, 60, 60), (0.5, 30, 52), (0.0, 8, 34)])
def test_a_worked_solution_is_as_long_as_was_asked_in_the_share_that_means_it(
    recipe: Recipe, share: float, least: int, most: int
) -> None:
    rows = conversations_of(
        recipe, [part(max_review_passes=2, length_matched_fraction=share)], lambda _: resource("data")
    )
    kept = 0
    for row in rows:
        told = int(row.messages[0]["content"].rsplit("about ", 1)[1].split(" ")[0])
        kept += row.messages[-1]["reasoning_content"].count(REVIEW) == TOLD.index(told)
    assert least <= kept <= most


def test_a_part_without_budgets_is_as_it_was(recipe: Recipe) -> None:
    (plain,) = problems_of(recipe, [part(target_lengths=[], count=1)])
    assert "tokens" not in plain.question and "budget" not in plain.columns and REVIEW not in (plain.trace or "")


def test_the_verdict_is_about_the_told_budget_and_not_about_the_forced_one() -> None:
    problem = tell(Problem("one", [user_turn("1 + 1 =")], "2"), 40)
    made = [
        Completion(Request([1], "thinking", 500), [5], [0.0], [False], "end", "<think>\n1\n</think>\n\n2", thought)
        for thought in (40, 30, 100)
    ]
    scorer = Scorer([Reward.model_validate({"kind": "length", "form": "adherence"})])
    untold = Problem("two", [user_turn("1 + 1 =")], "2")
    judged = scorer.judge([problem] * 3, made)
    assert [row.verdicts["length"].score for row in judged] == [1.0, 0.75, 0.0]
    (alone,) = scorer.judge([untold], [Completion(Request([1], "thinking"), [5], [0.0], [False], "end", "2", 9)])
    assert not alone.verdicts["length"].applicable
