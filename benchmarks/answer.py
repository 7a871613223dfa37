r"""`math_answer` against data and against math-verify: `python benchmarks/answer.py --gsm8k FILE --math500 FILE`.

gold: every reference is accepted, as GSM8K writes it and as its own solution gives it.
mutations: answers of another value, by MUTATIONS, are refused; where a mutation would keep the value it is not made,
and the rows are listed. rates: verdicts a second, `cold` (processes that run and have met other answers, but no verdict and
no reference of these) and `warm` (the same rows once more), against math_verify.parse and verify called as its README does, without its time limit and with it, in
turn, as the median of pairs; a verdict is worse where math-verify's is right and ours is not. Bounds: 5,000 a second on
GSM8K, 3 times math-verify on MATH-500. many: 100,000 verdicts in one run, and the slope of the memory they take.
"""

import json
import logging
import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import psutil
import typer
from math_verify import parse, verify

from rewards import Rollout
from rewards.gold import gold_answer
from rewards.kinds.math_answer import elementary
from rewards.kinds.math_answer.boxes import last_box
from rewards.kinds.math_answer.quantities import quantity as plain_number
from rewards.kinds.math_answer.texts import reference_text
from rewards.kinds.math_answer.verifier import MathAnswer

RATE_BOUND, RATIO_BOUND, TURNS, BATCH = 5000, 3, 3, 256
SECONDS_ALLOWED = 5  # math-verify's own limit, its default
_NUMBER = re.compile(r"\d+(?:\.\d+)?|\.\d+")
_GROUP = re.compile(r"(\\begin\{pmatrix\}|\\left *[(\[]|\\\{|[(\[])(.*?)(\\end\{pmatrix\}|\\right *[)\]]|\\\}|[)\]])")

# Other problems' answers, in the forms that a computer algebra system is asked about.
FORMS = (
    ("y = 7x - 5", "y = 3x + 4"),
    (r"(-\infty, 8) \cup (9, 11]", r"(-\infty, 8) \cup (9, 12]"),
    (r"\{5\pm\sqrt{7},-6\}", r"1 \pm \sqrt{5}, 2"),
    (r"x \in [-8,9]", r"-8 \le x < 9"),
    (r"\sin x", r"\cos^2 x + 1"),
    ("8 - 9i", "6i"),
    ("77_8", "4211_{9}"),
    (r"19\mbox{ m}^2", r"1\frac{3}{8} \text{ degrees}"),
    (r"(7, -\frac{\pi}{9})", r"\begin{pmatrix} -1/7 & 8 \\ x & (a+7)(b^2-8) \end{pmatrix}"),
)


@dataclass(frozen=True)
class Row:
    """One problem: its name in the file, its reference, and a completion that gives it."""

    name: str
    reference: str
    solution: str

    @property
    def answer(self) -> str:
        """The reference as a model would write it, without its box."""
        box = last_box(gold_answer({"answer": self.reference}))
        assert box is not None, self.name
        return box


def read(path: Path) -> list[Row]:
    """The rows of GSM8K (the solution ends in `#### answer`) or of MATH (a solution with a box, and an answer)."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        one = json.loads(line)
        rows.append(Row(str(one.get("unique_id", number)), one["answer"], one.get("solution", one["answer"])))
    return rows


def shifted(answer: str) -> str:
    """Its first number and one more; the next choice; other words; one more where there are only letters."""
    found = _NUMBER.search(answer)
    if found:
        number = Fraction(found[0]) + 1
        changed = str(number) if number.denominator == 1 else f"{float(number):.10g}"
        return answer[: found.start()] + changed + answer[found.end() :]
    choice = re.search(r"\(([A-Y])\)", answer)
    if choice:
        return answer.replace(choice[0], f"({chr(ord(choice[1]) + 1)})")
    return r"\text{something else}" if "\\text" in answer or re.fullmatch(r"\w\w+", answer) else f"{answer} + 1"


def negated(answer: str) -> str:
    """Minus the answer: its right side, or each entry of a tuple, interval, set, list or matrix; `not` before words."""
    if not re.search(r"\d", answer) and ("\\text" in answer or re.fullmatch(r"\w\w+", answer)):
        return r"\text{not " + re.sub(r"\\text\{([^{}]*)\}", r"\1", answer) + "}"
    left, relation, right = re.split(r"(=|\\in\b|$)", answer, maxsplit=1)
    if relation:
        return f"{left}{relation} {negated(right.strip())}"
    if ("," in answer and _GROUP.search(answer)) or "\\begin" in answer:
        return _GROUP.sub(lambda group: group[1] + _each_entry(group[2]) + group[3], answer)
    listed = re.search(r",(?!\\!|\d{3}(?!\d))", answer)
    return _each_entry(answer) if listed else _minus(answer)


def _each_entry(text: str) -> str:
    pieces = re.split(r"(,|&|\\\\)", text)
    return "".join(piece if number % 2 else f" {_minus(piece.strip())} " for number, piece in enumerate(pieces))


def _minus(text: str) -> str:
    outside = re.sub(r"\{[^{}]*\}", "", text)
    if re.search(r"(?<!^)[-+]|\\pm|\)\(", outside):
        return f"-({text})"
    return text[1:] if text.startswith("-") else f"-{text}"


def truncated(answer: str) -> str:
    """Its last number of several digits without the last one; else what stands before its last number, or letter."""
    numbers = [found for found in _NUMBER.finditer(answer) if len(found[0]) > 1]
    if numbers:
        return answer[: numbers[-1].end() - 1] + answer[numbers[-1].end() :]
    return re.sub(r"[0-9][^0-9]*$" if re.search(r"\d", answer) else r"[A-Za-z][^A-Za-z]*$", "", answer)


MUTATIONS: dict[str, Callable[[str], str]] = {"shifted": shifted, "negated": negated, "truncated": truncated}


def keeps_the_value(row: Row, mutated: str) -> bool:
    """Whether a mutated answer still says the same number, or word for word the same."""
    before, after = (reference_text(text) for text in (row.answer, mutated))
    if before is None or after is None:
        return before == after
    number, mutated_number = plain_number(before), plain_number(after)
    same_text = before == re.sub(r"-0(?![\d.])", "0", after)
    return same_text or (number is not None and mutated_number is not None and number.matches(mutated_number))


def rollouts(rows: Sequence[Row], completions: Sequence[str]) -> list[Rollout]:
    return [
        Rollout("", completion, columns={"answer": row.reference})
        for row, completion in zip(rows, completions, strict=True)
    ]


def boxed(answers: Sequence[str]) -> list[str]:
    return [rf"The answer is \boxed{{{answer}}}." for answer in answers]


def correctness(name: str, rows: list[Row]) -> None:
    """Every reference both ways, and every mutation of it."""
    with closing(MathAnswer(timeout_seconds=20.0)) as verifier:
        ways = {"in a box": boxed([row.answer for row in rows]), "as solved": [row.solution for row in rows]}
        for way, completions in ways.items():
            found = verifier.judge(rollouts(rows, completions))
            print(f"{name}: {sum(one.score == 1.0 for one in found)} of {len(rows)} references accepted, {way}")
            for row, verdict in zip(rows, found, strict=True):
                if verdict.score != 1.0:
                    print(f"  {row.name}: {row.answer!r} {verdict.score} {verdict.reason}")
        for mutation, change in MUTATIONS.items():
            made = [(row, change(row.answer)) for row in rows]
            kept = [f"{row.name} ({text})" for row, text in made if keeps_the_value(row, text)]
            made = [(row, text) for row, text in made if not keeps_the_value(row, text)]
            found = verifier.judge(rollouts([row for row, _ in made], boxed([text for _, text in made])))
            refused = sum(one.score == 0.0 for one in found)
            print(f"{name}: {refused} of {len(made)} {mutation} refused; the value is kept in {len(kept)}")
            for one in kept:
                print(f"  kept: {one}")
            for (row, text), verdict in zip(made, found, strict=True):
                if verdict.score != 0.0:
                    print(f"  {row.name}: {row.answer!r} as {text!r} {verdict.score} {verdict.reason}")


def ours(rows: list[Rollout]) -> tuple[list[float | None], float, float]:
    """Scores, and verdicts a second: cold (processes run, but have seen none of these), then warm."""
    elementary.read.cache_clear()
    with closing(MathAnswer(timeout_seconds=20.0)) as verifier:
        for turn in range(4):  # every process meets every form, as math-verify has in its own unmeasured pass
            texts = [(reference, f"{answer} + {turn}z") for reference, answer in FORMS]
            verifier.judge([Rollout("", rf"\boxed{{{text}}}", columns={"answer": one}) for one, text in texts])
        rates = []
        for _ in range(2):
            started = time.perf_counter()
            scores = [one.score for at in range(0, len(rows), BATCH) for one in verifier.judge(rows[at : at + BATCH])]
            rates.append(len(rows) / (time.perf_counter() - started))
    return scores, rates[0], rates[1]


def theirs(rows: list[Row], completions: list[str], seconds_allowed: int | None) -> tuple[list[bool], float]:
    """What math-verify says, called as its README does, and verdicts a second."""
    started = time.perf_counter()
    found = [
        verify(
            parse(f"${row.answer}$", parsing_timeout=seconds_allowed),
            parse(completion, parsing_timeout=seconds_allowed),
            timeout_seconds=seconds_allowed,
        )
        for row, completion in zip(rows, completions, strict=True)
    ]
    return found, len(rows) / (time.perf_counter() - started)


def rates(name: str, rows: list[Row], completions: list[str], right: bool) -> None:
    """Both in turn, the median of the ratios, and every verdict on which they differ."""
    work = rollouts(rows, completions)
    told, _ = theirs(rows, completions, SECONDS_ALLOWED)  # its grammar's tables are built here, unmeasured
    measured = []
    for _ in range(TURNS):
        scores, cold, warm = ours(work)
        limited = theirs(rows, completions, SECONDS_ALLOWED)[1]
        measured.append((cold, warm, limited, theirs(rows, completions, None)[1]))
    cold, warm, limited, free = (statistics.median(column) for column in zip(*measured, strict=True))
    ratios = [statistics.median(one[0] / one[at] for one in measured) for at in (2, 3)]
    print(
        f"{name}: {cold:,.0f} a second cold, {warm:,.0f} warm; math-verify {limited:,.0f} with its limit, {free:,.0f} "
        f"without; cold against it {ratios[0]:.1f} and {ratios[1]:.1f} times"
    )
    worse = [n for n, (one, other) in enumerate(zip(scores, told, strict=True)) if one != right and other is right]
    better = sum(one == right and other is not right for one, other in zip(scores, told, strict=True))
    print(f"  verdicts worse than math-verify's: {len(worse)}; better: {better}")
    for number in worse:
        print(f"    {rows[number].name}: {rows[number].answer!r} {completions[number][-80:]!r} {scores[number]}")


def memory_mib(processes: Sequence[int]) -> float:
    """What processes hold, in MiB; one that has just been replaced holds nothing."""
    total = 0
    for process in processes:
        try:
            total += psutil.Process(process).memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / (1 << 20)


def mixed(rows: list[Row], count: int) -> Iterator[Rollout]:
    """Right, wrong and unreadable answers, hardly two alike; one in eight needs a process."""
    for number in range(count):
        row, turn = rows[number % len(rows)], number // len(rows)
        texts = [row.answer, f"{row.answer} + {turn + 1}", f"{shifted(row.answer)} {turn}", rf"\frac{{{turn}"] * 2
        texts[7] = rf"{row.answer} + \sin({turn})"
        text = texts[number % 8]
        yield Rollout("", rf"\boxed{{{text}}}", columns={"answer": row.reference})


def many(rows: list[Row], count: int) -> None:
    """Mixed verdicts in one run; the slope of memory over the second half, when every cache is full."""
    samples: list[tuple[int, float, float]] = []
    reasons: dict[str, int] = {}
    started, batch, done = time.perf_counter(), [], 0
    with closing(MathAnswer()) as verifier:
        for rollout in mixed(rows, count):
            batch.append(rollout)
            done += 1
            if len(batch) < BATCH and done < count:
                continue
            for verdict in verifier.judge(batch):
                reasons[verdict.reason] = reasons.get(verdict.reason, 0) + 1
            batch = []
            workers = memory_mib(verifier._pool.process_ids)  # noqa: SLF001  there is no other way to see them
            samples.append((done, memory_mib([psutil.Process().pid]), workers))
    seconds = time.perf_counter() - started
    print(f"many: {done:,} verdicts in {seconds:.0f} s, {done / seconds:,.0f} a second; {reasons}")
    late = [one for one in samples if one[0] > count // 2]
    for name, at in (("this process", 1), ("its workers", 2)):
        slope = statistics.linear_regression([one[0] for one in late], [one[at] for one in late]).slope * 10_000
        most = max(one[at] for one in samples)
        print(f"many: {name}: at most {most:.0f} MiB, {slope:+.2f} MiB in 10,000 verdicts over the second half")


def main(
    gsm8k: Annotated[Path | None, typer.Option(help="GSM8K's test.jsonl")] = None,
    math500: Annotated[Path | None, typer.Option(help="MATH-500's test.jsonl")] = None,
    many_verdicts: Annotated[int, typer.Option("--many", help="how many mixed verdicts in one run; 0 for none")] = 0,
) -> None:
    """Measure and print."""
    logging.disable(logging.WARNING)  # math-verify says once that it has no limit
    files = {name: read(path) for name, path in {"GSM8K": gsm8k, "MATH-500": math500}.items() if path is not None}
    if not files:
        raise typer.BadParameter("give --gsm8k or --math500, or both")
    if many_verdicts:
        many([row for rows in files.values() for row in rows], many_verdicts)
        return
    for name, rows in files.items():
        correctness(name, rows)
    print(f"bounds: {RATE_BOUND:,} a second on GSM8K, {RATIO_BOUND} times math-verify on MATH-500")
    for name, rows in files.items():
        rates(f"{name}, solutions", rows, [row.solution for row in rows], right=True)
        rates(f"{name}, shifted answers", rows, boxed([shifted(row.answer) for row in rows]), right=False)


if __name__ == "__main__":
    typer.run(main)
