"""One definition of a step: how completions are split, and which tokens a step has."""

import pytest
from transformers import AutoTokenizer

from alignment.core.resources import resource
from alignment.data.steps.definition import StepRule, faults_of, thinking_steps, token_ends

CHAIN = "<think>\n5 + 9 = 14\n14 - 3 = 11\n</think>\n\n\\boxed{11}"


def texts(rule: StepRule, completion: str) -> list[str]:
    steps = rule.split(completion)
    assert all(completion[step.start : step.end] == step.text for step in steps)
    return [step.text for step in steps]


def test_a_blank_line_ends_a_step_and_a_single_one_does_not() -> None:
    assert texts(StepRule(), "First.\nStill first.\n\n \n\nSecond.\n") == ["First.\nStill first.", "Second."]


def test_think_tags_belong_to_no_step() -> None:
    assert texts(StepRule("line"), CHAIN) == ["5 + 9 = 14", "14 - 3 = 11", "\\boxed{11}"]


@pytest.mark.parametrize(
    ("completion", "inside"), [(CHAIN, 2), ("<think>\n5 + 9 = 14\n14 - 3", 2), ("5 + 9 = 14\n\\boxed{14}", 0)]
)
def test_steps_in_the_think_block_are_counted(completion: str, inside: int) -> None:
    assert thinking_steps(completion, StepRule("line").split(completion)) == inside


def test_a_marker_begins_a_step() -> None:
    assert texts(StepRule("marker"), "Intro\nStep 1: a\nb\nStep 2: c") == ["Intro", "Step 1: a\nb", "Step 2: c"]


def test_statements_are_told_apart_inside_functions_and_a_broken_program_by_its_lines() -> None:
    program = "Here:\n```python\ndef f(n):\n    total = 0\n    for i in range(n):\n        total += i\n    return total\n```\nDone."
    assert texts(StepRule("statement"), program) == [
        "def f(n):", "total = 0", "for i in range(n):", "total += i", "return total",
    ]  # fmt: skip
    assert texts(StepRule("statement"), "def f(:\n\n  return 1") == ["def f(:", "return 1"]


def test_empty_and_duplicate_steps_are_found() -> None:
    found = faults_of(["5 + 9 = 14", "  ", "5 +  9 = 14", "14 - 3 = 11"])
    assert (found.empty, found.duplicate) == ((1,), (2,))
    assert not faults_of(["a", "b"])


@pytest.mark.parametrize("text", [CHAIN, "Größe: 5 → 9\n14 − 3 = 11 ✓\nfertig"])
def test_the_tokens_of_a_prefix_decode_to_its_steps(text: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(resource("data/base"))
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    steps = StepRule("line").split(text)
    for count, step in zip(token_ends(tokenizer, ids, [one.end for one in steps]), steps, strict=True):
        assert tokenizer.decode(ids[:count]).startswith(text[: step.end])
        assert not tokenizer.decode(ids[: count - 1]).startswith(text[: step.end])
