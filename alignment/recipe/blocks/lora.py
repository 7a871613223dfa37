"""`lora`: low-rank adapters on a training stage.

Neighbours: checks/model/adapters.py (against a model's files), training/adapter_config.py (PEFT's settings),
recipe/learning_rate.py (the rate of a stage that sets none).
"""

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from alignment.recipe.closed import Closed

# What a preset takes of the linear layers, by their names in the architectures that transformers has.
PRESETS = {
    "all-linear": re.compile(r""),
    "attention": re.compile(r"(^|\.)(self_attn|attn|attention|self_attention|linear_attn)\."),
    "mlp": re.compile(r"(^|\.)(mlp|ffn|feed_forward|block_sparse_moe|experts)\."),
}
# Initial values of PEFT that change the frozen weights, or are made from rows.
_CHANGES_BASE = (
    "changes the frozen weights when training starts, so that the adapter, the reference of a KL term and a resumed stage "
    "would start from other weights than the ones on disk"
)
# PEFT's names of what this block has under its own.
_OF_PEFT = {
    "r": "rank",
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "target_modules": "targets",
    "trainable_token_indices": "train_tokens",
    "use_dora": "variant: dora",
    "use_rslora": "variant: rslora",
    "init_lora_weights": "initialisation",
    "load_in_4bit": "quantise: nf4",
}
EMBEDDINGS = ("embed_tokens", "wte", "word_embeddings", "embed_in")  # the last part of an input embedding's name
HEADS = ("lm_head", "embed_out")
_REFUSED = {
    **dict.fromkeys(("pissa", "olora", "corda", "loftq", "lora_ga"), _CHANGES_BASE),
    "eva": "is computed from rows before training, which no stage does",
    "orthogonal": "is defined for linear layers with an even rank alone",
}


class Lora(Closed):
    """The block `lora` of a training stage (LoRA, arXiv 2106.09685).

    Defaults follow "LoRA Without Regret" (J. Schulman and Thinking Machines Lab, 2025): adapters on all linear layers, whose
    MLPs matter more than attention; alpha 32 at any rank; about ten times the learning rate of full training, for
    supervised stages and for RL.
    """

    rank: int = Field(16, ge=1, description="Rank of the two low-rank matrices added to each target.")
    alpha: int = Field(
        32,
        ge=1,
        description="Scale of the update, which is multiplied by alpha / rank; with 32 the best learning rate is the same at every rank.",
    )
    variant: Literal["lora", "rslora", "dora"] = Field(
        "lora",
        description="rslora: multiply by alpha / sqrt(rank) (arXiv 2312.03732); dora: also train each output's magnitude (arXiv 2402.09353).",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on the adapter's input during training.")
    targets: str | list[str] = Field(
        "all-linear",
        description="Modules that get an adapter: all-linear, attention or mlp, or a list of their names.",
    )
    modules_to_save: list[str] = Field(
        [], description="Modules that are trained whole and not by an adapter, such as embed_tokens or lm_head."
    )
    train_tokens: list[str] = Field([], description="Tokens whose embeddings are trained too, such as <think>.")
    initialisation: Literal["kaiming", "gaussian"] = Field(
        "kaiming", description="Initial values of the first matrix of an adapter; the second is zero."
    )
    quantise: Literal["nf4"] | None = Field(
        None,
        description="Hold the frozen weights in 4 bits (QLoRA, arXiv 2305.14314); needs a GPU and the extra `qlora`.",
    )
    adapter: Literal["new", "continue"] = Field(
        "new",
        description="new: a fresh adapter on the merged policy; continue: train the adapter of the stage before.",
    )
    output: Literal["model", "adapter"] = Field(
        "model",
        description="model: leave the merged model, and the adapter beside it; adapter: leave the adapter alone, which needs its base.",
    )

    @model_validator(mode="before")
    @classmethod
    def _name_what_peft_calls_otherwise(cls, value: Any) -> Any:
        found = [key for key in value if key in _OF_PEFT] if isinstance(value, dict) else []
        if found:
            raise ValueError("; ".join(f"`{key}` is PEFT's name; write `{_OF_PEFT[key]}`" for key in found))
        return value

    @field_validator("initialisation", mode="before")
    @classmethod
    def _refuse_other_weights(cls, value: Any) -> Any:
        name = str(value).partition("_niter_")[0] if str(value).startswith("pissa") else str(value)
        if name in _REFUSED:
            raise ValueError(f"{value} {_REFUSED[name]}; write kaiming or gaussian")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> "Lora":
        if self.quantise and self.output == "adapter":
            raise ValueError(
                "an adapter that was trained on 4-bit weights is another policy on the whole ones; write `output: model`, "
                "which leaves the weights that it was trained on with the adapter folded in"
            )
        if not self.targets:
            raise ValueError("`targets` names no module; write all-linear, or their names")
        for name in ("targets", "modules_to_save", "train_tokens"):
            listed = getattr(self, name)
            twice = [one for one in listed if listed.count(one) > 1] if isinstance(listed, list) else []
            if twice:
                raise ValueError(f"`{name}` has {twice[0]!r} twice; name it once")
        whole = [name for name in self.modules_to_save if name.rpartition(".")[2] in EMBEDDINGS]
        if whole and self.train_tokens:
            raise ValueError(f"`modules_to_save: {whole}` trains every token already; leave out `train_tokens`")
        return self

    @property
    def scale(self) -> float:
        """What the update is multiplied by."""
        return float(self.alpha / (self.rank**0.5 if self.variant == "rslora" else self.rank))


def in_preset(module: str, preset: str) -> bool:
    """Whether a preset takes a linear layer, by its full name."""
    return PRESETS[preset].search(module) is not None
