"""Steps of programs as blocks, and the values of their names after each, from runs in the sandbox."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alignment.core.resources import resource
from alignment.core.statistics.estimate import Estimate
from alignment.data.rows import Stepwise, read_rows, user_turn, write_rows
from alignment.data.steps.definition import StepRule
from alignment.data_factory.step_labels.judge import Solution, StepJudge
from alignment.data_factory.step_labels.states import StepStates
from alignment.recipe.blocks.rewards import Reward
from alignment.recipe.blocks.steps import JudgedSteps
from alignment.records.process import ProcessRecord, ProcessSubset, ScoredTrace
from alignment.records.run_folder import RunFolder
from alignment.report import write_report
from alignment.training.context import StageContext
from process.stages import in_process
from recipes.what_check_says import what_check_says
from replying_policy import Replies, sampler_of
from rewards.sandbox import Examination, Finding, IsolationUnavailable, Limits, Sandbox, States

PROGRAM = """total = 0
for number in range(4):
    if number % 2:
        total += number
# the last one
words = ["a"] * 30
def f(x):
    return x + total
"""
BLOCK = StepRule("block")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(workers=2, limits=Limits(timeout_seconds=1.5, files_mib=4))
    try:
        made.open()
    except IsolationUnavailable as error:
        pytest.skip(str(error))
    yield made
    made.close()


@pytest.fixture(scope="module")
def runs(sandbox: Sandbox) -> Iterator[StepStates]:
    made = StepStates(Reward(kind="python_tests", timeout_seconds=1.5))
    yield made
    made.close()


def states(runs: StepStates, program: str, rule: StepRule = BLOCK, tests: Any = None) -> list[str | None]:
    text = f"<think>\nwell\n</think>\nHere:\n```python\n{program}\n```\n"
    return runs.of([(text, rule.split(text), tests)])[0]


def observed(sandbox: Sandbox, program: str, statements: int) -> Finding:
    return sandbox.examine_all([Examination((program,), States(statements))])[0]


def test_a_block_is_a_statement_of_the_top_level_with_all_its_lines() -> None:
    steps = [step.text for step in BLOCK.split(f"```python\n{PROGRAM}```")]
    assert [step.split("\n")[0] for step in steps] == [
        "total = 0", "for number in range(4):", 'words = ["a"] * 30', "def f(x):",
    ]  # fmt: skip
    assert steps[1].count("\n") == 3 and steps[3].endswith("return x + total")
    assert len(StepRule("statement").split(PROGRAM)) == 7  # those inside count one by one
    decorated = "@cache\ndef f(x): return x\nif f:\n    y = 1\nelse:\n    y = 2"
    assert [step.text.split("\n")[0] for step in BLOCK.split(decorated)] == ["@cache", "if f:"]


def test_a_program_that_does_not_parse_is_split_by_lines_and_counted() -> None:
    assert [step.text for step in BLOCK.split("def f(:\n\n  return 1")] == ["def f(:", "return 1"]
    assert BLOCK.unparsed("```python\ndef f(:\n```") and not BLOCK.unparsed(PROGRAM)
    assert not StepRule("line").unparsed("def f(:")  # no rule of programs


def test_each_step_has_the_values_after_it(runs: StepStates) -> None:
    assert states(runs, PROGRAM) == [
        "total = 0",
        "total = 4, number = 3",
        "total = 4, number = 3, words = ['a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', ... 30 in all]",
        "total = 4, number = 3, words = ['a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', ... 30 in all]",
    ]
    by_line = states(runs, "x = 1\nfor i in range(2):\n    x += i\ny = x", StepRule("line"))
    inside = ["x = 1", None, "x = 2, i = 1", "x = 2, i = 1, y = 2"]
    assert by_line == [None, None, None, *inside, None]  # thought, `Here:`, the opening fence, …, the closing one
    assert states(runs, "def f(:\n  pass") == [None, None]  # never run


def test_a_hang_in_the_third_step_keeps_the_states_of_the_first_two(runs: StepStates) -> None:
    assert states(runs, "a = 1\nb = a + 1\nwhile True:\n    pass\nc = 3") == ["a = 1", "a = 1, b = 2", None, None]


def test_what_raises_or_leaves_keeps_the_states_before_it(runs: StepStates) -> None:
    assert states(runs, "a = 1\nb = 1 / 0\nc = 3") == ["a = 1", None, None]
    assert states(runs, "a = 1\nexit(3)\nc = 3") == ["a = 1", None, None]


def test_a_program_reads_the_input_of_its_first_test(runs: StepStates) -> None:
    tests = {"form": "stdio", "inputs": ["5\n", "7\n"], "outputs": ["6\n", "8\n"]}
    assert states(runs, "x = int(input())\nprint(x + 1)\ny = x + 1", tests=tests) == ["x = 5", "x = 5", "x = 5, y = 6"]


HOSTILE = """class Hostile:
    def __repr__(self):
        {body}
before = 1
value = Hostile()
after = 2
"""


def test_a_repr_that_writes_to_the_channel_cannot_say_more_than_text_in_bounds(sandbox: Sandbox) -> None:
    forged = json.dumps({"state": [["lie", "x" * 5000], ["no name\n", "1"], ["deep", {"a": 1}], [1, 2]]})
    body = f"import os, struct; said = {forged!r}.encode(); [os.write(3, struct.pack('<I', len(said)) + said) for _ in range(50)]; return 'honest'"
    found = observed(sandbox, HOSTILE.format(body=body), 4)
    assert found.outcome != "passed" and len(found.states) <= 4  # no more states than statements
    assert found.states[:2] == ({}, {"before": "1"})  # what it had said before
    for state in found.states[2:]:
        assert all(name.isidentifier() and len(value) <= 80 and "\n" not in value for name, value in state.items())


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("return 'y' * 10_000_000", "y" * 80),
        ("raise SystemExit(0)", "<Hostile, whose repr raised SystemExit>"),
        ("return 3", "<Hostile, whose repr raised TypeError>"),
        ("return 'two\\n\\nlines'", "two lines"),
        ("f = open('/tmp/big', 'wb'); [f.write(b'0' * (1 << 20)) for _ in range(4096)]; return 'full'", "raised OSError>"),
    ],
    ids=["long", "leaves", "no text", "lines", "disk"],
)  # fmt: skip
def test_a_hostile_repr_is_cut_and_fills_nothing(sandbox: Sandbox, body: str, shown: str) -> None:
    found = observed(sandbox, HOSTILE.format(body=body), 4)
    assert found.outcome == "passed" and len(found.states) == 4
    assert found.states[3]["value"].endswith(shown) and found.states[3]["after"] == "2"


def test_a_repr_that_hangs_costs_its_own_program_alone(sandbox: Sandbox) -> None:
    hanging = HOSTILE.format(body="\n        while True: pass")
    found = sandbox.examine_all([Examination((hanging,), States(4)), Examination(("x = 1",), States(1))])
    assert [one.outcome for one in found] == ["timed_out", "passed"]
    assert found[0].states == ({}, {"before": "1"}) and found[1].states == ({"x": "1"},)


def test_what_a_program_holds_is_not_walked_beyond_what_is_shown(sandbox: Sandbox) -> None:
    program = "a = list(range(10**6))\nb = a\nfor _ in range(30): b = [b]\nc = 7 ** 9999\nd = {i: {'k': i} for i in range(9)}\nimport math\n"
    state = observed(sandbox, program, 6).states[-1]
    assert state["a"] == "[0, 1, 2, 3, 4, 5, 6, 7, ... 1000000 in all]"
    assert state["b"] == "[[[[...]]]]" and state["c"] == "<int of 28071 bits>"
    assert state["d"].startswith("{0: {'k': 0}, 1:") and len(state["d"]) <= 80 and "math" not in state


def test_rows_keep_states_and_the_report_shows_them_inert(tmp_path: Path) -> None:
    row = Stepwise("a", [user_turn("add")], ["x = 1", "y = 2"], [1.0, 0.0], states=["x = 1", None])
    write_rows(tmp_path / "rows.jsonl", [row])
    assert list(read_rows(tmp_path / "rows.jsonl", "stepwise")) == [row]
    with pytest.raises(ValueError, match="2 steps and 1 states"):
        Stepwise("a", [], ["x = 1", "y = 2"], [1.0, 0.0], states=["x = 1"])
    folder = tmp_path / "run" / "01-prm"
    (folder / "evaluations").mkdir(parents=True)
    (folder / "stage.json").write_text(json.dumps({"name": "prm", "kind": "prm", "identity": {}}), encoding="utf-8")
    trace = ScoredTrace("add", ("x = 1", "y = 2"), (0.9, 0.1), 1, ("x = '<script>'", None))
    subset = ProcessSubset("a", 1, 0, Estimate(1.0), Estimate(None), 0.0)
    ProcessRecord("prm", (subset,), 0.0, threshold=0.5, traces=(trace,)).write(folder / "evaluations" / "process.json")
    write_report(tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "x = &#39;&lt;script&gt;&#39;" in page and "<script>" not in page


def test_a_judge_is_shown_the_values_and_told_what_they_are() -> None:
    request = StepJudge(JudgedSteps(type="llm_judge"))._request(Solution("add", ["x = 1", "y = 2"], ["x = 1", None]))
    assert request is not None
    shown = "\n".join(str(one["content"]) for one in request.messages)
    assert "Step 1: x = 1\nValues after step 1: x = 1\n\nStep 2: y = 2" in shown and "a program that was run" in shown
    plain = StepJudge(JudgedSteps(type="llm_judge"))._request(Solution("add", ["x = 1"]))
    assert plain is not None and "a program that was run" not in str(plain.messages)


def test_states_need_a_reward_that_runs_programs(tmp_path: Path) -> None:
    stage = {
        "name": "labels", "kind": "step_labels", "data": [{"source": "chain-sum", "split": "fusion", "count": 4}],
        "rollout": {"generations": 2}, "rewards": [{"kind": "math_answer"}], "steps": "block", "state": True,
    }  # fmt: skip
    said = what_check_says(tmp_path / "r.yaml", {"name": "r", "model": "embedded", "seed": 1, "stages": [stage]})
    assert "stages.labels.state: runs programs under the limits of the reward python_tests" in said


OPERATIONS = {"add": "+", "subtract": "-", "multiply by": "*"}


def solved(prompt: str) -> str:
    """A program for the one step that a question asks for."""
    name = re.findall(r"\b(\w+)\(", prompt)[0]
    word, operand = re.findall(r"(add|subtract|multiply by) (\d+)", prompt)[-1]
    return f"```python\nOPERAND = {operand}\ndef {name}(x):\n    return x {OPERATIONS[word]} OPERAND\n```"


def test_a_stage_writes_the_states_of_its_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        StageContext, "trajectory_sampler", lambda context: sampler_of(Replies(context.tokenizer(), solved))
    )
    stage = {
        "name": "labels", "kind": "step_labels", "rewards": [{"kind": "python_tests"}], "steps": "block", "state": True,
        "data": [{"source": "programs", "split": "fusion", "count": 3, "parameters": {"max_steps": 1}}],
        "rollout": {"engine": "transformers", "generations": 2, "max_prompt_tokens": 160, "max_completion_tokens": 200},
    }  # fmt: skip
    counts = in_process(tmp_path, resource("data/base"), stage, monkeypatch)
    output = RunFolder(tmp_path / "run").stage(1, "labels").output / "rows.jsonl"
    rows = [row for row in read_rows(output, "stepwise") if isinstance(row, Stepwise)]
    assert len(rows) == 3 and (counts["states"], counts["unparsed_programs"]) == (6, 0)
    for row in rows:
        first, last = row.states
        assert first == last and row.steps[0] == first  # `OPERAND = 3` is both what is written and what is so
