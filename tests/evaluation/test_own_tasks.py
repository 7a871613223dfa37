"""Evaluation tasks of one's own: one YAML, checked before anything starts, measured and identified like the shipped ones."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from alignment.checks.recipe import checked
from alignment.core.errors import DataError, RecipeError
from alignment.core.resources import resource
from alignment.core.vocabulary import MODES
from alignment.data.sources.named import load_source
from alignment.data.sources.own_task import task_name
from alignment.evaluation.answering import Evaluator, sampling_settings
from alignment.evaluation.identity import evaluation_identity
from alignment.evaluation.job import measure_modes
from alignment.evaluation.task import entry_of, held_out, named_problems
from alignment.recipe.schema import Recipe

ROWS = [{"frage": f"{one} + 2 =", "antwort": str(one + 2), "stufe": one % 3} for one in range(9)]
FIELDS = {"question": "frage", "answer": "antwort", "columns": ["stufe"]}
GRADERS = """
def short(completions, stufe, *, longest: int = 40, **kwargs):
    return [max(0.0, 1 - len(one) / longest) for one in completions]


def broken(completions, **kwargs):
    return [one.no_such_thing for one in completions]
"""
RECIPE = {
    "name": "own",
    "model": "embedded",
    "hardware": {"accelerate": "cpu"},
    "stages": [
        {"name": "tune", "kind": "sft", "data": "tiny-cold-start", "max_length": 256, "trainer": {"max_steps": 1}}
    ],
}


def written(folder: Path, *tasks: str, **task: Any) -> Path:
    """A recipe that measures `sums.yaml` beside it; returns the recipe's path."""
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    (folder / "graders.py").write_text(GRADERS, encoding="utf-8")
    (folder / "sums.yaml").write_text(
        yaml.safe_dump({"rows": "rows.jsonl", "fields": FIELDS, **task}), encoding="utf-8"
    )
    evaluations = {"after_each_stage": list(tasks or ["sums.yaml"]), "count": 4, "engine": "transformers"}
    evaluations |= {"max_completion_tokens": 12, "max_prompt_tokens": 128, "follow_count": 2}
    evaluations |= {"thinking_budget": {"stop_text": "\n</think>\n\n"}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**RECIPE, "evaluations": evaluations}), encoding="utf-8")
    return folder / "recipe.yaml"


def loaded(folder: Path, *tasks: str, **task: Any) -> Recipe:
    return checked(written(folder, *tasks, **task), []).recipe


def refused(folder: Path, *tasks: str, **task: Any) -> str:
    with pytest.raises(RecipeError) as caught:
        loaded(folder, *tasks, **task)
    assert "evaluations.after_each_stage.0" in str(caught.value)
    return str(caught.value)


def test_a_task_asks_its_rows_with_its_template_and_system_turn(tmp_path: Path) -> None:
    recipe = loaded(tmp_path, prompt="Level {stufe}: {question}\nUse \\boxed{}.", system="You add.", count=3)
    problems = held_out(recipe, 8, 0)
    assert len(problems) == 3 and {problem.family for problem in problems} == {"sums"}
    row = next(one for one in ROWS if one["antwort"] == problems[0].answer)
    assert problems[0].messages == [
        {"role": "system", "content": "You add."},
        {"role": "user", "content": f"Level {row['stufe']}: {row['frage']}\nUse \\boxed{{}}."},
    ]
    (entry,) = recipe.evaluations.after_each_stage
    assert task_name(entry) == "sums" and entry_of(recipe.evaluations, "sums") == entry
    assert named_problems(recipe.evaluations, "sums", None) == held_out(recipe, 4, recipe.evaluations.seed)


def test_a_plain_file_of_rows_is_a_task_too(tmp_path: Path) -> None:
    written(tmp_path)
    rows = [{"problem": one["frage"], "answer": one["antwort"]} for one in ROWS]
    (tmp_path / "held.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert {one.family for one in held_out(loaded(tmp_path, "./held.jsonl"), 4, 0)} == {"held.jsonl"}


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"grader": {"kind": "graders.py:broken"}}, "graders.py:7: AttributeError: 'str' object has no attribute"),
        ({"grader": {"kind": "graders.py:shrt"}}, "grader: graders.py has no `shrt`; did you mean `short`?"),
        ({"grader": {"kind": "python_tests"}}, "grader: python_tests needs tests, and the rows have answer, stufe"),
        ({"prompt": "Add."}, "`prompt` has no {question}"),
        ({"promt": "{question}"}, "promt: unknown key; did you mean `prompt`?"),
        ({"rows": "gone.jsonl"}, "there is no file"),
        ({"fields": {"question": "frage", "answer": "stufe", "columns": []}, "grader": {"kind": "tool_call"}}, "tool_call needs"),
        ({"fields": {"question": "question", "answer": "antwort"}}, "`fields` names 'question', which no row has"),
        ({"sampling": {"thinking": {"temprature": 1}}}, "`temprature` is no setting of sampling; did you mean `temperature`?"),
    ],
)  # fmt: skip
def test_what_cannot_work_about_it_is_said_before_anything_starts(
    tmp_path: Path, task: dict[str, Any], said: str
) -> None:
    assert said in refused(tmp_path, **task)


def test_two_tasks_of_one_name_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "sums.yaml", "more/sums.yaml")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "sums.yaml").write_text(
        (tmp_path / "sums.yaml").read_text().replace("rows.jsonl", "../rows.jsonl")
    )
    with pytest.raises(RecipeError, match="two tasks are called `sums`"):
        checked(path, [])


def test_its_grader_modes_and_sampling_decide_its_figures(tmp_path: Path) -> None:
    task = {"grader": {"kind": "graders.py:short", "longest": 400}, "accept_score": 0.5, "samples": 2, "count": 2}
    sampling = {"non_thinking": {"temperature": 0.0}}
    recipe = loaded(tmp_path, "sums.yaml", "chain-sum", **task, modes=["non_thinking"], sampling=sampling)
    settings = recipe.evaluations
    evaluator = Evaluator(settings, str(resource("data/base")), "test")
    try:
        found = measure_modes(evaluator, held_out(recipe, 2, 0), 0)
        tasks = {mode: {one.task: one for one in found.modes[mode].figures.tasks} for mode in MODES}
        assert set(tasks["thinking"]) == {"chain-sum"} and set(tasks["non_thinking"]) == {"sums", "chain-sum"}
        assert tasks["non_thinking"]["sums"].count == 4, "two problems, two samples each"
        assert tasks["non_thinking"]["sums"].accuracy.value == 1.0, "twelve tokens are short, whatever they say"
        own = evaluator._graders.tasks["sums"]
        assert sampling_settings(settings, "non_thinking", own).temperature == 0.0
    finally:
        evaluator.close()


def test_a_measured_task_is_measured_again_when_its_file_rows_or_grader_changed_and_not_when_it_moved(
    tmp_path: Path,
) -> None:
    (tmp_path / "first").mkdir()
    grader = {"kind": "graders.py:short"}
    before = evaluation_identity(loaded(tmp_path / "first", grader=grader), "policy")
    second = (tmp_path / "first").rename(tmp_path / "second")

    def now() -> Any:
        return evaluation_identity(checked(second / "recipe.yaml", []).recipe, "policy")

    assert now() == before
    (second / "graders.py").write_text(GRADERS.replace("1 -", "2 -"), encoding="utf-8")
    assert now() != before
    written(second, grader=grader)
    assert now() == before
    (second / "rows.jsonl").write_text(json.dumps(ROWS[0]) + "\n", encoding="utf-8")
    assert now() != before


def test_a_shipped_task_is_measured_again_when_its_declaration_or_the_file_in_its_place_changed(tmp_path: Path) -> None:
    rows = tmp_path / "held.jsonl"
    row = {"question": "What is 2 + 3?", "answer": "#### 5"}
    rows.write_text(json.dumps(row) + "\n", encoding="utf-8")
    recipe = written(tmp_path, "chain-sum", "gsm8k-test")
    here = checked(recipe, [f"data.sources.gsm8k-test.path={rows}"]).recipe
    before = evaluation_identity(here, "policy")
    declared = load_source("chain-sum").model_dump(include={"family", "parameters"})
    tasks = json.loads(json.dumps(before["tasks"]))
    assert declared.items() <= tasks[0]["source"].items(), "with other parameters, the problems are others"
    assert evaluation_identity(here, "policy") == before != evaluation_identity(here, "another policy")
    rows.write_text(json.dumps({**row, "answer": "#### 6"}) + "\n", encoding="utf-8")
    assert evaluation_identity(here, "policy") != before


def test_a_task_of_the_harness_without_the_extra_says_what_to_install(tmp_path: Path) -> None:
    if importlib.util.find_spec("lm_eval") is not None:
        pytest.skip("lm_eval is installed here")
    assert "`lm_eval:gsm8k` is a task of lm-evaluation-harness, which is not installed; run `uv pip install" in refused(
        tmp_path, "lm_eval:gsm8k"
    )


HARNESS_TASK = """
task: sums_of_the_harness
dataset_path: json
dataset_kwargs: {data_files: {test: ROWS}}
test_split: test
output_type: generate_until
doc_to_text: "{{frage}}\\nAnswer:"
doc_to_target: "{{antwort}}"
generation_kwargs: {until: ["\\n\\n"]}
filter_list:
  - name: last-number
    filter: [{function: regex, regex_pattern: "(-?[0-9]+)", group_select: -1}, {function: take_first}]
  - name: whole
    filter: [{function: take_first}]
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""


@pytest.mark.skipif(importlib.util.find_spec("lm_eval") is None, reason="needs the extra lm-eval")
def test_a_task_of_the_harness_is_asked_and_graded_as_it_says_in_both_modes(tmp_path: Path) -> None:
    from alignment.evaluation.lm_eval.names import lm_eval_fault
    from alignment.evaluation.lm_eval.task import lm_eval_task

    written(tmp_path)
    (tmp_path / "task.yaml").write_text(HARNESS_TASK.replace("ROWS", str(tmp_path / "rows.jsonl")), encoding="utf-8")
    recipe = loaded(tmp_path, "lm_eval:task.yaml")
    (entry,) = recipe.evaluations.after_each_stage
    task, (problem, *_) = lm_eval_task(entry), held_out(recipe, 2, 0)
    assert problem.question.endswith("=\nAnswer:")
    right = task.verdict(problem, f"<think>\n99\n</think>\n\nIt is {problem.answer}.\n\nNext: 7")
    assert (right.score, task.verdict(problem, "It is 99.").score) == (1.0, 0.0)
    whole = lm_eval_task(f"{entry}:whole")
    assert whole.verdict(problem, f"It is {problem.answer}.").score == 0.0
    assert "compares the likelihoods" in str(lm_eval_fault("lm_eval:hellaswag"))
    assert "runs the policy's programs in this process" in str(lm_eval_fault("lm_eval:humaneval"))
    assert "has no task `gsm9k`" in str(lm_eval_fault("lm_eval:gsm9k"))
    evaluator = Evaluator(recipe.evaluations, str(resource("data/base")), "test")
    try:
        found = measure_modes(evaluator, held_out(recipe, 2, 0), 0)
        assert [found.modes[mode].figures.tasks[0].count for mode in MODES] == [2, 2]
    finally:
        evaluator.close()
    with pytest.raises(DataError, match="there is no filter `last`; write one of: last-number, whole"):
        lm_eval_task(f"{entry}:last")
    assert "lm_eval" in sys.modules
