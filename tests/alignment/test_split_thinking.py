"""Thinking and answer are split alike wherever a completion is read: by the sample stage, tables, the linter, the page."""

import pytest

from alignment.data.rows import user_turn
from alignment.data.tables.fields import Fields, read_messages
from alignment.lint.cases import split_turn
from alignment.records.rollout import RolloutRow
from alignment.report.render.samples import _rollout
from alignment.training.stages.sample import _reply
from rewards.contract import Rollout, after_thinking

SPLIT = [
    ("<think>\nSix.\n</think>\n\n12", "Six.", "12"),
    ("Six.\n</think>\n\n12", "Six.", "12"),  # its template opened the block in the prompt
    ("<think>\n\n</think>\n\n12", "", "12"),
    ("<think>Six.</think>12", "Six.", "12"),
    ("12", "", "12"),
]


def row_of(text: str) -> RolloutRow:
    """A rollout of one turn, as a stage records it."""
    return RolloutRow(1, "p", "6 + 6 =", "12", "thinking", None, text, 8, 4, 0, "end", 1.0)


@pytest.mark.parametrize(("text", "thinking", "answer"), SPLIT)
def test_every_reader_splits_alike(text: str, thinking: str, answer: str) -> None:
    judged = Rollout("6 + 6 =", text)
    assert (judged.thinking, judged.answer) == (thinking, answer)
    (reply,) = _reply(row_of(text))
    assert (reply["reasoning_content"], reply["content"]) == (thinking, answer)
    assert split_turn({"role": "assistant", "content": text}) == (thinking, answer)
    shown = _rollout(row_of(text))
    assert (shown.thinking, shown.answer) == (thinking, answer)
    row = {"messages": [user_turn("6 + 6 ="), {"role": "assistant", "content": text}]}
    read = read_messages(Fields(), row)[-1]
    assert (read.get("reasoning_content", ""), read["content"]) == (thinking, answer)


def test_an_unclosed_block_is_thinking_wherever_it_is_judged_or_shown() -> None:
    assert (Rollout("", "<think>never closed").thinking, Rollout("", "<think>never closed").answer) == (
        "never closed",
        "",
    )
    assert _rollout(row_of("<think>never closed")).thinking == "never closed"


def test_what_follows_the_thinking_is_kept_as_it_is() -> None:
    assert after_thinking("<think>a</think> {} <think>") == " {} <think>"
    assert after_thinking(" {}") == " {}"
