"""The kind math_answer on gold, near-miss, garbage and unjudgeable rows, and against answers built to cheat or hang."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from rewards import MissingColumn, Rollout, Verdict, check_reference, check_references
from rewards.kinds.math_answer.reading import final_answer
from rewards.kinds.math_answer.verifier import MathAnswer

GOLD = [
    # reference, completion
    ("72", r"So \boxed{72}"),
    ("72", r"<think>\boxed{3}</think>\boxed{72}"),
    ("She sells 9 eggs.\n#### 1,800", "That makes #### 1800"),
    ("1800", r"\boxed{\$1,800.00}"),
    ("10,\\!080", r"\boxed{10080}"),
    ("58,500", r"\boxed{58500}"),
    ("18", "The answer is $18 per day."),
    ("18", "**Answer:** 18"),
    ("18", r"\boxed{18 eggs}"),
    ("18", r"\boxed{18\text{ eggs}}"),
    ("3", "2 and 5 are less, so we get 3."),
    ("50", r"\boxed{50\%}"),
    ("0.5", r"\boxed{50\%}"),
    ("0.5", r"\boxed{\frac{1}{2}}"),
    (r"\frac{14}{3}", r"\boxed{14/3}"),
    (r"\frac{14}{3}", r"The final answer is $\dfrac{14}{3}$."),
    (r"3 \pm 2 \sqrt{2}", r"\boxed{3+2\sqrt{2}, 3-2\sqrt{2}}"),
    ("3, 5, 7", r"\boxed{7,5,3}"),
    (r"\left( 3, \frac{\pi}{2} \right)", r"\boxed{(3, pi/2)}"),
    ("(3,4]", r"\boxed{3 < x \le 4}"),
    ("x^3+3x-6", r"\boxed{-6+3x+x^3}"),
    ("x=5", r"\boxed{5}"),
    ("5", r"\boxed{x=5}"),
    (r"\text{Evelyn}", r"\boxed{evelyn}"),
    (r"\text{(C)}", r"\boxed{C}"),
    ("52_8", r"\boxed{52_{8}}"),
    ("52_8", r"\boxed{52}"),
    ("1024", r"\boxed{2**10}"),
    ("3.5", r"\boxed{3 1/2}"),
    (r"\begin{pmatrix} -1/3 \\ 2/3 \end{pmatrix}", r"\boxed{\begin{pmatrix} -\frac13 \\ \frac23 \end{pmatrix}}"),
    (".0000672", r"\boxed{6.72 \times 10^{-5}}"),
]

WRONG = [
    # reference, completion, reason
    ("72", r"\boxed{73}", "different_number"),
    ("72", r"\boxed{72} no, \boxed{27}", "different_number"),
    ("72", r"<think>\boxed{72}</think>I cannot say", "no_answer"),
    ("72", r"<think>\boxed{72}", "no_answer"),
    ("72", "", "no_answer"),
    ("72", r"It is 72. \boxed{}", "no_answer"),
    ("72", "no idea", "no_answer"),
    ("4", "1, 2, 3, 4", "several_answers"),
    ("3", r"\boxed{1, 2, 3, 4}", "several_answers"),
    ("3", r"\boxed{2 \text{ or } 3}", "several_answers"),
    ("3", r"\boxed{a=1, b=2, c=3}", "several_answers"),
    ("6", r"\boxed{1 \quad 2 \quad 3}", "several_answers"),
    ("6", r"\boxed{6 \pm 0}", "several_answers"),
    ("3", r"\boxed{1 = 2 = 3}", "different"),
    ("18", r"\boxed{18 million}", "different_number"),
    ("2", r"\boxed{2\pi}", "different"),
    ("52_8", r"\boxed{52_9}", "different_base"),
    ("52", r"\boxed{52_8}", "different_base"),
    (r"\frac{14}{3}", r"\boxed{\frac{3}{14}}", "different"),
    (r"\frac{1}{3}", r"\boxed{0.33}", "different"),
    (".0000672", r"\boxed{6.71 \times 10^{-5}}", "different"),
    ("(8,-2)", r"\boxed{(9,-3)}", "different"),
    ("(3,4]", r"\boxed{[3,4]}", "different"),
    ("50%", r"\boxed{5000\%}", "different_number"),
    (r"\text{Evelyn}", r"\boxed{nylevE}", "different_words"),
    ("5", r"\boxed{\frac{1}{}", "no_answer"),
    ("5", r"\boxed{?? 5 !!}", "answer_unparsable"),
    ("5", r"\boxed{__import__('os').system('true') 5}", "answer_unparsable"),
    ("7", r"\boxed{9**9**9}", "answer_too_large"),
    ("7", r"\boxed{9^{9^{9}}}", "answer_too_large"),
    ("7", r"\boxed{" + "7+" * 2000 + "7}", "answer_too_long"),
    ("7", r"\boxed{" * 20_000, "no_answer"),
]

UNJUDGEABLE = ["", "   ", "???", r"\frac{1}{", ["7"]]


@pytest.fixture(scope="module")
def verifier() -> Iterator[MathAnswer]:
    one = MathAnswer(workers=1, timeout_seconds=20.0)
    yield one
    one.close()


def rollout(reference: object, completion: str) -> Rollout:
    return Rollout("q", completion, columns={"answer": reference})


@pytest.mark.parametrize(("reference", "completion"), GOLD)
def test_an_answer_that_means_the_reference_is_right(verifier: MathAnswer, reference: str, completion: str) -> None:
    (verdict,) = verifier.judge([rollout(reference, completion)])
    assert verdict.score == 1.0, verdict


@pytest.mark.parametrize(("reference", "completion", "reason"), WRONG)
def test_anything_else_is_wrong_for_a_named_reason(
    verifier: MathAnswer, reference: str, completion: str, reason: str
) -> None:
    (verdict,) = verifier.judge([rollout(reference, completion)])
    assert (verdict.score, verdict.reason) == (0.0, reason), verdict


def test_a_row_without_a_reference_is_another_verifiers_row(verifier: MathAnswer) -> None:
    (verdict,) = verifier.judge([rollout(None, r"\boxed{None}")])
    assert (verdict.score, verdict.applicable) == (None, False)


@pytest.mark.parametrize("reference", UNJUDGEABLE)
def test_an_unreadable_reference_is_never_rewarded_even_when_copied(verifier: MathAnswer, reference: object) -> None:
    for completion in (rf"\boxed{{{reference}}}", r"\boxed{7}"):
        (verdict,) = verifier.judge([rollout(reference, completion)])
        assert (verdict.score, verdict.reason) in ((None, "reference_unparsable"), (0.0, "no_answer"))


def test_a_reference_is_checked_when_data_is_loaded() -> None:
    assert check_references(["72", r"\frac{1}{2}", r"\text{east}", "#### 1,000", "x=5"]) == [None] * 5
    problems = check_references(["", "???", "\\frac{1}{"])
    assert "holds nothing" in str(problems[0])
    assert "cannot be judged" in str(problems[1])
    assert "cannot be judged" in str(check_reference("\\frac{1}{"))


def test_without_a_box_an_answer_can_be_refused() -> None:
    strict = MathAnswer(require_boxed=True)
    reasons = [one.reason for one in strict.judge([rollout("7", "The answer is 7"), rollout("7", r"\boxed{7}")])]
    assert reasons == ["no_answer", "equal_number"]


HANGS = r"\sinh((10^{7}+1)!)"  # stuck inside one call in C, where no signal to Python could end it


def test_a_verification_that_hangs_is_ended_and_an_answer_cannot_choose_to_be_unjudged() -> None:
    rows = [
        rollout("7", rf"\boxed{{{HANGS}}}"),
        rollout("0.5", r"\boxed{\frac{1}{2}}"),
        rollout(HANGS, r"\boxed{7}"),
        rollout(r"\cos 2x", rf"\boxed{{{HANGS}}}"),
    ]
    verdicts: list[Verdict] = []
    with closing(MathAnswer(workers=1, timeout_seconds=0.8)) as verifier:
        thread = threading.Thread(target=lambda: verdicts.extend(verifier.judge(rows)))  # not the main thread
        thread.start()
        thread.join(timeout=60.0)
    assert [(one.score, one.reason) for one in verdicts] == [
        (0.0, "answer_too_costly"),
        (1.0, "equivalent"),
        (None, "timed_out"),
        (0.0, "answer_too_costly"),
    ]


def test_an_integral_that_is_left_to_be_computed_is_judged_where_it_is_easy_and_wrong_where_it_takes_long(
    verifier: MathAnswer,
) -> None:
    easy = verifier.judge([rollout("2", r"\boxed{\int_0^{\pi} \sin x\, dx}")])
    start = time.monotonic()
    hard = verifier.judge([rollout("x+1", r"\boxed{\int_1^2 \frac{x^3+2x}{\sqrt{x^4+1}}\, dx}")])
    assert (easy[0].score, hard[0].score) == (1.0, 0.0)
    assert time.monotonic() - start < 4.0


def test_all_answers_of_a_call_that_are_left_to_be_computed_share_their_time(
    verifier: MathAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rewards.kinds.math_answer.verifier.ALL_UNCOMPUTED_SECONDS", 0.0)
    sums = verifier.judge([rollout("7", rf"\boxed{{\sum_{{k=1}}^{{{n}}} \sin k}}") for n in range(2, 9)])
    assert {(one.score, one.reason) for one in sums} == {(0.0, "answer_too_costly")}


def test_a_pair_is_compared_once_and_remembered(verifier: MathAnswer) -> None:
    rows = [rollout(r"\frac{22}{7}", r"\boxed{22/7}")] * 500
    verifier.judge(rows[:1])
    start = time.monotonic()
    assert {one.score for one in verifier.judge(rows)} == {1.0}
    assert time.monotonic() - start < 0.5


def test_a_dataset_without_answers_is_a_named_error(verifier: MathAnswer) -> None:
    with pytest.raises(MissingColumn, match="'math_answer' needs the dataset column 'answer'; the dataset has: target"):
        verifier.judge([Rollout("q", "7", columns={"target": "7"})])


HOSTILE = ("\n", " ", "\t", "*", "$", "\\(", "\\[", "\\boxed{", "\\boxed{1} and ", "<answer>", "1, ", "The answer is 1, ", "\\frac{a{",
           "答案是", "x^", "1+", "$1$ and ", "not \\boxed{", "1{,}", "1:", "\\text{and }", ".", "<|im_end|>", " not 1", "5 out of ", "1 (", "\\begin{align*}", "<answer>1\n")  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE, ids=repr)
def test_an_answer_is_found_in_time_that_grows_no_faster_than_the_text(piece: str) -> None:
    start = time.process_time()
    for text in (piece * 50_000, f"The answer is {piece * 50_000}x"):
        final_answer(text)
    assert time.process_time() - start < 5.0


def test_hostile_answers_are_wrong_answers_and_stop_nothing(verifier: MathAnswer) -> None:
    """None of these is unknown, so that a policy can neither avoid a 0 nor abort the training with enough of them."""
    forms = ("{n}0000!", r"\binom{{{n}000}}{{{n}}}", "9^{{9^{{{n}}}}}", r"\prod_{{k=1}}^{{{n}00}} k", "{n}^{{{n}}}", "(({n})!)!", "1e{n}",
             r"\sum_{{k=1}}^{{{n}0}} \frac{{1}}{{k}}", r"\sin(({n})!)", "((({n}^{{64}})^{{64}})^{{64}})^{{64}}", r"\exp(\exp(\exp({n})))",
             r"\int\int\int\int x^{{{n}}} dx", "x^{{{n}}}")  # fmt: skip
    answers = [form.format(n=number) for number in range(10_007, 10_107) for form in forms]
    references = ["7", r"\frac{3}{4}", "x+1", "(1,2)", r"2\sqrt{3}", "B", "3 hours", r"\{1,2\}"]
    rows = [rollout(references[n % len(references)], rf"\boxed{{{answer}}}") for n, answer in enumerate(answers)]
    start = time.process_time()
    assert {verdict.score for verdict in verifier.judge(rows)} == {0.0}
    assert time.process_time() - start < 30.0
