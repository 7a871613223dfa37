"""Batches of sequences of about the same length, for models that score and do not sample.

Neighbours: process_model.py, reward_model.py and frozen_policy.py (which pad each batch on the right).
"""

from collections.abc import Iterator, Sequence


def by_length(lengths: Sequence[int], most_tokens: int) -> Iterator[list[int]]:
    """Places of sequences in batches of at most `most_tokens`, padding included, the shortest first; one alone may be longer."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[place] > most_tokens:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
