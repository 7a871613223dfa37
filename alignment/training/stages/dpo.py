"""Runs a dpo stage: direct preference optimization (arXiv 2305.18290) on pairs of a sample stage or a table.

The reference policy is the policy at the stage's start: TRL loads it from the same folder, or, with an adapter, uses the model
without it. Neighbours: training/kinds/dpo.py (declares the kind), data/template.py (renders pairs).
"""

from collections.abc import Sequence

from datasets import Dataset
from trl import DPOConfig, DPOTrainer

from alignment.core.errors import DataError
from alignment.data.mixture import load_parts, pairs_of, refuse_faulty
from alignment.data.rows import Preference
from alignment.data.sources import LeftOut, source_of
from alignment.data.template import render_preference
from alignment.lint.findings import Intent
from alignment.lint.rows import without_faulty
from alignment.training.callbacks import Recorder
from alignment.training.context import StageContext
from alignment.training.kinds.dpo import DpoStage
from alignment.training.policy import adapter_config, load_policy


def build(context: StageContext) -> tuple[DPOTrainer, Recorder]:
    """The trainer of a dpo stage, ready to train. Raises DataError without pairs that are short enough."""
    stage: DpoStage = context.stage
    tokenizer = context.tokenizer()
    pairs, too_long = [], 0
    for pair in _sound_pairs(context):
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


def _sound_pairs(context: StageContext) -> Sequence[Preference]:
    """The pairs that can be trained on; those of tables are linted. Raises DataError if too many cannot be used."""
    recipe, stage, parts = context.recipe, context.stage, load_parts(context.stage.data)
    left_out: list[LeftOut] = []
    pairs = pairs_of(recipe, parts, context.artifact, left_out)
    tables = {source_of(part).id for part in parts if part.source is not None}
    sampled = frozenset(pair.id for pair in pairs if pair.family not in tables)  # have been judged already
    kept, faulty = without_faulty(pairs, Intent.of(recipe, stage), sampled)
    refuse_faulty(stage.name, faulty, len(pairs), recipe.data.max_faulty_fraction)
    context.leave_out([*left_out, *faulty])
    return kept
