"""Rows of public tables as problems: tests of programs, rows of one part of a file, and declarations that cannot work."""

import json
from pathlib import Path
from typing import Any, NoReturn

import pytest

from alignment.core.errors import DataError
from alignment.data.sources.declared import Table, row_columns
from alignment.data.sources.named import load_source
from alignment.data.sources.rows import source_problems
from alignment.data.tables.fields import Fields, read_problem
from alignment.inference.engine import Generation, GenerationRequest
from alignment.recipe.blocks.rewards import Reward
from alignment.rollout.environments.protocol import Opening
from alignment.rollout.judgeable import refuse_unjudged
from alignment.rollout.references import measuring_fault
from alignment.rollout.scoring import Scorer
from alignment.rollout.trajectory import one_turn
from rewards import IsolationUnavailable, machine_fault

SPECS = [Reward(kind="python_tests")]
MBPP = {
    "task_id": 601, "text": "Write a function that adds one.", "code": "def inc(x):\n    return x + 1",
    "test_list": ["assert inc(1) == 2", "assert inc(5) == 6", "assert inc(-1) == 0"], "test_setup_code": "",
}  # fmt: skip
HUMANEVAL = {
    "task_id": "HumanEval/0", "prompt": 'def inc(x):\n    """Add one."""\n', "entry_point": "inc",
    "canonical_solution": "    return x + 1\n", "test": "def check(candidate):\n    assert candidate(1) == 2\n",
}  # fmt: skip


def table(name: str) -> Table:
    source = load_source(name)
    assert isinstance(source, Table)
    return source


def test_mbpp_shows_one_assert_and_is_judged_by_all() -> None:
    source = table("mbpp-train")
    problem = read_problem(source.id, source.fields, 0, MBPP)
    assert "assert inc(1) == 2" in problem.question and "assert inc(5)" not in problem.question
    assert problem.answer == "" and row_columns(source) == {"tests", "solution"}
    assert problem.columns["tests"] == {"form": "asserts", "asserts": MBPP["test_list"], "setup": ""}
    if machine_fault({"kind": "python_tests"}):
        pytest.skip("nothing isolates programs here")
    right, by_heart = f"```python\n{MBPP['code']}\n```", "```python\ndef inc(x):\n    return 2\n```"
    made = [
        one_turn(
            Opening([], []), Generation(GenerationRequest([1], "non_thinking"), [1], [0.0], [False], "end", one, 0)
        )
        for one in (right, by_heart)
    ]
    scorer = Scorer(SPECS)
    assert [row.total for row in scorer.judge([problem] * 2, made)] == [1.0, 0.0]
    scorer.close()


def test_humaneval_is_asked_by_its_prompt_and_its_tests_stay_out_of_the_question() -> None:
    source = table("humaneval")
    problem = read_problem(source.id, source.fields, 0, HUMANEVAL)
    assert problem.question == HUMANEVAL["prompt"]
    assert problem.columns["tests"]["test"] == HUMANEVAL["test"] and problem.columns["solution"].startswith(
        "    return"
    )


def test_a_file_of_all_parts_gives_each_source_its_own(tmp_path: Path) -> None:
    path = tmp_path / "mbpp.jsonl"
    rows = [
        {**MBPP, "task_id": number, "text": f"Task {number}."} for number in (3, 10, 11, 510, 511, 600, 601, 974, 975)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    asked = {
        name: {problem.question.split(".")[0] for problem in source_problems(load_source(name), seed=0, parameters={}, path=path)}
        for name in ("mbpp-train", "mbpp-test")
    }  # fmt: skip
    assert asked == {"mbpp-train": {"Task 601", "Task 974"}, "mbpp-test": {"Task 11", "Task 510"}}
    path.write_text(json.dumps({name: value for name, value in MBPP.items() if name != "task_id"}), encoding="utf-8")
    with pytest.raises(DataError, match="row 0: `within` needs a number in task_id, and the row has none"):
        list(source_problems(load_source("mbpp-train"), seed=0, parameters={}, path=path))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"tests": {"asserts": "test_list"}}, "`tests` needs a `form`, one of stdio, calls, asserts, humaneval; found ''"),
        ({"tests": {"form": "unit"}}, "found 'unit'"),
        ({"tests": {"form": "asserts", "assert": "test_list"}}, "of form asserts have asserts, setup, not assert"),
        ({"tests": {"form": "stdio", "inputs": "i", "outputs": "o"}, "shown_asserts": 1}, "are those of form asserts"),
        ({"shown_asserts": 1}, "belong to `tests`, which is missing"),
        ({"solution": "code"}, "belong to `tests`, which is missing"),
    ],
)  # fmt: skip
def test_a_declaration_that_cannot_work_says_what_to_write(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Fields.model_validate(fields)


def test_a_row_without_a_field_is_reported_by_name() -> None:
    source = table("mbpp-train")
    with pytest.raises(DataError, match=r"no field 'test_list'; it has task_id, text, code"):
        read_problem(source.id, source.fields, 7, {name: MBPP[name] for name in ("task_id", "text", "code")})


def test_tests_that_can_never_be_judged_are_refused_before_anything_is_sampled() -> None:
    source = table("mbpp-train")
    refuse_unjudged([read_problem(source.id, source.fields, 0, MBPP)], SPECS)
    broken = read_problem(source.id, source.fields, 1, {**MBPP, "test_list": ["assert inc(1 == 2"]})
    with pytest.raises(DataError, match="problem 1: form `asserts` cannot be read"):
        refuse_unjudged([broken], SPECS)


def refuse(*_: object) -> NoReturn:
    raise IsolationUnavailable("no jail here")


def test_nothing_is_measured_on_programs_where_nothing_isolates_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rewards.sandbox.workers.choose", refuse)
    assert measuring_fault(load_source("humaneval")) == "`humaneval` is judged by running programs; no jail here"
    assert measuring_fault(load_source("math-500")) is None
    assert "is for training" in str(measuring_fault(load_source("mbpp-train")))
