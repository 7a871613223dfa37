"""An error that is meant for the user ends every process in words and with its status; a defect keeps its traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from alignment.core.entry import exit_status, in_words, reported_in
from alignment.core.errors import AlignmentError, DataError, RecipeError, StageFailed
from alignment.run.processes import Ended
from alignment.run.watch import refuse_failure
from rewards import IsolationUnavailable, MissingColumn, RewardSpecError, VerdictsUnavailable, WorkerUnavailable

REPOSITORY = Path(__file__).parents[2]
OF_THE_REWARDS = (
    VerdictsUnavailable("judge", 7, 8, "no_answer"),
    MissingColumn("math_answer", "answer", ["prompt"]),
    IsolationUnavailable("no jail here; install bubblewrap"),
    WorkerUnavailable("no process can be started"),
    RewardSpecError("reward 1: there is no kind"),
)
LAUNCHER = """\
Traceback (most recent call last):
  File "launch.py", line 7, in <module>
    raise subprocess.CalledProcessError(returncode=process.returncode, cmd=cmd)
"""


@pytest.mark.parametrize("error", OF_THE_REWARDS, ids=lambda error: type(error).__name__)
def test_an_error_of_the_rewards_is_one_for_the_user(error: Exception) -> None:
    assert exit_status(error) == 1
    assert reported_in(in_words(error)) == str(error)


def test_an_error_keeps_its_own_status_and_a_defect_has_none() -> None:
    assert [exit_status(error("x")) for error in (AlignmentError, RecipeError, DataError)] == [1, 2, 2]
    assert exit_status(KeyError("x")) is None


def child(body: str) -> "subprocess.CompletedProcess[str]":
    """A process of ours that raises while it works."""
    code = f"import rewards\nfrom alignment.core import entry, errors\ndef main() -> None:\n    {body}\nentry.run_child(main)"
    return subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)


def test_a_process_whose_grader_is_not_there_says_so_without_a_traceback() -> None:
    ended = child("raise rewards.IsolationUnavailable('no jail here; install bubblewrap')")
    assert ended.returncode == 1
    assert ended.stderr == "error: no jail here; install bubblewrap\n"


def test_a_process_that_meets_a_defect_keeps_its_traceback() -> None:
    ended = child("raise KeyError('prompt')")
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert "error: " not in ended.stderr


@pytest.mark.parametrize("text", ["all rows are too long", "two things:\nthis one\n  and that one"])
def test_what_a_launcher_adds_to_an_error_is_not_shown(text: str) -> None:
    log = f"loading ...\n{in_words(DataError(text))}\n{in_words(DataError('of another rank'))}\n{LAUNCHER}"
    assert reported_in(log) == text


def test_a_failed_stage_shows_the_error_and_where_its_log_is(tmp_path: Path) -> None:
    log = tmp_path / "01.log"
    log.write_text(f"loading ...\n{in_words(DataError('all rows are too long'))}\n{LAUNCHER}", encoding="utf-8")
    with pytest.raises(StageFailed) as failed:
        refuse_failure(Ended(1, False, 3.0), "cold_start (sft)", log)
    assert str(failed.value) == f"cold_start (sft): failed with exit status 1 ({log}):\nall rows are too long"


def test_a_stage_that_was_killed_shows_the_last_lines_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "01.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)), encoding="utf-8")
    with pytest.raises(StageFailed, match=r"killed with exit status -9 .*:\nline 75\n(.*\n)+line 99$"):
        refuse_failure(Ended(-9, False, 3.0), "cold_start (sft)", log)
