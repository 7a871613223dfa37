"""The same task under two environments: rows and grader are one, and the figures of each stand apart, in the report too."""

import json
import re
from pathlib import Path

import pytest
import yaml
from transformers import AutoTokenizer

from alignment.checks.own_tasks import task_faults
from alignment.core.files import FileFacts
from alignment.core.resources import resource
from alignment.data.sources.own_task import task_content
from alignment.evaluation import answering
from alignment.evaluation.answering import Evaluator
from alignment.evaluation.job import Measured, measure_modes
from alignment.evaluation.task import named_problems
from alignment.inference.sampler import Sampler
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.records.manifest import Manifest
from alignment.records.run import RunRecord
from alignment.records.run_folder import StageFolder
from alignment.report import write_report
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


def measured(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Measured:
    """Both modes of the two tasks, as an evaluation measures them, with a scripted policy."""
    tokenizer = AutoTokenizer.from_pretrained(str(resource("data/base")))
    policy = Replies(tokenizer, calculating)
    monkeypatch.setattr(answering, "serve", lambda *_, **__: Sampler(policy, tokenizer, None))  # type: ignore[arg-type]
    written = {"after_each_stage": tasks(folder), "follow_count": 1, "max_prompt_tokens": 600}
    settings = Evaluations.model_validate(written)
    evaluator = Evaluator(settings, "policy", "test")
    problems = [one for name in settings.after_each_stage for one in named_problems(settings, name, None)]
    found = measure_modes(evaluator, problems, seed=0)
    evaluator.close()
    return found


def run_with(folder: Path, found: Measured) -> Path:
    """A run of one stage after which these figures were measured."""
    stage = StageFolder(folder / "01-sft")
    stage.path.mkdir(parents=True)
    RunRecord("tiny", 0).write(folder / "run.json")
    output = {"a": FileFacts(1, "s")}
    Manifest(
        "sft", "sft", {}, "h", output=output, output_hash="o", seed=0, seconds=1.0, inputs={"model": "0" * 64}
    ).write(stage.manifest_path)
    found.write(stage.evaluations, "sft", None)
    return folder


def test_one_task_is_measured_under_two_environments_and_the_report_shows_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = measured(tmp_path, monkeypatch)
    scores = found.modes["non_thinking"].figures.tasks
    assert {one.task: (one.count, one.accuracy.value) for one in scores} == {"direct": (4, 0.0), "with-tools": (4, 1.0)}
    run = run_with(tmp_path / "run", found)
    write_report(run)
    (told,) = json.loads((run / "report.json").read_text(encoding="utf-8"))["stages"]
    listed = told["evaluations"]["non_thinking"]["tasks"]
    assert {one["task"]: one["accuracy"] for one in listed} == {"direct": 0.0, "with-tools": 1.0}
    page = (run / "report.html").read_text(encoding="utf-8")
    rows = [re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL)]
    shown = {row[0]: row[1:3] for row in rows if row and row[0] in ("direct", "with-tools")}
    assert shown == {"direct": ["non-thinking", "0.0"], "with-tools": ["non-thinking", "100.0"]}
    lines = (run / "report.md").read_text(encoding="utf-8").splitlines()
    assert [len([line for line in lines if line.startswith(f"| {name} | ")]) for name in shown] == [1, 1]


def test_the_environment_of_a_task_is_checked_and_decides_its_identity(tmp_path: Path) -> None:
    direct, tools = tasks(tmp_path)
    assert task_content(direct) != task_content(tools)
    assert list(task_faults(tools)) == []
    wrong = Path(tools).read_text(encoding="utf-8").replace("calculator", "shell")
    Path(tools).write_text(wrong, encoding="utf-8")
    (told,) = task_faults(tools)
    assert told.startswith("environment: the environment 'tools' cannot be set up (tools.0")
