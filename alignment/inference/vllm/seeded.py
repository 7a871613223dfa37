"""How vLLM samples on a CPU where every request has a seed: one random number for each token.

vLLM 0.31 draws a number for each token of the vocabulary, first for the whole batch and then again for each row that has
a generator, in a loop. One number for each row is enough, and is faster than vLLM without seeds. On a GPU its model
runner seeds rows in a kernel, and is used as it is. Neighbours: in_process.py (asks for this), ../choice.py (the method).
"""

from typing import Any

import torch

from alignment.inference.choice import inverted


def sample_by_inversion(worker: Any) -> None:
    """Let a vLLM worker on a CPU sample by `sampled`. For `LLM.collective_rpc`."""
    worker.model_runner.sampler.topk_topp_sampler.forward = sampled


def sampled(
    logits_BV: torch.Tensor, generators: dict[int, torch.Generator], k_B: torch.Tensor | None, p_B: torch.Tensor | None
) -> tuple[torch.Tensor, None]:
    """One token per row, (B,), in place of TopKTopPSampler.forward; top_k and top_p are vLLM's own.

    generators: by row. A row without one is greedy, and its token is not used.
    """
    from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p

    uniform_B = torch.zeros(len(logits_BV))
    for row, generator in generators.items():
        torch.rand(1, generator=generator, out=uniform_B[row : row + 1])
    probability_BV = apply_top_k_top_p(logits_BV, k_B, p_B).softmax(-1, dtype=torch.float32)
    return inverted(probability_BV, uniform_B), None
