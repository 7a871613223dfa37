"""Whether a model may be trained on packed rows: rows that lie end to end must not see each other.

Attention keeps them apart (inference/attention/packed.py); layers that carry a state along the row (linear attention,
convolutions, state spaces) do not, and some attention has what the packed form lacks. So a stage compares, before its first
step, the logits of two rows that are packed with those of each row alone under plain attention.
Neighbours: training/stages/ (what they do where a model cannot be packed), saved.py (the proof at a stage's end).
"""

import contextlib
from collections.abc import Iterator
from typing import TypeVar

import torch
from accelerate import PartialState
from transformers import AutoConfig, PreTrainedModel

from alignment.core.vocabulary import ATTENTION_LAYERS
from alignment.inference.attention import packed
from alignment.training.context import StageContext
from alignment.training.packing import pack
from alignment.training.policy import load_policy, without_adapter

LENGTHS = (48, 80)  # tokens of the two rows; above the windows of small test models
# The largest distance of a token's logits that rounding explains, in standard deviations of logits: what leaks over a
# boundary may change a few tokens alone, and those by little.
CLOSE = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}

Model = TypeVar("Model", bound=torch.nn.Module)


def packed_policy(context: StageContext) -> tuple[torch.nn.Module, bool]:
    """The policy that a stage starts from, and whether its rows are packed: with packed attention if each is computed as alone."""
    if (why_not := unpackable(context)) is None:
        policy = on_device(load_policy(context, packed.register()))
        if (why_not := mixed_rows(policy)) is None:
            return policy, True
    report_padding(context, why_not)
    return load_policy(context), False


def on_device(policy: Model) -> Model:
    """The policy on this process's GPU, where there is one: the check asks the kernels that will train it.

    A model that is sharded or quantised is where it has to be.
    """
    placed = any(hasattr(one, "ds_id") or one.device.type != "cpu" for one in policy.parameters())
    if placed or not torch.cuda.is_available():
        return policy
    return policy.to(PartialState().device)


def unpackable(context: StageContext, path: str | None = None) -> str | None:
    """Why the model that a stage starts from, or the one at a path, cannot be packed, by its config alone, or None."""
    config = AutoConfig.from_pretrained(path or context.policy_path, trust_remote_code=context.recipe.trust_remote_code)
    kinds = set(getattr(config.get_text_config(), "layer_types", None) or ()) - {*ATTENTION_LAYERS}
    if kinds:
        return f"its {', '.join(sorted(kinds))} layers carry a state from one row into the next"
    return None


def mixed_rows(policy: torch.nn.Module) -> str | None:
    """Why packed rows of this model are not computed as rows alone are, or None.

    A model that ZeRO-3 has sharded is taken by its config alone (`unpackable`). The model's attention and mode are as before.
    """
    model = without_adapter(policy)
    if any(hasattr(parameter, "ds_id") for parameter in model.parameters()):
        return None
    implementation, training = model.config._attn_implementation, model.training  # noqa: SLF001  no public reader
    model.eval()
    try:
        with torch.no_grad(), _unrounded(model):
            together_TV, alone_TV = _both_ways(model)
    except ValueError as error:
        return str(error)
    finally:
        model.set_attn_implementation(implementation)
        model.train(training)
    distance_T = (together_TV - alone_TV).float().abs().mean(-1)
    distance = float(distance_T.max() / alone_TV.float().std().clamp(min=1e-6))
    if distance <= CLOSE.get(alone_TV.dtype, CLOSE[torch.bfloat16]):
        return None
    return (
        f"logits of rows that lie end to end differ from those of the rows alone by {distance:.2g} standard deviations"
    )


@contextlib.contextmanager
def _unrounded(model: PreTrainedModel) -> Iterator[None]:
    """Weights in float32 on a CPU: in 16 bits, what thirty layers round is as large as what may leak."""
    halves = () if getattr(model, "is_quantized", False) else (torch.bfloat16, torch.float16)
    held = [(one, one.dtype) for one in model.parameters() if one.device.type == "cpu" and one.dtype in halves]
    for weight, _ in held:
        weight.data = weight.data.float()
    try:
        yield
    finally:
        for weight, dtype in held:
            weight.data = weight.data.to(dtype)


def _both_ways(model: PreTrainedModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (T, V) of all rows' tokens: packed, and each row alone under plain attention."""
    config, lengths = model.config.get_text_config(), torch.tensor(LENGTHS)
    drawn_T = torch.randint(config.vocab_size, (sum(LENGTHS),), generator=torch.Generator().manual_seed(0))
    rows = [row.to(model.device) for row in drawn_T.split(LENGTHS)]
    ids_BL = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask_BL = (torch.arange(max(LENGTHS)) < lengths[:, None]).long().to(model.device)
    together_TV = model(**pack(ids_BL, mask_BL).model_inputs(), use_cache=False).logits[0]
    model.set_attn_implementation(plain_attention(model))
    return together_TV, torch.cat([model(input_ids=row[None], use_cache=False).logits[0] for row in rows])


def plain_attention(model: PreTrainedModel) -> str:
    """The attention that computes one row as the model's authors do: PyTorch's kernel has neither caps nor sinks."""
    capped = getattr(model.config.get_text_config(), "attn_logit_softcapping", None)
    return "eager" if capped or not getattr(model, "_supports_sdpa", True) else "sdpa"


def report_padding(context: StageContext, why: str) -> None:
    """Say in the log and in the manifest that rows are padded in place of packed, and why."""
    context.counts["not_packed"] = why
    if context.is_main:
        print(f"rows are padded and not packed: {why}", flush=True)
