"""What a GPU's policy computes otherwise, as far as a CPU can show it; benchmarks/gpu/correctness.py shows the rest on a GPU."""

import torch
from transformers import AutoModelForCausalLM

from alignment.core.resources import resource
from alignment.training import fused

IDS_BT = torch.arange(20, 52)[None]


def test_under_autocast_the_residual_stream_has_its_type_and_weights_keep_theirs() -> None:
    model = AutoModelForCausalLM.from_pretrained(resource("data/base"), dtype=torch.float32)
    with torch.no_grad():
        wide = model(IDS_BT).logits
    fused.narrow_residual(model)
    with torch.autocast("cpu", torch.bfloat16):
        states = model(IDS_BT, output_hidden_states=True)
        states.logits.logsumexp(-1).sum().backward()
    # The last is the final norm's, whose float32 weight makes it float32 without Liger.
    assert {state.dtype for state in states.hidden_states[:-1]} == {torch.bfloat16}
    assert {weight.grad.dtype for weight in model.parameters()} == {torch.float32}
    assert all(weight.grad.norm() > 0 for weight in model.parameters())
    with torch.no_grad():
        assert torch.equal(model(IDS_BT).logits, wide), "without autocast nothing changes"


class OnGpu(torch.Tensor):
    """A tensor that says it is on a GPU."""

    is_cuda = True  # type: ignore[assignment]


def test_the_rotary_kernel_is_for_rows_end_to_end_on_a_gpu_alone() -> None:
    called: list[str] = []
    rotary = fused.on_gpu(lambda *_: called.append("kernel"), lambda *_: called.append("ordinary"))
    assert fused.on_gpu(lambda *_: called.append("second kernel"), rotary) is rotary, "wrapped once for all models"
    rotary(torch.zeros(1, 1, 3, 2), None, None, None)
    rotary(torch.zeros(1, 1, 3, 2).as_subclass(OnGpu), None, None, None)
    rotary(torch.zeros(3, 1, 1, 2).as_subclass(OnGpu), None, None, None)
    assert called == ["ordinary", "kernel", "ordinary"]
