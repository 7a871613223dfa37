"""The order of problems in a grpo stage: TRL's own, but a function of the epoch.

TRL's sampler draws each epoch's order from a generator that goes on from the last one's, so that a stage that is
resumed in its second epoch would begin again with the first one's order. Neighbours: trainer.py (puts it in TRL's
place), training/callbacks.py (says which epoch begins), ahead.py (asks for the next step's problems).
"""

import torch
from trl.trainer.utils import RepeatSampler


class EpochSampler(RepeatSampler):
    """RepeatSampler whose order is that of the epoch that `set_epoch` names, counted from 0."""

    @classmethod
    def of(cls, sampler: RepeatSampler) -> "EpochSampler":
        """The same sampler with an order for each epoch."""
        return cls(
            data_source=sampler.data_source,
            mini_repeat_count=sampler.mini_repeat_count,
            batch_size=sampler.batch_size,
            repeat_count=sampler.repeat_count,
            shuffle=sampler.shuffle,
            seed=sampler.seed,
        )

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch with the order that an unbroken run has in it."""
        if self.shuffle:
            self.generator.manual_seed(self.seed)
            for _ in range(epoch):
                torch.randperm(self.num_samples, generator=self.generator)

    def problems_of(self, step: int) -> list[int]:
        """The rows of the dataset that a step asks for, counted from 0 over all epochs, each once; each step is one chunk."""
        epoch, place = divmod(step, max(1, self.num_samples // self.batch_size))
        order = list(range(self.num_samples))
        if self.shuffle:
            generator = torch.Generator()
            generator.manual_seed(self.seed)
            for _ in range(epoch + 1):
                order = torch.randperm(self.num_samples, generator=generator).tolist()
        return order[place * self.batch_size : (place + 1) * self.batch_size]
