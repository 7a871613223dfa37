"""Tool turns in what a person reads: the page, report.md, and `alignment show`."""

from dataclasses import replace
from pathlib import Path

from report_run import HOSTILE, evaluation, wilson, write_run
from rich.console import Console

from alignment.core.files import append_json_lines
from alignment.records.evaluation import EvaluationRecord
from alignment.records.rollout import RolloutRow, VerdictRecord
from alignment.records.run_folder import RunFolder, StageFolder
from alignment.report import write_report
from alignment.report.lineage import lineage_tree

CALL = {"type": "function", "function": {"name": "calculator", "arguments": {"expression": "6 * 7"}}}
MESSAGES = (
    {"role": "assistant", "content": "", "reasoning_content": "I need the product.", "tool_calls": [CALL]},
    {"role": "tool", "content": f"42 {HOSTILE}"},
    {"role": "assistant", "content": "It is 42."},
)


def row(step: int) -> RolloutRow:
    return RolloutRow(
        step, "p", "What is 6 * 7?", "42", "thinking", None, "It is 42.", 60, 6, 0, "end", 2.0,
        {"tool_call": VerdictRecord(1.0, "correct")}, MESSAGES,
    )  # fmt: skip


def with_tools(run: Path) -> StageFolder:
    folder = StageFolder(run / "02-reasoning_rl")
    folder.rollouts.unlink(missing_ok=True)
    append_json_lines(folder.rollouts, [row(1), row(30)])
    measured = evaluation("reasoning_rl", "thinking", 0.9)
    figures = replace(measured.figures, calls_count=500, calls_right=wilson(0.8))
    samples = tuple(replace(one, messages=MESSAGES) for one in measured.samples)
    EvaluationRecord(figures, "reasoning_rl", samples=samples).write(folder.evaluations / "thinking.json")
    return folder


def test_the_page_shows_each_turn_with_its_role_and_what_it_calls(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tools")
    assert "calls right" not in Path(write_and_read(run)[1]).read_text(encoding="utf-8"), "where nobody measured it"
    with_tools(run)
    page, markdown = (Path(path).read_text(encoding="utf-8") for path in write_and_read(run))
    assert "<b>tool</b>" in page and "<b>assistant</b>" in page and "I need the product." in page
    assert "calls calculator {&#34;expression&#34;: &#34;6 * 7&#34;}" in page
    assert HOSTILE not in page and "&lt;script&gt;" in page
    assert "calls right %" in page and "calls right %" in markdown and "80.0 (" in markdown


def write_and_read(run: Path) -> tuple[str, str]:
    write_report(run)
    return str(run / "report.html"), str(run / "report.md")


def test_show_prints_the_turns_of_the_last_rollout(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tools")
    with_tools(run)
    console = Console(record=True, width=160)
    console.print(lineage_tree(RunFolder(run)))
    text = console.export_text()
    assert "a rollout of step 30, reward 2.0: What is 6 * 7?" in text
    assert 'assistant: calls calculator {"expression": "6 * 7"}' in text and "tool: 42" in text
    assert "thinking: calls right 0.800 (" in text


def test_show_calls_no_stage_damaged_that_has_no_rollouts(tmp_path: Path) -> None:
    run = write_run(tmp_path / "plain")
    StageFolder(run / "02-reasoning_rl").rollouts.unlink()
    console = Console(record=True, width=160)
    console.print(lineage_tree(RunFolder(run)))
    assert "damaged" not in console.export_text()
