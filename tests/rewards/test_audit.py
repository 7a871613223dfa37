"""Every verifier passes its table; a broken one is caught; and a person's own references are held against their grader."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

import rewards
from judge_server import JudgeServer
from rewards import VERIFIERS, IsolationUnavailable, RewardSpecError, Rollout, Verdict
from rewards.audit import audit_kind, audit_kinds, audit_references
from rewards.gold import GoldUnknown
from rewards.kind import GROUPS, Row
from rewards.kinds.instruction.constraints import CONSTRAINTS
from rewards.kinds.python_tests.rows import FORMS
from rewards.registry import KINDS

TABLES = {name: kind.table for name, kind in KINDS.items()}
LEAST_ROWS = {
    **dict.fromkeys(("instruction", "math_answer", "python_tests"), 60),
    "environment": 9,
    "abstention": 30,
    "refusal": 80,
    **dict.fromkeys(("judge", "language", "length", "repetition", "think_format", "tool_call"), 25),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_verifier_judges_every_row_of_its_table_rightly(kind: str) -> None:
    found = audit_kind(kind)
    if found.not_audited:
        pytest.skip(found.not_audited)
    assert found.misjudged == ()
    assert found.rows == len(TABLES[kind]) >= LEAST_ROWS.get(kind, 15)
    # The slowest row is one that starts processes, which take longer on a machine with more to do than it has cores.
    assert found.slowest_seconds < 5.0 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_has_rows_of_every_group(kind: str) -> None:
    assert {row.group for row in TABLES[kind]} == set(GROUPS)


def test_every_registered_kind_has_a_table() -> None:
    assert set(VERIFIERS) == set(TABLES)
    assert all(TABLES.values())


def test_a_judge_that_grades_what_stands_between_the_fences_passes_its_table() -> None:
    with JudgeServer() as server:
        found = audit_kind("judge", options={"base_url": server.base_url})
    assert (found.misjudged, found.not_audited) == ((), "")
    assert found.rows == len(TABLES["judge"]) >= LEAST_ROWS["judge"]


def test_a_judge_that_obeys_the_answers_it_grades_is_found_out() -> None:
    with JudgeServer(gullible=True) as server:
        found = audit_kind("judge", options={"base_url": server.base_url})
    assert found.count("false_positive") == len(found.misjudged) >= 10
    assert {one.group for one in found.misjudged} == {"adversarial"}


def test_a_judge_that_does_not_answer_is_reported_with_what_to_write() -> None:
    found = audit_kind("judge", options={"base_url": "http://127.0.0.1:9/v1"})
    assert (found.misjudged, found.rows_per_second) == ((), 0.0)
    assert "judge_unreachable" in found.not_audited and "--option base_url=URL" in found.not_audited


def test_the_table_of_programs_has_every_form_in_every_group_that_runs_them() -> None:
    forms: dict[str, set[str]] = {group: set() for group in GROUPS}
    for row in TABLES["python_tests"]:
        tests = row.columns["tests"]
        forms[row.group] |= {tests["form"]} if isinstance(tests, dict) else set()
    assert all(forms[group] >= set(FORMS) for group in ("gold", "near_miss", "adversarial"))


def refuse(*_: object) -> NoReturn:
    raise IsolationUnavailable("no jail here")


def test_where_nothing_can_isolate_a_program_the_audit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rewards.sandbox.workers.choose", refuse)
    (found,) = audit_kinds(["python_tests"])
    assert (found.rows, found.misjudged, found.rows_per_second) == (len(TABLES["python_tests"]), (), 0.0)
    assert found.not_audited == "no jail here"


def test_every_type_of_constraint_has_a_gold_row_and_a_near_miss() -> None:
    found: dict[str, set[str]] = {"gold": set(), "near_miss": set()}
    for row in TABLES["instruction"]:
        if row.group in found:
            found[row.group] |= set(row.columns["instruction_id_list"])
    assert found["gold"] == found["near_miss"] == set(CONSTRAINTS)


def test_a_row_is_judged_with_its_own_options() -> None:
    loose = Row("gold", "Sure, here:\nSalt.", 1.0, {"instruction_id_list": ["punctuation:no_comma"], "kwargs": None})
    assert audit_kind("instruction", [replace(loose, options={"reading": "loose"})]).misjudged == ()
    assert audit_kind("instruction", [loose]).count("false_negative") == 1
    with pytest.raises(RewardSpecError, match="did you mean 'reading'"):
        audit_kind("instruction", [replace(loose, options={"readin": "loose"})])


class AlwaysRight:
    """A broken verifier: it rewards everything, and what is empty it cannot judge."""

    columns: tuple[str, ...] = ()

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return [Verdict(1.0 if one.completion else None, "sure") for one in rollouts]

    def close(self) -> None:
        """Nothing to end."""


def test_a_broken_verifier_is_caught_with_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rewards.VERIFIERS, "think_format", AlwaysRight)
    found = audit_kind("think_format")
    wrong = [row for row in TABLES["think_format"] if (row.score if row.completion else 1.0) != 1.0]
    assert found.count("false_positive") == len([row for row in wrong if row.completion])
    assert found.count("unknown") == 1
    assert found.misjudged[0].reason == "sure"


def test_a_kind_without_a_table_is_listed_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rewards.VERIFIERS, "always_right", AlwaysRight)
    assert [(one.kind, one.rows) for one in audit_kinds(["always_right"])] == [("always_right", 0)]
    with pytest.raises(RewardSpecError, match="did you mean 'math_answer'"):
        audit_kinds(["math_anwser"])


def test_references_of_a_file_are_judged_by_their_own_verifier(tmp_path: Path) -> None:
    rows = [{"solution": "6 x 7\n#### 42"}, {"solution": r"so \boxed{\frac{1}{2}}"}, {"solution": "???"}, {"other": 1}]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)) + "\n\nnot JSON\n[1]\n", encoding="utf-8")
    found = audit_references(file, column="solution")
    assert (found.rows, found.passed) == (3, 2)
    assert [(one.place, one.reason, one.reference) for one in found.failures] == [(3, "reference_unparsable", "???")]
    assert [line for line, _ in found.unreadable] == [4, 6, 7]
    assert "no column 'solution'; it has: other" in found.unreadable[0][1]


def test_reference_calls_of_a_file_are_judged_by_their_own_tools(tmp_path: Path) -> None:
    tools = [{"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}]
    rows = [{"tools": tools, "calls": [{"add": {"a": [1]}}]}, {"tools": tools, "calls": [{"add": {"b": [1]}}]}]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = audit_references(file, "tool_call")
    assert [(one.place, one.reason) for one in found.failures] == [(2, "reference_unusable")]


def test_reference_programs_of_a_file_are_judged_by_their_own_tests(tmp_path: Path) -> None:
    tests = {"form": "stdio", "inputs": ["2"], "outputs": ["4"]}
    programs = ["print(int(input()) * 2)", "```python\nprint(4)\n```", "print(5)", "while True: pass", "("]
    rows = [{"code": program, "tests": tests} for program in programs]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    try:
        found = audit_references(file, "python_tests", "code", {"timeout_seconds": 1.0})
    except IsolationUnavailable as error:
        pytest.skip(str(error))
    assert (found.rows, found.passed) == (5, 2)
    assert found.reasons() == {"wrong_answer": 1, "timed_out": 1, "syntax_error": 1}
    with pytest.raises(RewardSpecError, match="did you mean 'timeout_seconds'"):
        audit_references(file, "python_tests", "code", {"timeout_second": 1.0})


def test_a_kind_without_a_gold_answer_says_which_have_one(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}", encoding="utf-8")
    with pytest.raises(
        GoldUnknown, match="think_format'; write one of: abstention, math_answer, python_tests, refusal, tool_call"
    ):
        audit_references(tmp_path / "rows.jsonl", "think_format")
