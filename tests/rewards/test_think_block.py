"""Where a completion's answer begins is said by one rule, for rewards, scores of steps and fluency alike."""

import pytest

from alignment.data.steps.definition import Step, thinking_steps
from rewards.contract import answer_start, split_thinking


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("42", "42"),
        ("<think>\n6 x 7\n</think>\n\n42", "42"),
        ("6 x 7\n</think>42", "42"),  # its template opened the block in the prompt
        ("<think>one</think>two<think>three</think>four", "four"),
        ("<think>6 x 7", None),
        ("<think>one</think>two<think>three", None),  # an open block is thinking to its end
    ],
)
def test_the_answer_follows_the_last_tag_if_that_closes_a_block(completion: str, answer: str | None) -> None:
    start = answer_start(completion)
    assert (None if start is None else completion[start:].strip()) == answer
    assert split_thinking(completion)[1] == (answer or "")


def test_steps_before_the_answer_are_in_the_think_block() -> None:
    text = "<think>one</think>two<think>three</think>four"
    steps = [Step(word, text.index(word), text.index(word) + len(word)) for word in ("one", "two", "three", "four")]
    assert thinking_steps(text, steps) == 3
    assert thinking_steps(text[: text.index("four") - len("</think>")], steps[:3]) == 3
    assert thinking_steps("one\ntwo", steps[:1]) == 0
