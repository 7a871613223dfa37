"""Batches of sequences of about the same length, for models that score and do not sample.

Neighbours: process_model.py, reward_model.py and frozen_policy.py (who ask).
"""

from collections.abc import Iterator, Sequence

import torch


def padded_batches(
    sequences: Sequence[Sequence[int]], most_tokens: int, device: torch.device, pad: int = 0
) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
    """(places of its sequences, token ids (B, T), attention mask (B, T)) of each batch, padded on the right.

    A batch has at most `most_tokens`, padding included; a sequence alone may have more. The shortest come first.
    """
    for places in _by_length([len(one) for one in sequences], most_tokens):
        longest = len(sequences[places[-1]])
        missing = [longest - len(sequences[place]) for place in places]
        ids = [[*sequences[place], *[pad] * more] for place, more in zip(places, missing, strict=True)]
        mask = [[1] * (longest - more) + [0] * more for more in missing]
        yield places, torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _by_length(lengths: Sequence[int], most_tokens: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[place] > most_tokens:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
