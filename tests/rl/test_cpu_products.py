"""What a CPU computes in a form of its own gives what PEFT, TRL and PyTorch give: adapters, the frozen head, short rows."""

import copy
from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from alignment.core.resources import resource

HEADS, KEY_HEADS, SIZE = 6, 2, 16


def adapted(dtype: torch.dtype) -> Any:
    """The embedded model with TRL's head and an adapter that changes something."""
    from peft import LoraConfig, get_peft_model
    from trl.trainer.utils import add_fused_lm_head

    from alignment.inference.adapters import load_whole

    torch.manual_seed(0)
    model = load_whole(str(resource("data/base")), dtype=dtype)
    policy = get_peft_model(
        model, LoraConfig(r=4, lora_alpha=12, target_modules="all-linear", task_type="CAUSAL_LM"), autocast_adapter_dtype=True
    )  # fmt: skip
    draw = torch.Generator().manual_seed(1)
    for name, weight in policy.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(std=0.05, generator=draw)
    add_fused_lm_head(policy.get_base_model())
    return policy


def scored(policy: Any, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probs of two rows of which some tokens count, and the gradient of all of the adapter's weights."""
    draw = torch.Generator().manual_seed(2)
    ids = torch.randint(20, 400, (2, 40), generator=draw)
    labels, upstream = ids.clone(), torch.randn(2, 39, generator=draw)
    labels[:, :9] = labels[1, 30:] = -100
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype != torch.float32):
        found = policy(input_ids=ids, labels=labels, fused_lm_head=True).log_probs
    (found * upstream).sum().backward()
    gradient = torch.cat([weight.grad.flatten() for weight in policy.parameters() if weight.requires_grad])
    policy.zero_grad()
    return found.detach(), gradient


def error(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float((found.double() - exact.double()).norm() / exact.double().norm())


def test_a_frozen_head_gives_trls_log_probs_and_gradients() -> None:
    from alignment.training.rl.frozen_head import give_frozen_head

    policy = adapted(torch.float32)
    logprobs, gradient = scored(policy, torch.float32)
    assert give_frozen_head(policy.get_base_model(), 1.0)
    for ours, theirs in zip(scored(policy, torch.float32), (logprobs, gradient), strict=True):
        assert error(ours, theirs) < 1e-5


def test_a_head_that_is_trained_stays_trls() -> None:
    from alignment.inference.adapters import load_whole
    from alignment.training.rl.frozen_head import give_frozen_head

    assert not give_frozen_head(load_whole(str(resource("data/base")), dtype=torch.float32), 1.0)


def test_fused_adapters_and_the_frozen_head_are_about_as_near_to_float32_as_what_they_replace() -> None:
    from alignment.inference.lora_linear import fuse_adapters
    from alignment.training.rl.frozen_head import give_frozen_head

    policy = adapted(torch.bfloat16)
    exact = scored(copy.deepcopy(policy).float(), torch.float32)
    theirs = scored(policy, torch.bfloat16)
    give_frozen_head(policy.get_base_model(), 1.0)
    assert fuse_adapters(policy) > 0
    for ours, plain, right in zip(scored(policy, torch.bfloat16), theirs, exact, strict=True):
        assert error(ours, right) < 1.3 * error(plain, right)


def test_fused_adapters_that_are_switched_off_leave_the_base_model() -> None:
    from alignment.inference.lora_linear import fuse_adapters

    policy, ids = adapted(torch.bfloat16), torch.arange(30, 50)[None]
    with torch.no_grad(), policy.disable_adapter():
        before = policy(input_ids=ids).logits
        fuse_adapters(policy)
        assert torch.equal(policy(input_ids=ids).logits, before)


def test_fused_adapters_in_float32_are_pefts_own() -> None:
    from alignment.inference.lora_linear import fuse_adapters

    policy = adapted(torch.float32)
    before = scored(policy, torch.float32)
    fuse_adapters(policy)
    assert all(map(torch.equal, scored(policy, torch.float32), before))


@pytest.mark.parametrize("seen", [30, 45])
def test_a_short_rows_attention_is_about_as_near_to_float64_as_pytorchs_kernel(seen: int) -> None:
    from alignment.inference.attention import short_rows

    draw = torch.Generator().manual_seed(3)
    shapes = [(1, HEADS, 30, SIZE), (1, KEY_HEADS, seen, SIZE), (1, KEY_HEADS, seen, SIZE), (1, HEADS, 30, SIZE)]
    *drawn, upstream = (torch.randn(shape, generator=draw).bfloat16() for shape in shapes)
    mask = torch.ones(30, seen, dtype=torch.bool).tril(seen - 30)

    def computed(dtype: torch.dtype, *, ours: bool) -> list[torch.Tensor]:
        inputs = [one.to(dtype).requires_grad_() for one in drawn]
        if ours:
            assert short_rows.computed_in(inputs[0], inputs[1]) == dtype
            found = short_rows.attention(inputs[0], inputs[1], inputs[2], None, dtype)
        else:
            found = scaled_dot_product_attention(*inputs, attn_mask=mask, enable_gqa=True)
        found.backward(upstream.to(dtype))
        return [found.detach(), *(one.grad for one in inputs if one.grad is not None)]

    exact = computed(torch.float64, ours=False)
    theirs, own = computed(torch.bfloat16, ours=False), computed(torch.bfloat16, ours=True)
    for found, plain, right in zip(own, theirs, exact, strict=True):
        assert error(found, right) < 1.4 * error(plain, right)
