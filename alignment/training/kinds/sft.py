"""Stage kind sft: supervised fine-tuning on conversations.

Neighbours: training/stages/sft.py (how it runs), recipe/kinds.py (what a kind declares).
"""

from typing import TYPE_CHECKING

from pydantic import Field

from alignment.recipe.blocks.held_out import HeldOut
from alignment.recipe.kinds import Done, LintIntent, StageKind
from alignment.recipe.stage import TrainingStage
from alignment.recipe.trainer_keys import TRUNCATION, TrainerKeys
from alignment.training.kinds.plan import MEASURING_KEYS, ROW_KEYS, rows_of_batch, steps_or_epochs

if TYPE_CHECKING:
    from alignment.training.context import StageContext


class SftStage(TrainingStage):
    """The fields of an sft stage in a recipe."""

    max_length: int = Field(
        4096, ge=16, description="Longest row or pack in tokens; longer rows are left out and counted."
    )
    packing: bool = Field(
        True,
        description="Fill each sequence with whole rows that do not attend to each other; false: rows as they come, not padded.",
    )
    loss_on_empty_think: bool = Field(
        False,
        description="Put loss on the empty think block of /no_think rows, so that the policy learns to write it.",
    )
    held_out: HeldOut | None = Field(
        None, description="Rows that are measured at intervals and not trained on; a number is their fraction."
    )
    sequence_parallel: int = Field(
        1,
        ge=1,
        description="Processes that share each pack, for rows too long for one GPU; with ZeRO-3.",
    )
    loss_on_history: bool = Field(False, description="Put loss on assistant turns before the last user query too.")


def run(context: "StageContext") -> Done:
    """Train; the policy is written to output/."""
    from alignment.training.main import train
    from alignment.training.stages.sft import build

    return train(context, build)


def _lint(stage: SftStage) -> LintIntent:
    return LintIntent(stage.max_length, True, stage.loss_on_empty_think, stage.loss_on_history)


KIND = StageKind(
    name="sft",
    fields=SftStage,
    sentence="supervised fine-tuning on conversations",
    takes="rows",
    leaves="policy",
    files="a policy",
    trains=True,
    work=lambda stage: f"{steps_or_epochs(stage)}, rows of at most {stage.max_length} tokens",
    run=run,
    batch=lambda stage: (rows_of_batch(stage), stage.max_length),
    trainer=TrainerKeys(
        "trl",
        "trainer/sft_config.py",
        "SFTConfig",
        {
            **MEASURING_KEYS,
            **ROW_KEYS,
            "dataset_kwargs": "it has no effect: the stage renders its rows itself; leave it out",
            "eos_token": "the chat template says how a turn ends, and generation_config where a text does; leave it out",
            "eval_packing": "write `held_out` beside `trainer`",
            "max_length": "write `max_length` beside `trainer`",
            "truncation_mode": TRUNCATION,
            "packing": "write `packing` beside `trainer`",
            "packing_strategy": "packs never cut a row in two",
            "padding_free": "rows are never padded",
            "include_num_input_tokens_seen": "the stage counts the tokens that carry loss itself",
            "assistant_only_loss": "the stage masks the loss; see loss_on_empty_think and loss_on_history",
            "completion_only_loss": "the stage masks the loss; see loss_on_empty_think and loss_on_history",
            "dataset_text_field": "the stage renders its rows itself",
            "chat_template_path": "write `chat_template` at the top of the recipe",
        },
        learning_rate=2e-5,
        names={"loss_type": ("nll", "dft")},
    ),
    lint=_lint,
)
