"""Runs a dpo stage: direct preference optimization (arXiv 2305.18290) on pairs of a sample stage or a table.

Pairs are put into token ids here, so that a training prompt is the one that a rollout begins with: TRL would put its
text into tokens again, and add a second begin-of-text token. The reference policy is the policy at the stage's start:
TRL loads it from the same folder, or, with an adapter, uses the model without it. Neighbours: training/kinds/dpo.py
(declares the kind), data/chat/template.py (renders pairs).
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase
from trl import DPOConfig, DPOTrainer

from alignment.core.errors import DataError
from alignment.data.chat.template import render_preference
from alignment.data.chat.turns_rendered import TurnsRendered
from alignment.data.rows import Preference
from alignment.data.sources.rows import LeftOut
from alignment.training.adapter_config import adapter_config
from alignment.training.callbacks import Recorder
from alignment.training.context import StageContext
from alignment.training.disk_table import disk_table
from alignment.training.held_out import Measurer, measuring_settings
from alignment.training.policy import load_policy
from alignment.training.sound_rows import sound_pairs

if TYPE_CHECKING:
    from alignment.training.kinds.dpo import DpoStage


class PairTrainer(DPOTrainer):
    """DPOTrainer on pairs that are token ids already: prompt_ids, chosen_ids, rejected_ids."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
        """The rows as they are. Overrides TRL's, which renders, appends eos and tokenizes."""
        return dataset


def build(context: StageContext) -> tuple[DPOTrainer, Recorder]:
    """The trainer of a dpo stage, ready to train. Raises DataError without pairs that are short enough."""
    stage: DpoStage = context.stage
    tokenizer = context.tokenizer()
    rows, measured = sound_pairs(context)
    alike: list[LeftOut] = []
    table = disk_table(context, "rows", _rendered(context, tokenizer, rows, alike))
    kept = 0 if table is None else len(table)
    if table is None:
        raise DataError(
            f"stage {stage.name} has no preference pairs to train on ({len(rows) - len(alike)} are longer than max_length {stage.max_length}); "
            "raise it, or sample more"
        )
    too_long = len(rows) - len(alike) - kept
    held = disk_table(context, "held-out", _rendered(context, tokenizer, measured, alike))
    if stage.held_out is not None and held is None:
        raise DataError(
            f"all {len(measured)} held-out pairs are longer than max_length {stage.max_length}; raise it, or hold out more"
        )
    context.leave_out(alike)
    context.counts.update(rows=kept, left_out_too_long=too_long)
    recorder = Recorder(context)
    # Before the policy: it tells transformers whether weights are loaded in shards.
    settings = DPOConfig(
        **{**context.trainer_settings(), **measuring_settings(context), "max_length": stage.max_length}
    )
    policy = load_policy(context)
    trainer = PairTrainer(
        model=policy,
        args=settings,
        train_dataset=table,
        eval_dataset=held,
        processing_class=tokenizer,
        peft_config=adapter_config(stage.lora, tokenizer, policy),
        callbacks=[recorder, *([Measurer(context, len(measured))] if held is not None else [])],
    )
    return trainer, recorder


def _rendered(
    context: StageContext, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Preference], alike: list[LeftOut]
) -> Iterator[dict[str, list[int]]]:
    """The token ids of the pairs that are short enough. alike: takes those whose answers the template writes alike."""
    turns = TurnsRendered(tokenizer)
    for pair in pairs:
        turns.prove_pair(pair)
        rendered = render_preference(tokenizer, pair)
        if rendered.chosen_ids == rendered.rejected_ids:
            alike.append(
                LeftOut(pair.id, "its answers differ in white space that the template removes, so none is preferred")
            )
        elif rendered.longest <= context.stage.max_length:
            yield asdict(rendered)
