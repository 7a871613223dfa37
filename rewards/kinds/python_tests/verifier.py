"""Kind `python_tests`: does the program in a rollout's answer pass the tests of its row?

rows.py reads the row and the program, sandbox/ runs the program in isolation and compares what it gives with what
is expected, in this process. What could not be judged, because the row or the sandbox is at fault, has no score.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from rewards.contract import THINK_CLOSE, Rollout, Verdict, not_applicable
from rewards.kinds.python_tests.program import program_texts
from rewards.kinds.python_tests.rows import Row, UnreadableTests, read_row, spellings
from rewards.sandbox import ISOLATIONS, Examination, Finding, Isolation, IsolationUnavailable, Limits, Sandbox

UNKNOWN = ("tests_broken", "sandbox_fault")
LONGEST_PROGRAM = 200_000  # characters
ROWS_REMEMBERED, CHARACTERS_REMEMBERED, LONGEST_REMEMBERED = 2048, 16_000_000, 200_000  # of the tests of rows


class PythonTests:
    """Verifier of the kind `python_tests`: 1.0 when every test passes, or with `partial` the fraction that does."""

    columns: tuple[str, ...] = ("tests",)

    def __init__(
        self,
        *,
        timeout_seconds: float = 8.0,
        memory_mib: int = 512,
        partial: bool = False,
        workers: int = 0,
        isolation: Isolation = "auto",
    ) -> None:
        if isolation not in ISOLATIONS:
            raise ValueError(f"isolation must be one of {', '.join(ISOLATIONS)}, not {isolation!r}")
        if workers < 0:
            raise ValueError(f"workers must be 0, for all cores, or above; not {workers}")
        self.partial = partial
        self._sandbox = Sandbox(isolation, workers, Limits(timeout_seconds=timeout_seconds, memory_mib=memory_mib))

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout. Raises IsolationUnavailable when nothing here can isolate a program."""
        found: list[Verdict | None] = [None] * len(rollouts)
        waiting: list[tuple[int, bool]] = []  # the position of what is examined, and whether it was fenced
        for number, finding in self._sandbox.examine(self._examinations(rollouts, found, waiting)):
            position, fenced = waiting[number]
            found[position] = self._verdict(finding, fenced=fenced)
        return [verdict for verdict in found if verdict is not None]

    def _examinations(
        self, rollouts: Sequence[Rollout], found: list[Verdict | None], waiting: list[tuple[int, bool]]
    ) -> Iterator[Examination]:
        """What is to be examined, read as it is asked for: tests may be megabytes long. Other verdicts go to `found`."""
        for position, rollout in enumerate(rollouts):
            read = self._read(rollout)
            if isinstance(read, Verdict):
                found[position] = read
            else:
                waiting.append((position, read[1]))
                yield read[0]

    def fault_here(self) -> str | None:
        """Why nothing here can isolate a program; None where a jail can be started."""
        try:
            self._sandbox.open()
        except IsolationUnavailable as error:
            return str(error)
        return None

    def close(self) -> None:
        """End the jails."""
        self._sandbox.close()

    def _read(self, rollout: Rollout) -> tuple[Examination, bool] | Verdict:
        """What to examine and whether its program was fenced; or the verdict where there is nothing to examine."""
        tests = rollout.column("python_tests", "tests")
        if tests is None:
            return not_applicable("tests")
        try:
            row = _row(tests)
        except UnreadableTests as error:
            return Verdict(None, "tests_unreadable", {"detail": str(error)})
        answer = rollout.answer
        if row.entry_point and THINK_CLOSE not in rollout.completion and answer:
            answer = rollout.completion  # a bare function body begins with its indentation
        texts, fenced = program_texts(answer, row.wanted)
        if not texts:
            return Verdict(0.0, "no_program", {"total": row.tests.total})
        if len(texts[0]) > LONGEST_PROGRAM:
            return Verdict(0.0, "no_program", {"detail": f"{len(texts[0])} characters are no program"})
        start, endings = spellings(texts[0], row)
        for text in texts[1:]:
            own, others = spellings(text, row)
            if own != start:
                start, endings = "", (*(start + one for one in endings),)
            endings += tuple(others if own == start else (own + one for one in others))
        return Examination(endings, row.tests, self.partial, start), fenced

    def _verdict(self, finding: Finding, fenced: bool) -> Verdict:
        evidence = {
            "passed": finding.passed,
            "total": finding.total,
            "detail": finding.detail,
            "isolation": finding.isolation,
        }
        if finding.outcome in UNKNOWN:
            return Verdict(None, finding.outcome, evidence)
        reason = "no_program" if finding.outcome == "syntax_error" and not fenced else finding.outcome
        if self.partial:
            return Verdict(finding.passed / finding.total, reason, evidence)
        return Verdict(float(finding.outcome == "passed"), reason, evidence)


def check_tests(tests: Any) -> str | None:
    """Why a row's tests can never be judged, or None when they can be. For use when data is loaded."""
    try:
        _row(tests)
    except UnreadableTests as error:
        return str(error)
    return None


def _row(tests: Any) -> Row:
    """A row's tests, read once however many completions it has."""
    text = tests if isinstance(tests, str) else repr(tests)
    if len(text) > LONGEST_REMEMBERED:
        return read_row(tests)
    row = _rows.get(text)
    if row is None:
        if len(_rows) >= ROWS_REMEMBERED or sum(map(len, _rows)) > CHARACTERS_REMEMBERED:
            _rows.clear()
        row = _rows[text] = read_row(tests)
    return row


_rows: dict[str, Row] = {}
