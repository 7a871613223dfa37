"""Runs a dpo stage: direct preference optimization (arXiv 2305.18290) on pairs that a sample stage judged.

The reference policy is the policy at the stage's start: TRL loads it from the same folder, or, with an adapter, uses the model
without it. Neighbours: training/kinds/dpo.py (declares the kind), data/template.py (renders pairs).
"""

import itertools
from collections.abc import Iterator

from datasets import Dataset
from trl import DPOConfig, DPOTrainer

from alignment.core.errors import DataError
from alignment.data.mixture import load_parts
from alignment.data.rows import Preference, read_rows
from alignment.data.template import render_preference
from alignment.training.callbacks import Recorder
from alignment.training.context import StageContext
from alignment.training.kinds.dpo import DpoStage
from alignment.training.policy import adapter_config, load_policy


def build(context: StageContext) -> tuple[DPOTrainer, Recorder]:
    """The trainer of a dpo stage, ready to train. Raises DataError without pairs that are short enough."""
    stage: DpoStage = context.stage
    tokenizer = context.tokenizer()
    pairs, too_long = [], 0
    for pair in _preferences(context):
        texts = render_preference(tokenizer, pair)
        longest = max(len(tokenizer(texts["prompt"] + texts[side])["input_ids"]) for side in ("chosen", "rejected"))
        if longest > stage.max_length:
            too_long += 1
            continue
        pairs.append(texts)
    if not pairs:
        raise DataError(
            f"stage {stage.name} has no preference pairs to train on ({too_long} are longer than max_length {stage.max_length}); "
            "raise it, or sample more"
        )
    context.counts.update(rows=len(pairs), left_out_too_long=too_long)
    recorder = Recorder(context)
    # Before the policy: it tells transformers whether weights are loaded in shards.
    settings = DPOConfig(**{**context.trainer_settings(), "max_length": stage.max_length})
    trainer = DPOTrainer(
        model=load_policy(context),
        args=settings,
        train_dataset=Dataset.from_list(pairs),
        processing_class=tokenizer,
        peft_config=adapter_config(stage.lora, tokenizer),
        callbacks=[recorder],
    )
    return trainer, recorder


def _preferences(context: StageContext) -> Iterator[Preference]:
    for part in load_parts(context.stage.data):
        if part.stage is None:
            raise DataError(
                f"a dpo stage takes its pairs from a sample stage: write `stage: NAME` in place of `{part.source}`"
            )
        rows = read_rows(context.artifact(part.stage) / "preferences.jsonl", "preference")
        yield from (row for row in itertools.islice(rows, part.count) if isinstance(row, Preference))
