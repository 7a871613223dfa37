"""10,000 completions that try to keep the grader busy, to stop it, or to be left without a score: none of them can.

Bombs, huge numbers and nested forms, boxed and not, beside as many ordinary completions in the same references, which
say what time is normal. test_answer.py has a smaller one that runs each time.
"""

import itertools
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

import rewards
from rewards import Rollout
from rewards.kinds.math_answer.verifier import MathAnswer

COUNT, BATCH = 10_000, 500
REFERENCES = (
    "7",
    r"\frac{3}{4}",
    "x+1",
    "(1,2)",
    r"2\sqrt{3}",
    "B",
    "3 hours",
    r"\{1,2\}",
    "x<3",
    r"\frac{\pi}{6}",
    "50\\%",
)
HUGE = ("{n}0000!", r"\binom{{{n}000}}{{{n}}}", "9^{{9^{{{n}}}}}", "{n}^{{{n}}}", "(({n})!)!", "1e{n}", "0.{n}e-{n}",
        r"\frac{{1}}{{{n}!}}", r"\sqrt[{n}]{{{n}^{{{n}}}}}", "x^{{{n}}}", "-{n}^{{-{n}}}")  # fmt: skip
BOMBS = (r"\prod_{{k=1}}^{{{n}00}} k", r"\sum_{{k=1}}^{{{n}0}} \frac{{1}}{{k}}", r"\sin(({n})!)",
         "((({n}^{{64}})^{{64}})^{{64}})^{{64}}", r"\exp(\exp(\exp({n})))", r"\int\int\int\int x^{{{n}}} dx",
         r"\lim_{{x\to 0}} \sum_{{k=1}}^{{{n}}} x^k", r"(x+1)^{{{n}}}-(x-1)^{{{n}}}", r"\{{1,2,...,{n}\}}")  # fmt: skip
NESTED = ("(" * 200 + "{n}" + ")" * 200, r"\frac{{1}}{{" * 80 + "{n}" + "}}" * 80, r"\sqrt{{" * 90 + "{n}" + "}}" * 90,
          "[(" * 150 + "{n}", r"\text{{" * 60 + "{n}" + "}}" * 60, "x_{{" * 60 + "{n}" + "}}" * 60, "+".join(["x^2"] * 99) + "+{n}",
          r"\left(" * 100 + "{n}", "{n}," * 90 + "{n}", "-" * 300 + "{n}")  # fmt: skip
# What a model answers to each reference: right, another of the same form, another form, and what needs a process.
ORDINARY = (
    ("7", "{n}", "x={n}", r"7+\sin({n})"),
    (r"\frac{{3}}{{4}}", r"\frac{{{n}}}{{4}}", "0.{n}", r"\frac{{3}}{{4}}+\cos({n})"),
    ("x+1", "x+{n}", "{n}-x", "x+y+{n}"),
    ("(1,2)", "(1,{n})", "{n}", r"(1,\sin({n}))"),
    (r"2\sqrt{{3}}", r"{n}\sqrt{{3}}", r"\sqrt{{{n}}}", r"2\sqrt{{3+\cos({n})}}"),
    ("B", "C", "{n}", "A"),
    ("3 hours", "{n} hours", "{n} minutes", "{n}"),
    (r"\{{1,2\}}", r"\{{1,{n}\}}", "1,{n}", r"\{{1,\sin({n})\}}"),
    ("x<3", "x<{n}", "(-\\infty,{n})", "x<y+{n}"),
    (r"\frac{{\pi}}{{6}}", r"\frac{{\pi}}{{{n}}}", "{n}", r"\sin(\frac{{\pi}}{{{n}}})"),
    ("50\\%", "{n}\\%", "0.{n}", "{n}"),
)
SPOKEN = (
    r"So the answer is \boxed{{{answer}}}.",
    "Therefore it is ${answer}$.",
    "The answer is {answer}.",
    r"\boxed{{{answer}}}",
)


def hostile_completions() -> Iterator[Rollout]:
    """COUNT completions, each of another answer, over all references and ways to say an answer."""
    for number, form in zip(range(10_007, 10_007 + COUNT), itertools.cycle(HUGE + BOMBS + NESTED)):
        yield said(number, REFERENCES[number % len(REFERENCES)], form)


def ordinary_completions() -> Iterator[Rollout]:
    """As many that nobody means to harm with, one in seven or so of which needs a process."""
    for number in range(COUNT):
        place, turn = number % len(REFERENCES), number // len(REFERENCES)
        yield said(number, REFERENCES[place], ORDINARY[place][3 if turn % 7 == 6 else turn % 3])


def said(number: int, reference: str, form: str) -> Rollout:
    """A completion that says a form of a number in one of the usual ways."""
    spoken = SPOKEN[number // 3 % len(SPOKEN)]
    return Rollout("q", spoken.format(answer=form.format(n=number)), columns={"answer": reference})


@pytest.mark.long
def test_ten_thousand_hostile_completions_are_wrong_in_the_time_that_ordinary_ones_take() -> None:
    hostile, ordinary = list(hostile_completions()), list(ordinary_completions())
    seconds = {"hostile": 0.0, "ordinary": 0.0}
    scores: set[float | None] = set()
    slowest = 0.0
    with closing(MathAnswer()) as verifier:
        verifier.judge(ordinary[:1])
        for start in range(0, COUNT, BATCH):  # in turn, so that both have the same machine
            for name, rows in (("ordinary", ordinary), ("hostile", hostile)):
                began = time.monotonic()
                verdicts = verifier.judge(rows[start : start + BATCH])
                took = time.monotonic() - began
                seconds[name] += took
                if name == "hostile":
                    scores |= {verdict.score for verdict in verdicts}
                    slowest = max(slowest, took)
    print(
        f"{COUNT:,} hostile in {seconds['hostile']:.1f} s, ordinary in {seconds['ordinary']:.1f} s, slowest {slowest:.2f} s"
    )
    assert scores == {0.0}
    assert seconds["hostile"] <= 2 * seconds["ordinary"], seconds


@pytest.mark.long
def test_a_batch_of_nothing_but_hostile_completions_does_not_stop_a_training_run() -> None:
    rows = list(itertools.islice(hostile_completions(), 1_000))
    with rewards.reward_function([{"kind": "math_answer"}]) as reward:
        totals = reward(
            ["q"] * len(rows), [one.completion for one in rows], answer=[one.columns["answer"] for one in rows]
        )
    assert totals == [0.0] * len(rows)
