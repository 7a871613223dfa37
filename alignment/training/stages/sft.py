"""Runs an sft stage: supervised fine-tuning on conversations.

Rows are rendered to token ids and labels here; TRL's SFTTrainer packs, batches and trains. Batches are never padded: rows lie
end to end, and inference/attention/packed.py keeps them apart. Rows that are too long are left out and counted, never
truncated. The linter checks a sample first. Neighbours: training/kinds/sft.py (declares the kind), data/template.py.
"""

from collections.abc import Iterable, Sequence

from datasets import Dataset
from transformers import PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from alignment.core.errors import DataError
from alignment.data.mixture import conversations_of, load_parts, policy_rows, refuse_faulty
from alignment.data.rows import Conversation
from alignment.data.sources import LeftOut
from alignment.data.template import Rendered, render_conversation
from alignment.inference.attention import packed
from alignment.lint.cases import SAMPLED_ROWS, sampled
from alignment.lint.findings import Intent
from alignment.lint.linter import inspect, refuse_errors
from alignment.lint.rows import without_faulty
from alignment.lint.settings import loaded_setting
from alignment.training.callbacks import Recorder
from alignment.training.context import StageContext
from alignment.training.kinds.sft import SftStage
from alignment.training.packing_check import mixed_rows, report_padding, unpackable
from alignment.training.policy import adapter_config, load_policy


def build(context: StageContext) -> tuple[SFTTrainer, Recorder]:
    """The trainer of an sft stage, ready to train. Raises DataError for lint errors, or without rows that are short enough."""
    stage: SftStage = context.stage
    tokenizer = context.tokenizer()
    rows = _sound_rows(context)
    _lint(context, tokenizer, rows)
    rendered = _rendered(context, tokenizer, rows)
    recorder = Recorder(context)
    why_not = unpackable(context)
    packs = why_not is None
    settings = SFTConfig(
        **{
            **context.trainer_settings(),
            "max_length": stage.max_length if stage.packing and packs else None,  # longer rows are already left out
            "packing": stage.packing and packs,
            "packing_strategy": "bfd",
            "padding_free": packs,
            "assistant_only_loss": False,  # the labels mask the loss
            "include_num_input_tokens_seen": "no",
        }
    )
    policy = load_policy(context, packed.register() if packs else None)
    if packs and (why_not := mixed_rows(policy)) is not None:
        settings.packing, settings.padding_free, settings.max_length = False, False, None
        policy = load_policy(context)
    if why_not is not None:
        report_padding(context, why_not)
    trainer = SFTTrainer(
        model=policy,
        args=settings,
        train_dataset=Dataset.from_dict(
            {"input_ids": [row.input_ids for row in rendered], "labels": [row.labels for row in rendered]}
        ),
        processing_class=tokenizer,
        peft_config=adapter_config(stage.lora, tokenizer),
        callbacks=[recorder],
    )
    return trainer, recorder


def _sound_rows(context: StageContext) -> Sequence[Conversation]:
    """The rows that can be trained on; the others are counted and named. Raises DataError if those are too many."""
    recipe, stage, parts = context.recipe, context.stage, load_parts(context.stage.data)
    left_out: list[LeftOut] = []
    rows = conversations_of(recipe, parts, context.artifact, left_out)
    own = policy_rows(recipe, parts, context.artifact)
    kept, faulty = without_faulty(rows, Intent.of(recipe, stage), own)
    refuse_faulty(stage.name, faulty, len(rows), recipe.data.max_faulty_fraction)
    context.leave_out([*left_out, *faulty])
    return kept


def _lint(context: StageContext, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Conversation]) -> None:
    """Lint a sample of the rows and the template. Raises DataError if there are errors."""
    stage: SftStage = context.stage
    own = policy_rows(context.recipe, load_parts(stage.data), context.artifact)
    cases = sampled(rows, SAMPLED_ROWS, context.recipe.seed, own)
    setting = loaded_setting(tokenizer, context.policy_path)
    found = inspect(setting, cases, Intent.of(context.recipe, stage), stage.name)
    context.counts.update(lint_rows=len(cases), lint_warnings=refuse_errors(found))


def _rendered(
    context: StageContext, tokenizer: PreTrainedTokenizerBase, rows: Iterable[Conversation]
) -> list[Rendered]:
    stage: SftStage = context.stage
    kept, too_long, trained = [], 0, 0
    for row in rows:
        rendered = render_conversation(
            tokenizer, row, loss_on_empty_think=stage.loss_on_empty_think, loss_on_history=stage.loss_on_history
        )
        if len(rendered.input_ids) > stage.max_length:
            too_long += 1
            continue
        kept.append(rendered)
        trained += rendered.trained_tokens
    if not kept:
        raise DataError(
            f"all {too_long} rows are longer than max_length {stage.max_length}, so there is nothing to train on; raise it"
        )
    tokens = sum(len(row.input_ids) for row in kept)
    context.counts.update(rows=len(kept), left_out_too_long=too_long, row_tokens=tokens, trained_row_tokens=trained)
    return kept
