"""What one of the processes that share a pack has of it, and attention that finds rows by their positions.

tests/ranks/test_ranks.py has the training itself.
"""

import torch

from alignment.inference.attention.by_positions import attention_by_positions
from alignment.inference.attention.packed import packed_attention
from alignment.training.sequence_parallel import PartOfPack


def test_parts_of_a_pack_are_equally_long_and_a_token_knows_the_label_that_begins_the_next_part() -> None:
    pack = {"input_ids": [5, 6, 7, 8, 9], "position_ids": [0, 1, 2, 0, 1], "labels": [-100, 6, 7, -100, 9]}
    whole = {name: torch.tensor([values]) for name, values in pack.items()}
    first, second = (PartOfPack(lambda _: dict(whole), part, 2)([]) for part in (0, 1))
    assert first["input_ids"].tolist() == [[5, 6, 7]] and second["input_ids"].tolist() == [[8, 9, 0]]
    assert first["shift_labels"].tolist() == [[6, 7, -100]] and second["shift_labels"].tolist() == [[9, -100, -100]]
    assert second["position_ids"].tolist() == [[0, 1, 0]], "what fills up the pack is a row of its own"
    assert {one["labels"].shape for one in (first, second)} == {(1, 3)}


def test_rows_that_are_found_by_their_positions_attend_as_rows_that_are_named() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, heads, 9, 8) for heads in (4, 2, 2))
    positions = torch.tensor([[0, 1, 2, 3, 0, 1, 0, 0, 1]])
    bounds = torch.tensor([0, 4, 6, 7, 9], dtype=torch.int32)
    module = torch.nn.Module()
    found, _ = attention_by_positions(module, query, key, value, None, positions)
    named, _ = packed_attention(module, query, key, value, None, bounds)
    assert torch.equal(found, named)
