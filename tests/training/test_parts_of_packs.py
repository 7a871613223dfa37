"""What one of the processes that share a pack has of it, and which models' packs cannot be shared.

tests/ranks/test_ranks.py has the training itself.
"""

import pytest
import torch

from alignment.recipe.shareable import unshareable
from alignment.training.sequence_parallel import PartOfPack


def test_parts_of_a_pack_are_equally_long_and_a_token_knows_the_label_that_begins_the_next_part() -> None:
    pack = {"input_ids": [5, 6, 7, 8, 9], "position_ids": [0, 1, 2, 0, 1], "labels": [-100, 6, 7, -100, 9]}
    whole = {name: torch.tensor([values]) for name, values in pack.items()}
    whole["cu_seq_lens_q"] = torch.tensor([0, 3, 5], dtype=torch.int32)
    first, second = (PartOfPack(lambda _: dict(whole), part, 2)([]) for part in (0, 1))
    assert first["input_ids"].tolist() == [[5, 6, 7]] and second["input_ids"].tolist() == [[8, 9, 0]]
    assert first["shift_labels"].tolist() == [[6, 7, -100]] and second["shift_labels"].tolist() == [[9, -100, -100]]
    assert second["position_ids"].tolist() == [[0, 1, 0]], "what fills up the pack is a row of its own"
    assert {one["labels"].shape for one in (first, second)} == {(1, 3)}
    assert {tuple(one["cu_seq_lens_q"].tolist()) for one in (first, second)} == {(0, 3, 5, 6)}, "of the whole pack"


@pytest.mark.parametrize(("config", "words"), [
    ({"rope_parameters": {"rope_type": "longrope"}}, "longrope"),
    ({"rope_scaling": {"type": "dynamic", "factor": 2}}, "dynamic"),
    ({"rope_parameters": {"full_attention": {"rope_type": "longrope"}}}, "longrope"),
    ({"model_type": "gpt_oss"}, "learned sink"),
    ({"num_attention_heads": 9, "num_key_value_heads": 3}, "2 processes cannot divide 9 attention heads"),
])  # fmt: skip
def test_models_that_would_train_wrongly_or_not_at_all_are_named(config: dict[str, object], words: str) -> None:
    assert words in str(unshareable(config, 2))


def test_models_whose_positions_do_not_depend_on_a_rows_length_share_packs() -> None:
    heads = {"num_attention_heads": 32, "num_key_value_heads": 8}
    assert unshareable({**heads, "rope_parameters": {"rope_type": "yarn"}}, 8) is None
    assert unshareable({**heads, "num_key_value_heads": 2}, 8) is None, "heads of keys are there several times"
    assert unshareable({}, 8) is None
