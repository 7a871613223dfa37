"""Pairs of transcripts, as hh-rlhf publishes them, are chats with the prompt before the answers."""

import pytest

from alignment.core.errors import DataError
from alignment.data.tables.pairs import pair_of
from alignment.data.tables.shapes import columns_read, recognise

OPENING = "\n\nHuman: Is it safe?\n\nAssistant: What do you mean?\n\nHuman: The ice, in March.\n\nAssistant:"


def test_a_pair_of_transcripts_is_a_prompt_of_turns_and_two_answers() -> None:
    row = {"chosen": f"{OPENING} No: stay off it.", "rejected": f"{OPENING} Human judgement says\nyes."}
    shape = recognise(row)
    assert shape is not None and shape.gives == "pairs"
    prompt, chosen, rejected = pair_of(row)
    assert [(one["role"], one["content"]) for one in prompt] == [
        ("user", "Is it safe?"),
        ("assistant", "What do you mean?"),
        ("user", "The ice, in March."),
    ]
    assert (chosen["content"], rejected["content"]) == ("No: stay off it.", "Human judgement says\nyes.")


def test_a_pair_whose_prompt_is_a_sharegpt_conversation_is_read_as_llama_factory_writes_it() -> None:
    turns = [
        {"from": "human", "value": "Is it safe?"},
        {"from": "gpt", "value": "What?"},
        {"from": "human", "value": "Ice."},
    ]
    row = {
        "conversations": turns,
        "chosen": {"from": "gpt", "value": "No."},
        "rejected": {"from": "gpt", "value": "Yes."},
    }
    prompt, chosen, rejected = pair_of(row)
    assert [one["role"] for one in prompt] == ["user", "assistant", "user"] and prompt[-1]["content"] == "Ice."
    assert (chosen["content"], rejected["content"]) == ("No.", "Yes.") and "conversations" in columns_read(row)


@pytest.mark.parametrize(
    ("chosen", "rejected", "told"),
    [
        (f"{OPENING} No.", "\n\nHuman: Is it warm?\n\nAssistant: No.", "do not answer the same prompt"),
        (f"{OPENING} No.", OPENING, "a turn of its transcript is empty"),
        (f"{OPENING} No.\n\nAssistant: Never.", f"{OPENING} Yes.", "two turns of its transcript are of one speaker"),
        (f"{OPENING} No.\n\nHuman: Thanks.", f"{OPENING} No.\n\nHuman: Bye.", "have to end with an assistant turn"),
    ],
)
def test_transcripts_that_cannot_be_compared_are_left_out_in_words(chosen: str, rejected: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        pair_of({"chosen": chosen, "rejected": rejected})


def test_beside_a_prompt_an_answer_that_looks_like_a_transcript_is_text() -> None:
    answer = "\n\nHuman: this is how a transcript begins"
    assert pair_of({"prompt": "Show one.", "chosen": answer, "rejected": "No."})[1]["content"] == answer
