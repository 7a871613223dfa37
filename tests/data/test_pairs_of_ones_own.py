"""Pairs in the forms of other trainers: all of a prompt is read, and no pair prefers nothing or repeats its prompt."""

import pytest

from alignment.core.errors import DataError
from alignment.data.tables.pairs import pair_of
from alignment.data.tables.shapes import columns_read


def test_the_input_and_the_history_beside_an_instruction_are_asked() -> None:
    row = {"instruction": "Translate.", "input": "Bonjour", "history": [["a", "b"]], "chosen": "Hi", "rejected": "Bye"}
    prompt, chosen, _ = pair_of(row)
    assert [turn["content"] for turn in prompt] == ["a", "b", "Translate.\n\nBonjour"] and chosen["content"] == "Hi"
    assert set(row) <= columns_read(row)


@pytest.mark.parametrize("rejected", ["yes", "yes \n"])
def test_two_answers_that_templates_write_alike_are_refused(rejected: str) -> None:
    with pytest.raises(DataError, match="are the same answer"):
        pair_of({"prompt": "Is it?", "chosen": "yes", "rejected": rejected})


def test_answers_that_repeat_their_prompt_as_text_are_refused() -> None:
    prompt = "Human: Is it?\n\nAssistant:"
    with pytest.raises(DataError, match="begin with their `prompt`"):
        pair_of({"prompt": prompt, "chosen": f"{prompt} yes", "rejected": f"{prompt} no"})
    assert pair_of({"prompt": "Hi", "chosen": "Hi there", "rejected": "Hi?"})[1]["content"] == "Hi there"
