"""Runs an sft stage: supervised fine-tuning on conversations.

Rows are rendered to token ids and labels here; TRL's SFTTrainer packs, batches and trains. Batches are never padded:
rows lie end to end, and inference/attention/packed.py keeps them apart. Rows that are too long are left out and
counted, never truncated. The linter checks a sample first. Neighbours: training/kinds/sft.py (declares the kind),
data/chat/template.py.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from datasets import Dataset
from transformers import PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from alignment.core.errors import DataError
from alignment.data.chat.template import Rendered, render_conversation
from alignment.data.chat.turns_rendered import TurnsRendered
from alignment.data.mixture import conversations_of, load_parts, policy_rows
from alignment.data.rows import Conversation
from alignment.lint.cases import SAMPLED_ROWS, sampled
from alignment.lint.findings import Intent
from alignment.lint.linter import inspect, refuse_errors
from alignment.lint.settings import loaded_setting
from alignment.training.adapter_config import adapter_config
from alignment.training.callbacks import Recorder
from alignment.training.context import StageContext
from alignment.training.disk_table import disk_table
from alignment.training.held_out import MeasuredSFTTrainer, Measurer, measuring_settings, trained_tokens
from alignment.training.packing_check import packed_policy
from alignment.training.sequence_parallel import share_packs
from alignment.training.sound_rows import sound_rows

if TYPE_CHECKING:
    from alignment.training.kinds.sft import SftStage


def build(context: StageContext) -> tuple[SFTTrainer, Recorder]:
    """The trainer of an sft stage, ready to train. Raises DataError for lint errors, or without rows that are short enough."""
    stage: SftStage = context.stage
    tokenizer = context.tokenizer()
    own = policy_rows(context.recipe, load_parts(stage.data), context.artifact)
    rows, measured = _sound_rows(context, own)
    _lint(context, tokenizer, rows, own)
    table, held = _table(context, tokenizer, rows), _held_out_table(context, tokenizer, measured)
    recorder = Recorder(context)
    settings = SFTConfig(
        **{
            **context.trainer_settings(),
            **measuring_settings(context),
            "max_length": stage.max_length if stage.packing else None,  # longer rows are already left out
            "packing": stage.packing,
            "packing_strategy": "bfd",
            "padding_free": True,
            "assistant_only_loss": False,  # the labels mask the loss
            "include_num_input_tokens_seen": "no",
        }
    )
    policy, packs = packed_policy(context)
    if not packs:
        settings.packing, settings.padding_free, settings.max_length = False, False, None
    trainer_class: type[MeasuredSFTTrainer] = MeasuredSFTTrainer
    if stage.sequence_parallel > 1:
        trainer_class = share_packs(context, policy, settings, packs=packs)
    trainer = trainer_class(
        model=policy,
        args=settings,
        train_dataset=table,
        eval_dataset=held,
        processing_class=tokenizer,
        peft_config=adapter_config(stage.lora, tokenizer, policy),
        callbacks=[recorder, *([Measurer(context, len(measured))] if held is not None else [])],
    )
    trainer.held_out_tokens = trained_tokens(held) if held is not None else 0
    return trainer, recorder


def _sound_rows(
    context: StageContext, own: frozenset[str] = frozenset()
) -> tuple[Sequence[Conversation], Sequence[Conversation]]:
    """(rows to train on, held-out rows). own: ids of rows that a policy wrote, which have rules of their own."""
    return sound_rows(context, lambda parts, bad: (conversations_of(context.recipe, parts, context.artifact, bad), own))


def _lint(
    context: StageContext,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Conversation],
    own: frozenset[str] = frozenset(),
) -> None:
    """Lint a sample of the rows and the template. own: ids of rows that a policy wrote. Raises DataError for errors."""
    stage: SftStage = context.stage
    cases = sampled(rows, SAMPLED_ROWS, context.recipe.seed, own)
    setting = loaded_setting(tokenizer, context.policy_path)
    found = inspect(setting, cases, Intent.of(context.recipe, stage), stage.name)
    context.counts.update(lint_rows=len(cases), lint_warnings=refuse_errors(found))


def _table(context: StageContext, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Conversation]) -> Dataset:
    """The rows that are short enough, in tokens, on disk. Raises DataError without any."""
    counted = dict.fromkeys(("rows", "row_tokens", "trained_row_tokens"), 0)

    def count(rendered: Rendered) -> None:
        counted["rows"] += 1
        counted["row_tokens"] += len(rendered.input_ids)
        counted["trained_row_tokens"] += rendered.trained_tokens

    table = disk_table(context, "rows", _rendered(context, tokenizer, rows, count))
    too_long = len(rows) - counted["rows"]
    if table is None:
        raise DataError(
            f"all {too_long} rows are longer than max_length {context.stage.max_length}, so there is nothing to train on; "
            "raise it"
        )
    context.counts.update(counted, left_out_too_long=too_long)
    return table


def _held_out_table(
    context: StageContext, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Conversation]
) -> Dataset | None:
    """The held-out rows in tokens; None where the stage has none. Raises DataError if all of them are too long."""
    if context.stage.held_out is None:
        return None
    table = disk_table(context, "held-out", _rendered(context, tokenizer, rows, lambda _: None))
    if table is None:
        raise DataError(
            f"all {len(rows)} held-out rows are longer than max_length {context.stage.max_length}; raise it, or hold out more"
        )
    return table


def _rendered(
    context: StageContext,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Conversation],
    count: Callable[[Rendered], None],
) -> Iterator[dict[str, list[int]]]:
    """Token ids and labels of the rows that are short enough. count: is called with each."""
    stage: SftStage = context.stage
    turns = TurnsRendered(tokenizer)
    for row in rows:
        turns.prove(row.id, row.messages, row.tools)
        rendered = render_conversation(
            tokenizer, row, loss_on_empty_think=stage.loss_on_empty_think, loss_on_history=stage.loss_on_history
        )
        if len(rendered.input_ids) <= stage.max_length:
            count(rendered)
            yield {"input_ids": rendered.input_ids, "labels": rendered.labels}
