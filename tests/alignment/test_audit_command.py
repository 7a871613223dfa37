"""`alignment audit` as a person runs it: tables, JSON, their own data, and exit statuses."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

import rewards
from alignment.cli import main
from rewards import IsolationUnavailable, Rollout, Verdict
from rewards.registry import KINDS

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `alignment audit` with arguments; gives exit status, output and errors."""
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["alignment", "audit", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


def test_verifiers_that_judge_rightly_end_with_status_0(audit: Run) -> None:
    status, out, _ = audit("think_format", "tool_call")
    lines = [line.split() for line in out.splitlines()]
    assert status == 0
    assert ["tool_call", str(len(KINDS["tool_call"].table)), "0", "0", "0"] in [line[:5] for line in lines]


def test_an_option_is_given_to_the_verifier_that_is_named(audit: Run) -> None:
    status, out, _ = audit("judge", "--option", "base_url=http://127.0.0.1:9/v1", "--option", "timeout_seconds=2.5")
    assert status == 0
    assert "judge: not audited: no judge gave a verdict (judge_unreachable)" in out


class Generous:
    """Rewards everything."""

    columns: tuple[str, ...] = ()

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return [Verdict(1.0, "generous") for _ in rollouts]

    def close(self) -> None:
        """Nothing to end."""


def test_a_row_that_is_judged_wrongly_is_shown_and_ends_with_status_1(
    audit: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(rewards.VERIFIERS, "think_format", Generous)
    status, out, _ = audit("think_format")
    assert status == 1
    assert "false positive (garbage): '' scored 1 (generous), and 0 is right" in out
    status, out, _ = audit("think_format", "--json")
    assert (status, json.loads(out)[0]["misjudged"][0]["reason"]) == (1, "generous")


def refuse(*_: object) -> NoReturn:
    raise IsolationUnavailable("no program was run: install [bubblewrap]")


def test_a_kind_that_this_machine_cannot_judge_with_is_named_and_is_no_failure(
    audit: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rewards.sandbox.workers.choose", refuse)
    status, out, _ = audit("think_format", "python_tests")
    row = next(line.split() for line in out.splitlines() if line.startswith("python_tests "))
    assert (status, row[2:]) == (0, ["not", "audited"])
    assert "python_tests: not audited: no program was run: install [bubblewrap]" in out
    status, out, _ = audit("python_tests", "--json")
    (told,) = json.loads(out)
    assert (status, told["not_audited"], told["misjudged"]) == (0, "no program was run: install [bubblewrap]", [])


def test_an_unknown_verifier_is_reported_with_the_nearest_name(audit: Run) -> None:
    status, _, errors = audit("tool_cal")
    assert (status, errors) == (2, "error: there is no reward kind 'tool_cal'; did you mean 'tool_call'?\n")


def test_a_file_is_judged_by_its_verifier_with_line_numbers(audit: Run, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"solution": "#### 7"}\n{"solution": ""}\nnothing\n', encoding="utf-8")
    status, out, _ = audit("--data", file, "--reference-column", "solution")
    assert status == 1
    assert f"{file}:2: reference_unparsable" in out.replace("\n", "")
    assert f"{file}:3: it is not JSON" in out.replace("\n", "")
    status, out, _ = audit("--data", file, "--reference-column", "solution", "--json")
    assert (json.loads(out)["rows"], json.loads(out)["passed"], json.loads(out)["reasons"]) == (
        2,
        1,
        {"reference_unparsable": 1},
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "gone.jsonl"), "gone.jsonl: cannot be read (No such file or directory)"),
        (("think_format", "--data", __file__), "no right answer can be written from the columns of 'think_format'"),
        (("math_answer", "tool_call", "--data", __file__), "judged by one kind, and 2 were named"),
        (("--option", "retries=2"), "--option belongs to one verifier"),
        (("judge", "--option", "retries"), "write NAME=VALUE"),
        (("judge", "--option", "retrys=2"), "did you mean 'retries'"),
        (("--data", __file__, "--option", "timeout=2"), "math_answer has no option 'timeout'"),
    ],
)
def test_what_cannot_be_audited_says_why(audit: Run, arguments: tuple[str, ...], message: str) -> None:
    status, _, errors = audit(*arguments)
    assert status == 2
    assert message in errors
