"""Instruction-following problems: enough of them, all judgeable, and mixed with arithmetic in one grpo stage."""

import itertools
from collections import Counter
from pathlib import Path

import pytest
import yaml

from alignment.checks.recipe import checked
from alignment.checks.rewards import columns_read
from alignment.core.errors import DataError, RecipeError
from alignment.core.vocabulary import Mode
from alignment.data.generators.families import problem_key, problems
from alignment.data.mixture import as_conversation
from alignment.data.rows import Problem, user_turn
from alignment.data.sources.declared import row_columns
from alignment.data.sources.named import load_source
from alignment.inference.engine import Generation, GenerationRequest
from alignment.recipe.blocks.rewards import Reward
from alignment.rollout.environments.protocol import Opening
from alignment.rollout.judgeable import refuse_unjudged
from alignment.rollout.scoring import Scorer
from alignment.rollout.summary import summary
from alignment.rollout.trajectory import Trajectory, one_turn
from rewards import instruction_fault
from rewards.kinds.instruction.constraints import CONSTRAINTS

SPECS = [
    Reward(kind="math_answer", weight=1.0),
    Reward(kind="instruction", weight=1.0),
    Reward(kind="think_format", weight=0.5),
]
ARITHMETIC = Problem("a", [user_turn("What is 3 + 4?")], "7")
NO_COMMA = Problem("n", [user_turn("Write without commas.")], "", None, "", {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]})  # fmt: skip


HELD_OUT = ["keywords:frequency", "detectable_format:constrained_response", "length_constraints:number_sentences"]


def drawn(seed: int, count: int, **parameters: object) -> list[Problem]:
    return list(itertools.islice(problems("instructions", seed=seed, parameters=dict(parameters)), count))


def completion(text: str, mode: Mode = "non_thinking") -> Trajectory:
    return one_turn(
        Opening([], []), Generation(GenerationRequest([1], mode), [1, 2], [0.0, 0.0], [False, False], "end", text, 0)
    )


def test_there_are_ten_thousand_distinct_problems_and_all_can_be_judged() -> None:
    found = drawn(0, 10_000)
    assert len({problem_key(problem.question) for problem in found}) == 10_000
    for problem in found:
        names, kwargs = problem.columns["instruction_id_list"], problem.columns["kwargs"]
        assert 1 <= len(names) <= 2
        assert [trouble for pair in zip(names, kwargs, strict=True) if (trouble := instruction_fault(*pair))] == []
    kinds = Counter(name for problem in found for name in problem.columns["instruction_id_list"])
    assert len(kinds) == 13
    assert min(kinds.values()) > 100


def test_the_same_seed_gives_the_same_problems_and_another_seed_others() -> None:
    assert drawn(3, 50) == drawn(3, 50)
    one, other = ({problem.question for problem in drawn(seed, 1000)} for seed in (1, 2))
    assert len(one & other) < 150


def test_one_constraint_at_most_can_be_asked_for_and_nothing_else() -> None:
    assert {len(problem.columns["kwargs"]) for problem in drawn(0, 200, most_constraints=1)} == {1}
    with pytest.raises(DataError, match="most_constraints"):
        drawn(0, 1, constraints=1)


def test_all_types_but_those_held_out_can_be_asked_for() -> None:
    found = drawn(0, 3000, held_out_types=HELD_OUT)
    for problem in found:
        names, kwargs = problem.columns["instruction_id_list"], problem.columns["kwargs"]
        assert [trouble for pair in zip(names, kwargs, strict=True) if (trouble := instruction_fault(*pair))] == []
        if "combination:repeat_prompt" in names:
            assert len(names) == 1
            assert problem.question.startswith(kwargs[0]["prompt_to_repeat"] + " Before")
    kinds = Counter(name for problem in found for name in problem.columns["instruction_id_list"])
    assert set(kinds) == set(CONSTRAINTS) - set(HELD_OUT)
    assert min(kinds.values()) > 40
    with pytest.raises(DataError, match=r"'keywords:frequence', which is no type; the types are change_case"):
        drawn(0, 1, held_out_types=["keywords:frequence"])
    with pytest.raises(DataError, match="has every type"):
        drawn(0, 1, held_out_types=list(CONSTRAINTS))


def test_a_mixture_is_scored_by_what_applies_to_each_row_whatever_the_batch_holds() -> None:
    scorer = Scorer(SPECS)
    mixed = scorer.judge([ARITHMETIC, NO_COMMA], [completion("7"), completion("Salt; sea.")])
    assert [row.total for row in mixed] == [1.5, 1.5]
    wrong = scorer.judge([ARITHMETIC, NO_COMMA], [completion("8"), completion("Salt, sea.")])
    assert [row.total for row in wrong] == [0.5, 0.5]
    alone = scorer.judge([ARITHMETIC] * 9, [completion("7")] * 9)
    assert [row.total for row in alone] == [1.5] * 9
    assert "reward/instruction/unknown_fraction" not in summary(alone)
    assert summary(mixed)["unknown_fraction"] == 0.0
    scorer.close()


def test_a_problem_that_no_weighted_reward_can_judge_is_refused_before_anything_is_sampled() -> None:
    refuse_unjudged([ARITHMETIC, NO_COMMA], SPECS)
    with pytest.raises(DataError, match="problem n can be judged by no reward that has a weight"):
        refuse_unjudged([ARITHMETIC, NO_COMMA], SPECS[:1])
    broken = Problem("b", [user_turn("?")], "", None, "", {"instruction_id_list": ["no:such"], "kwargs": [{}]})
    with pytest.raises(DataError, match="problem b: there is no instruction 'no:such'"):
        refuse_unjudged([broken], SPECS)


def test_a_problem_without_an_answer_is_not_shown_as_an_example() -> None:
    with pytest.raises(DataError, match="has no answer, so an sft stage cannot train on it"):
        as_conversation(NO_COMMA, "non_thinking")


def test_a_source_says_which_columns_its_rows_have() -> None:
    assert row_columns(load_source("instructions")) == {"instruction_id_list", "kwargs"}
    assert row_columns(load_source("chain-sum")) == {"answer"}
    assert row_columns(load_source("gsm8k-train")) == {"answer"}


def recipe(tmp_path: Path, kind: str, rewards: list[str], sources: tuple[str, ...]) -> Path:
    stage: dict[str, object] = {
        "name": "only",
        "kind": kind,
        "data": [{"source": source, "split": "general", "count": 64} for source in sources],
    }
    if kind == "grpo":
        stage["rewards"] = [{"kind": one} for one in rewards]
        stage["trainer"] = {"max_steps": 1}
        stage["rollout"] = {"max_prompt_tokens": 256, "max_completion_tokens": 256}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({"name": "mixed", "model": "embedded", "stages": [stage]}), encoding="utf-8")
    return path


def test_a_recipe_may_mix_arithmetic_and_instructions(tmp_path: Path) -> None:
    kinds = ["math_answer", "instruction", "think_format"]
    checked(recipe(tmp_path, "grpo", kinds, ("chain-sum", "instructions")), [])


def test_a_reward_that_reads_a_column_under_another_name_is_checked_by_that_name() -> None:
    named = Reward.model_validate({"kind": "math_answer", "columns": {"answer": "solution"}})
    assert columns_read(named) == {"solution"}
    row = Problem("1", [user_turn("1 + 1?")], "", family="sums", columns={"solution": "2"})
    refuse_unjudged([row], [named])
    with pytest.raises(DataError, match="can be judged by no reward"):
        refuse_unjudged([row], [Reward(kind="math_answer")])


@pytest.mark.parametrize(
    ("kind", "rewards", "sources", "message"),
    [
        ("grpo", ["math_answer"], ("chain-sum", "instructions"), "can judge the rows of `instructions`"),
        ("grpo", ["math_answer", "instruction"], ("chain-sum",), "no source of this stage has it"),
        ("sft", [], ("instructions",), "has no answers to train on"),
    ],
)
def test_a_recipe_whose_rows_and_rewards_do_not_meet_is_refused(
    tmp_path: Path, kind: str, rewards: list[str], sources: tuple[str, ...], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        checked(recipe(tmp_path, kind, rewards, sources), [])
