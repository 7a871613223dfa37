"""Query filters find planted problems and leave their near misses, and what is left goes into stages that take problems."""

import json
from pathlib import Path

import pytest
import yaml

from alignment.checks.recipe import checked
from alignment.core.errors import RecipeError
from alignment.data.mixture import load_parts
from alignment.data.rows import Problem, read_rows, user_turn
from alignment.data_factory.filters.check import sort_rows
from alignment.data_factory.filters.queries import query_checks, several_questions
from alignment.data_factory.overlap import TestIndex
from alignment.lint.rows import sound_problems
from alignment.recipe.blocks.rewards import Reward
from alignment.records.card import DataCard
from alignment.run.plan import RunPlan
from alignment.run.stage import main

SPECS = [Reward(kind="math_answer"), Reward(kind="think_format", weight=0)]
TESTED = "A lorry carries nine crates of oranges from the northern harbour to the market; how many crates does it carry in four trips?"


def problem(name: str, question: str, answer: str = "4") -> Problem:
    return Problem(name, [user_turn(question)], answer)


@pytest.mark.parametrize(
    "question",
    [
        "A farmer has 12 sheep. (a) How many legs have they? (b) How many ears?",
        "Let x = 3. (i) Find 2x. (ii) Find x squared.",
        "How many days has a week? And how many has June?",
        "Let n be even. Prove that n squared is divisible by four.",
        "Show that the sum of two odd numbers is even.",
    ],
)
def test_a_problem_with_more_than_one_answer_or_a_proof_is_found(question: str) -> None:
    assert several_questions(question) is not None


@pytest.mark.parametrize(
    "question",
    [
        "Let f(a) = 2a and f(b) = 4. What is f(3)?",
        "Which of the following is prime? (a) 4 (b) 6 (c) 7",
        "A shop shows that 20 of 25 apples are sold. How many are left?",
        "Find (x + 1)(x - 1) at x = 3.",
        "What is 2 + 2?",
    ],
)
def test_a_problem_with_one_answer_stays(question: str) -> None:
    assert several_questions(question) is None


def test_each_query_filter_finds_its_planted_problem_and_counts_what_it_cannot_tell() -> None:
    problems = [
        problem("sound", "What is 12 + 34 - 42?"),
        problem("no answer", "What do you think of it?", ""),
        problem("parts", "Let x = 2. (a) Find x + 2. (b) Find x - 2."),
        problem("easy", "What is 2 + 2?"),
        problem("again", "what is  12 + 34 - 42?"),
        problem("other sign", "What is 12 - 34 + 42?", "20"),
        problem("tested", f"Please tell me: {TESTED}", "36"),
        problem("not judged", "What is 17 - 13?"),
    ]
    solved = {"sound": 0.5, "easy": 1.0, "again": 0.0, "other sign": 0.0, "tested": 0.0, "not judged": None}
    found = sort_rows(problems, query_checks(problems, SPECS, solved, 1.0, TestIndex.of([("harbour", TESTED)])))
    assert {fault.row.id: fault.check for fault in found.faults} == {
        "no answer": "not_verifiable", "parts": "not_verifiable", "easy": "solved_without_thinking",
        "again": "duplicate", "tested": "similar_to_evaluation",
    }  # fmt: skip
    assert [row.id for row in found.kept] == ["sound", "other sign", "not judged"]
    assert found.unknown["solved_without_thinking"] == 3, "also of the two that nobody could judge"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> RunPlan:
    """A run of a filter_queries stage that asks the embedded model, and a sample stage on what it left."""
    folder = tmp_path_factory.mktemp("queries")
    asked = [{"question": f"What is {number} + 5?", "answer": str(number + 5)} for number in range(11, 17)]
    asked += [asked[0], {"question": "Let x = 2. (a) Find x + 2. (b) Find x - 2.", "answer": "4"}]
    (folder / "problems.jsonl").write_text("".join(json.dumps(one) + "\n" for one in asked), encoding="utf-8")
    rollout = {"engine": "transformers", "generations": 2, "max_prompt_tokens": 128, "max_completion_tokens": 8}
    stages = [
        {"name": "asked", "kind": "filter_queries", "data": "./problems.jsonl", "rewards": [{"kind": "math_answer"}], "rollout": rollout},
        {"name": "drawn", "kind": "sample", "data": [{"stage": "asked"}], "rewards": [{"kind": "math_answer"}], "rollout": rollout},
    ]  # fmt: skip
    recipe = {
        "name": "queries",
        "model": "embedded",
        "stages": stages,
        "evaluations": {
            "after_each_stage": ["chain-sum"],
            "count": 8,
            "max_prompt_tokens": 128,
            "max_completion_tokens": 64,
        },
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    checked(folder / "recipe.yaml", [])
    plan = RunPlan.load(folder / "recipe.yaml", [], folder / "run")
    main(plan.path, "asked", plan.run.path, [])
    return plan


def test_a_stage_asks_the_policy_without_thinking_and_leaves_problems_that_other_stages_take(plan: RunPlan) -> None:
    folder = plan.folder("asked")
    left = list(read_rows(folder.output / "problems.jsonl", "problem"))
    assert len(left) == 6 and {type(one) for one in left} == {Problem}
    counts = folder.manifest().counts
    assert counts["found"]["duplicate"] == 1 and counts["found"]["not_verifiable"] == 1
    assert counts["found"]["solved_without_thinking"] == 0 and folder.manifest().tokens > 0
    modes = {json.loads(line)["mode"] for line in folder.rollouts.read_text(encoding="utf-8").splitlines()}
    assert modes == {"non_thinking"}
    assert DataCard.read(folder.output / "card.json").figures.rows == 6
    stage = plan.recipe.stage("drawn")
    taken, faulty = sound_problems(plan.recipe, stage, load_parts(stage.data), lambda name: plan.folder(name).output)
    assert [one.id for one in taken] == [one.id for one in left] and not faulty  # type: ignore[union-attr]
    assert list(plan.inputs("drawn")) == ["asked", "model"]


def test_check_refuses_thinking_in_the_rollout_and_rows_where_problems_are_needed(
    plan: RunPlan, tmp_path: Path
) -> None:
    recipe = yaml.safe_load(plan.path.read_text(encoding="utf-8"))
    recipe["stages"][0]["rollout"]["thinking_fraction"] = 0.5
    recipe["stages"][0]["data"] = str(plan.path.parent / "problems.jsonl")
    recipe["stages"].append(
        {"name": "again", "kind": "grpo", "data": [{"stage": "drawn"}], "rewards": [{"kind": "math_answer"}]}
    )
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    with pytest.raises(RecipeError) as refused:
        checked(path, [])
    assert "answers without thinking here" in str(refused.value)
    assert "a grpo stage needs problems with answers" in str(refused.value)
