"""Stage kind dpo: direct preference optimization (arXiv 2305.18290) on pairs of a chosen and a rejected answer.

Neighbours: training/stages/dpo.py (how it runs), recipe/kinds.py (what a kind declares).
"""

from typing import TYPE_CHECKING

from pydantic import Field

from alignment.recipe.blocks.held_out import HeldOut
from alignment.recipe.kinds import Done, LintIntent, StageKind
from alignment.recipe.stage import TrainingStage
from alignment.recipe.trainer_keys import MOVING_REFERENCE, TRUNCATION, TrainerKeys
from alignment.training.kinds.plan import MEASURING_KEYS, ROW_KEYS, rows_of_batch, steps_or_epochs

if TYPE_CHECKING:
    from alignment.training.context import StageContext


# Those that TRL knows; tests/house compares them.
LOSSES = (
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot", "aot_unpaired", "apo_zero",
    "apo_down", "discopop", "sft", "sigmoid_norm",
)  # fmt: skip
DIVERGENCES = ("reverse_kl", "forward_kl", "js_divergence", "alpha_divergence")


class DpoStage(TrainingStage):
    """The fields of a dpo stage in a recipe."""

    max_length: int = Field(
        4096, ge=16, description="Longest prompt and answer together, in tokens; longer pairs are left out and counted."
    )
    held_out: HeldOut | None = Field(
        None, description="Rows that are measured at intervals and not trained on; a number is their fraction."
    )


def run(context: "StageContext") -> Done:
    """Train; the policy is written to output/."""
    from alignment.training.main import train
    from alignment.training.stages.dpo import build

    return train(context, build)


KIND = StageKind(
    name="dpo",
    fields=DpoStage,
    sentence="direct preference optimization on chosen and rejected answers",
    takes="pairs",
    leaves="policy",
    files="a policy",
    trains=True,
    work=lambda stage: f"{steps_or_epochs(stage)}, rows of at most {stage.max_length} tokens",
    run=run,
    batch=lambda stage: (2 * rows_of_batch(stage), stage.max_length),  # chosen and rejected go through together
    holds_reference=lambda stage: stage.lora is None,  # an adapter is switched off in its place
    trainer=TrainerKeys(
        "trl",
        "trainer/dpo_config.py",
        "DPOConfig",
        {
            **MEASURING_KEYS,
            **ROW_KEYS,
            "max_length": "write `max_length` beside `trainer`",
            "truncation_mode": TRUNCATION,
            "padding_free": "it has no effect in this version of TRL; leave it out",
            "label_smoothing_factor": "it has no effect; write `label_smoothing`",
            "include_num_input_tokens_seen": "the stage counts the tokens itself",
            **dict.fromkeys(("sync_ref_model", "ref_model_mixup_alpha", "ref_model_sync_steps"), MOVING_REFERENCE),
        },
        learning_rate=1e-6,
        names={"loss_type": LOSSES, "f_divergence_type": DIVERGENCES},
        needs={
            "label_smoothing": ("loss_type", ("robust", "exo_pair", "aot", "aot_unpaired")),
            "discopop_tau": ("loss_type", ("discopop",)),
            "f_alpha_divergence_coef": ("f_divergence_type", ("alpha_divergence",)),
            "precompute_ref_batch_size": ("precompute_ref_log_probs", (True,)),
        },
    ),
    lint=lambda stage: LintIntent(stage.max_length),
)
