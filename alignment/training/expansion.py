"""A policy with layers and width beyond its own, that can compare what was written with what the policy would have written.

What a policy would write next stands at its last layer, one position before the token that was written; there the token
itself is hard to read. So each token gets a code of its own, which no layer may write over (function-preserving
widening, Net2Net, arXiv 1511.05641), and layers are added on top (block expansion, LLaMA Pro, arXiv 2401.02415). The
first of them begins with attention to the position before, where the prediction is. The result is a model of the
policy's own architecture.

    d, D  hidden size before and after;  the last D - d numbers of a hidden state are the token's code

Neighbours: stages/prm.py (asks), recipe/blocks/expansion.py (the settings).
"""

import copy
import math
from typing import Any

import torch
from transformers import AutoModelForTokenClassification, PreTrainedModel, PreTrainedTokenizerBase

from alignment.core.errors import RecipeError
from alignment.data.steps.template import step_token_id
from alignment.inference.frozen_policy import FrozenPolicy
from alignment.recipe.blocks.expansion import Expansion
from alignment.training.context import StageContext
from alignment.training.packing import row_inputs
from alignment.training.process_trainer import TokenLoss

ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3")
CODE = 0.1  # of the embeddings' standard deviation: too small to change what the policy's own layers compute
CONSTANT = 3.0  # the code's first number, in its standard deviations: the same for each token
FREQUENCIES = 4  # of the rotary embedding, the highest, by which the position before is found
NATS = 15.0  # by which attention to it begins above that to its neighbours
UNLIKELY = -2.0  # nats: a token that the policy writes in fewer than one of seven cases
NORMS = ("input_layernorm", "post_attention_layernorm")
# Matrices of a layer that read the hidden state, and those that write it.
READS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj")
WRITES = ("self_attn.o_proj", "mlp.down_proj")


def expanded(policy: PreTrainedModel, settings: Expansion, probe: torch.Tensor) -> PreTrainedModel:
    """A model for token classification that computes in its lower layers what the policy does. probe: (1, T) token ids.

    Raises RecipeError for other architectures, and where the policy lies in shards.
    """
    config = copy.deepcopy(policy.config)
    if config.model_type not in ARCHITECTURES or any(
        "full" not in kind for kind in getattr(config, "layer_types", None) or ()
    ):
        raise RecipeError(
            f"`expand` knows the layers of {', '.join(ARCHITECTURES)} with full attention, and this is {config.model_type}; leave it out"
        )
    if any(not parameter.numel() for parameter in policy.parameters()):
        raise RecipeError(
            "`expand` needs whole weights on each process; write an accelerate config without ZeRO-3 or FSDP"
        )
    config.head_dim = policy.base_model.layers[0].self_attn.head_dim
    config.hidden_size += settings.token_width
    config.num_hidden_layers += settings.layers
    if getattr(config, "layer_types", None):
        config.layer_types = [*config.layer_types, *["full_attention"] * settings.layers]
    attention = policy.config._attn_implementation  # noqa: SLF001  no public reader
    model: PreTrainedModel = AutoModelForTokenClassification.from_config(
        config, dtype=policy.dtype, attn_implementation=attention
    ).to(policy.device)
    with torch.no_grad():
        _copy(policy, model)
        _add_layers(policy, model, probe)
    return model


def grow(
    context: StageContext,
    tokenizer: PreTrainedTokenizerBase,
    policy: PreTrainedModel,
    rows: list[dict[str, Any]],
    class_weights: tuple[float, float],
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The expanded model, and what its trainer has to know of it; each row gets `likely`, the policy's own labels of its tokens."""
    settings: Expansion = context.stage.expand
    shown = torch.tensor([max((row["input_ids"] for row in rows), key=len)], device=policy.device)
    model = expanded(policy, settings, shown)
    keep_codes(model, settings.token_width)
    options: dict[str, Any] = {"new": added(model, policy.config.num_hidden_layers)}
    if settings.token_weight:
        counts = label_tokens(context, tokenizer, rows)
        context.counts.update(unlikely_tokens=counts[0], likely_tokens=counts[1])
        # Both losses weigh as much over all rows, but for token_weight, and tokens of both kinds alike.
        steps = class_weights[0] * context.counts["wrong_steps"] + class_weights[1] * context.counts["right_steps"]
        unlikely, likely = (settings.token_weight * steps / (2 * max(1, count)) for count in counts)
        options["token_loss"] = TokenLoss((unlikely, likely), policy.config.num_hidden_layers + 1)
    return model, options


def label_tokens(
    context: StageContext, tokenizer: PreTrainedTokenizerBase, rows: list[dict[str, Any]]
) -> tuple[int, int]:
    """Write `likely` into each row: 1 for tokens of its solution that the policy would have written there, 0 for unlikely ones.

    NaN elsewhere, and where steps end. Returns how many are unlikely and likely.
    """
    line_break = tokenizer("\n", add_special_tokens=False)["input_ids"][-1]
    step_id = step_token_id(tokenizer, context.stage.step_token)
    read = [[line_break if token == step_id else token for token in row["input_ids"]] for row in rows]
    policy = FrozenPolicy(context.policy_path, trust_remote_code=context.recipe.trust_remote_code)
    found = policy.logprobs([(ids[: row["begins"]], ids[row["begins"] :]) for ids, row in zip(read, rows, strict=True)])
    counts = [0, 0]
    for row, logprobs in zip(rows, found, strict=True):
        row["likely"] = [math.nan] * len(row["input_ids"])
        for place, value in enumerate(logprobs, row["begins"]):
            if row["input_ids"][place] != step_id:
                row["likely"][place] = float(value > UNLIKELY)
                counts[value > UNLIKELY] += 1
    return counts[0], counts[1]


def added(model: PreTrainedModel, policy_layers: int) -> list[torch.nn.Parameter]:
    """What the policy has not: the added layers, the last norm and the head."""
    body = model.base_model
    inner = {id(one) for one in body.parameters()}
    head = [one for one in model.parameters() if id(one) not in inner]
    return [*body.layers[policy_layers:].parameters(), *body.norm.parameters(), *head]


def keep_codes(model: PreTrainedModel, width: int) -> None:
    """No layer learns to write over the last `width` numbers of the hidden state."""

    def without_codes(gradient: torch.Tensor) -> torch.Tensor:
        return torch.cat([gradient[:-width], torch.zeros_like(gradient[-width:])])

    for layer in model.base_model.layers:
        for name in WRITES:
            layer.get_submodule(name).weight.register_hook(without_codes)


def _copy(policy: PreTrainedModel, model: PreTrainedModel) -> None:
    """The policy's weights in the first d numbers, and a code for each token in the others."""
    old, new = policy.base_model, model.base_model
    embedding, d = old.embed_tokens.weight, policy.config.hidden_size
    codes = torch.randn(len(embedding), model.config.hidden_size - d, device="cpu").to(embedding)
    codes[:, 0] = CONSTANT
    new.embed_tokens.weight.copy_(torch.cat([embedding, _code_size(policy) * codes], dim=1))
    shrink = math.sqrt(d / model.config.hidden_size)  # a norm's mean is over more numbers, which are nearly zero
    for layer, before in zip(new.layers, old.layers, strict=False):
        for name in READS:
            _placed(layer.get_submodule(name), before.get_submodule(name), columns=d)
        for name in WRITES:
            _placed(layer.get_submodule(name), before.get_submodule(name), rows=d)
        for name in NORMS:
            getattr(layer, name).weight[:d] = shrink * getattr(before, name).weight
        for name in ("q_norm", "k_norm"):
            if hasattr(before.self_attn, name):
                getattr(layer.self_attn, name).weight.copy_(getattr(before.self_attn, name).weight)


def _code_size(policy: PreTrainedModel) -> float:
    """The standard deviation of codes."""
    return CODE * float(policy.base_model.embed_tokens.weight.float().std())


def _placed(new: Any, old: Any, rows: int | None = None, columns: int | None = None) -> None:
    """An old matrix in the corner of a new one, which is zero elsewhere."""
    new.weight.zero_()
    new.weight[:rows, :columns] = old.weight
    if old.bias is not None:
        new.bias.zero_()
        new.bias[:rows] = old.bias


def _add_layers(policy: PreTrainedModel, model: PreTrainedModel, probe: torch.Tensor) -> None:
    """Layers on top read codes as large as the rest of the hidden state, and write them nowhere."""
    body, d, first = model.base_model, policy.config.hidden_size, policy.config.num_hidden_layers
    hidden = body(**row_inputs(body, probe), output_hidden_states=True, use_cache=False)
    stream = hidden.hidden_states[first][0].float()
    larger = float(stream.pow(2).mean().sqrt()) / _code_size(policy)
    for layer in body.layers[first:]:
        for name in READS:
            weight = layer.get_submodule(name).weight
            torch.nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
        for name in NORMS:
            getattr(layer, name).weight[:d], getattr(layer, name).weight[d:] = 1.0, larger
        torch.nn.init.normal_(layer.self_attn.o_proj.weight, std=0.2)
        layer.self_attn.o_proj.weight[d:] = 0.0
        layer.mlp.down_proj.weight.zero_()  # it begins by passing through
    _look_one_back(body.layers[first].self_attn, body.config, d)


def _look_one_back(attention: Any, config: Any, d: int) -> None:
    """Queries and keys of all heads from the code's constant alone, turned so that they meet at the position before.

    The rotary embedding turns the pair j of a query by the angle p w(j) at position p, so that a query that is its key turned by
    -w(j) has the largest product with the key at p - 1.
    """
    size, theta = config.head_dim, config.rope_parameters["rope_theta"]
    key, query = torch.zeros(size), torch.zeros(size)
    angles = [theta ** (-2 * pair / size) for pair in range(FREQUENCIES)]
    contrast = 1 - sum(math.cos(angle) for angle in angles) / FREQUENCIES
    sharpness = math.sqrt(NATS / (math.sqrt(size) * contrast))  # root mean square of queries and keys
    for pair, angle in enumerate(angles):
        key[pair] = 1.0
        query[pair], query[pair + size // 2] = math.cos(angle), -math.sin(angle)
    normed = hasattr(attention, "q_norm")
    for name, vector, heads in (("q", query, config.num_attention_heads), ("k", key, config.num_key_value_heads)):
        weight = getattr(attention, f"{name}_proj").weight
        weight.zero_()
        scale = 1.0 if normed else sharpness * math.sqrt(size / FREQUENCIES) / CONSTANT  # as the norms below make it
        weight[:, d] = scale * vector.repeat(heads).to(weight)
        if normed:
            getattr(attention, f"{name}_norm").weight.fill_(sharpness)
        if getattr(attention, f"{name}_proj").bias is not None:
            getattr(attention, f"{name}_proj").bias.zero_()
