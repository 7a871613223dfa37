"""Sequence parallelism of an sft stage: several processes share each pack of rows, by DeepSpeed's Ulysses (arXiv 2309.14509).

Each process has an equal part of a pack's tokens in all layers but attention, for which they exchange heads for tokens: a
row that is too long for one GPU's activations is trained on several. accelerate and transformers set it up; here packs get
a length that can be divided, and the loss is a mean over the trained tokens of a step, as without.
Neighbours: stages/sft.py (who asks), held_out.py (the trainer), inference/attention/packed.py (attention),
recipe/shareable.py (models whose packs cannot be shared).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from accelerate import ParallelismConfig
from torch.nn.functional import pad
from torch.utils.data import DataLoader
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from trl import SFTConfig

from alignment.core.errors import ArtifactError
from alignment.data.chat.template import IGNORED
from alignment.inference.attention import packed
from alignment.recipe.shareable import unshareable
from alignment.training.context import StageContext
from alignment.training.held_out import MeasuredSFTTrainer

if TYPE_CHECKING:
    from deepspeed import DeepSpeedEngine

ZERO3 = 3
Batch = dict[str, Any]
Collate = Callable[[Sequence[Mapping[str, Any]]], Batch]


def share_packs(context: StageContext, policy: Any, settings: SFTConfig, *, packs: bool) -> type[MeasuredSFTTrainer]:
    """Prepare an sft stage's policy and settings for packs that are shared; returns the class of its trainer.

    Raises ArtifactError for a model whose rows cannot be packed, or whose packs cannot be shared.
    """
    from deepspeed import init_distributed

    if not packs:
        raise ArtifactError(
            f"stage {context.stage.name} has sequence_parallel {context.stage.sequence_parallel}, which shares packs of rows, and "
            f"rows of this model are not packed: {context.counts.get('not_packed')}. Leave sequence_parallel out"
        )
    config = policy.config.get_text_config()
    if (why_not := unshareable(config.to_dict(), context.stage.sequence_parallel)) is not None:
        raise ArtifactError(f"stage {context.stage.name}, sequence_parallel: {why_not}. Leave it out")
    if getattr(config, "head_dim", None) is None:  # DeepSpeed takes None for a size (Mixtral)
        config.head_dim = config.hidden_size // config.num_attention_heads
    init_distributed()  # as ZeRO-3 has for the policy, unless zero3_init_flag is off: groups of ranks are made of it
    sharing = context.stage.sequence_parallel
    found = ParallelismConfig(
        sp_size=sharing, sp_backend="deepspeed", dp_shard_size=max(1, context.processes // sharing)
    )
    found.sp_handler.sp_attn_implementation = packed.SHARED  # its constructor takes others' attention alone
    settings.parallelism_config = found
    ALL_ATTENTION_FUNCTIONS[packed.SHARED] = packed.packed_attention
    policy.set_attn_implementation(packed.SHARED)
    return SharedPacksTrainer


class PartOfPack:
    """Collates as `whole` does, and keeps of the pack what one of the ranks that share it computes.

    part: its place among `parts`. A pack is filled up to a multiple of them with rows of one token that carry no loss.
    """

    def __init__(self, whole: Collate, part: int, parts: int) -> None:
        self._whole, self._part, self._parts = whole, part, parts

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Batch:
        """Tensors (1, T / parts), and where the rows of the whole pack begin, as packed attention takes it.

        shift_labels has the label of each token's next one, which may be in the next part.
        """
        pack = self._whole(rows)
        next_labels_1T = pad(pack["labels"], (0, 1), value=IGNORED)[:, 1:]
        found = {"input_ids": (pack["input_ids"], 0), "position_ids": (pack["position_ids"], 0),
                 "labels": (pack["labels"], IGNORED), "shift_labels": (next_labels_1T, IGNORED)}  # fmt: skip
        missing = -next_labels_1T.shape[1] % self._parts
        bounds = torch.arange(1, missing + 1, dtype=torch.int32) + pack["cu_seq_lens_q"][-1]
        part = {
            name: pad(one_1T, (0, missing), value=filler).chunk(self._parts, dim=1)[self._part]
            for name, (one_1T, filler) in found.items()
        }
        return {**part, "cu_seq_lens_q": torch.cat([pack["cu_seq_lens_q"], bounds])}


class SharedPacksTrainer(MeasuredSFTTrainer):
    """The trainer of an sft stage whose packs are shared by several ranks each: those that follow each other.

    DeepSpeed exchanges heads for tokens; the rest is what a trainer does whose ranks have rows of their own. transformers'
    way would take the mean of the packs' means, could not be resumed, and counts a step's tokens otherwise.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._sharing: int = self.args.parallelism_config.sp_size
        self.model_accepts_loss_kwargs = True  # the loss is divided by a step's tokens
        self.accelerator.deepspeed_ulysses_dl_adapter = self._prepared

    def get_sp_size(self) -> int:
        """One: transformers multiplies a loader's length by it, and here each rank's has its own packs alone."""
        return 1

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Ranks that share packs read the same rows, and each keeps its part of them."""
        loader = super().get_train_dataloader()
        group, part = divmod(self.accelerator.process_index, self._sharing)
        reading = loader.base_dataloader  # torch's, whose rows accelerate divides among the ranks
        reading.collate_fn = PartOfPack(reading.collate_fn, part, self._sharing)
        divided = reading.batch_sampler
        divided.num_processes, divided.process_index = self.accelerator.num_processes // self._sharing, group
        return loader

    def _prepared(self, loader: DataLoader[Any], engine: "DeepSpeedEngine") -> DataLoader[Any]:
        """The loader as it is, once DeepSpeed has the model; from here on nothing is to know of shared packs.

        Raises ArtifactError where DeepSpeed does not take the mean of all ranks' gradients.
        """
        if engine.zero_optimization_stage() != ZERO3 or not engine.zero_reduce_scatter():
            raise ArtifactError(
                "sequence_parallel: only ZeRO-3 with reduce_scatter takes the mean of all ranks' gradients where packs are "
                "shared; name the launcher config zero3"
            )
        self.accelerator.state.parallelism_config = None
        return loader
