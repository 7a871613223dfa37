"""The same task under two environments: rows and grader are one, and the figures of each stand apart."""

import json
from pathlib import Path

import pytest
import yaml
from transformers import AutoTokenizer

from alignment.checks.own_tasks import task_faults
from alignment.core.resources import resource
from alignment.data.own_task import task_content
from alignment.evaluation import answering
from alignment.evaluation.answering import Evaluator
from alignment.evaluation.job import measure_modes
from alignment.evaluation.task import named_problems
from alignment.inference.sampler import Sampler
from alignment.recipe.evaluation import Evaluations
from replying_policy import Replies

CALL = '<tool_call>\n{"name": "calculator", "arguments": {"expression": "12345 * 678"}}\n</tool_call>'


def calculating(text: str) -> str:
    """Calls the calculator where it is offered, and says what it found; guesses otherwise."""
    if "calculator" not in text:
        return "\\boxed{1}"
    return "\\boxed{8369910}" if "8369910" in text else CALL


def tasks(folder: Path) -> list[str]:
    rows = [{"question": f"What is 12345 * 678? ({n})", "answer": "8369910"} for n in range(4)]
    (folder / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    tools = {"kind": "tools", "tools": ["calculator"], "max_turns": 3}
    for name, environment in (("direct", {"kind": "single_turn"}), ("with-tools", tools)):
        written = {"rows": "sums.jsonl", "environment": environment, "modes": ["non_thinking"]}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
    return [str(folder / "direct.yaml"), str(folder / "with-tools.yaml")]


def test_one_task_is_measured_under_two_environments_and_both_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(str(resource("data/base")))
    policy = Replies(tokenizer, calculating)
    monkeypatch.setattr(answering, "serve", lambda *_, **__: Sampler(policy, tokenizer, None))  # type: ignore[arg-type]
    written = {"after_each_stage": tasks(tmp_path), "follow_count": 1, "max_prompt_tokens": 600}
    settings = Evaluations.model_validate(written)
    evaluator = Evaluator(settings, "policy", "test")
    problems = [one for name in settings.after_each_stage for one in named_problems(settings, name, None)]
    found = measure_modes(evaluator, problems, seed=0).modes["non_thinking"].figures
    evaluator.close()
    assert {one.task: (one.count, one.accuracy.value) for one in found.tasks} == {
        "direct": (4, 0.0),
        "with-tools": (4, 1.0),
    }


def test_the_environment_of_a_task_is_checked_and_decides_its_identity(tmp_path: Path) -> None:
    direct, tools = tasks(tmp_path)
    assert task_content(direct) != task_content(tools)
    assert list(task_faults(tools)) == []
    wrong = Path(tools).read_text(encoding="utf-8").replace("calculator", "shell")
    Path(tools).write_text(wrong, encoding="utf-8")
    (told,) = task_faults(tools)
    assert told.startswith("environment: the environment 'tools' cannot be set up (tools.0")
