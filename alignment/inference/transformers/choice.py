"""Which token a row samples: a function of its logits and of one random number that belongs to the row alone.

Neighbours: decoding.py and generate.py, which ask for it at every step.
"""

from collections.abc import Sequence

import torch

from alignment.inference.engine import GenerationRequest, SamplingSettings


def uniforms(requests: Sequence[GenerationRequest]) -> torch.Tensor:
    """(rows, longest) numbers in [0, 1), one for each token of each row, from the request's own seed: what a row samples
    does not depend on which rows share its batch, nor on how many."""
    numbers_RT = torch.zeros(len(requests), max((one.max_tokens for one in requests), default=0))
    generator = torch.Generator()
    for numbers_T, request in zip(numbers_RT, requests, strict=True):
        torch.rand(
            request.max_tokens, generator=generator.manual_seed(request.seed), out=numbers_T[: request.max_tokens]
        )
    return numbers_RT


def choose(logits_NV: torch.Tensor, sampling: SamplingSettings, uniform_N: torch.Tensor) -> torch.Tensor:
    """One token per row: the likeliest at temperature 0, else the one at which the cumulated probability passes the
    row's uniform number. Keeps top_k, then top_p, of the tempered distribution, as vLLM does."""
    if sampling.temperature == 0:
        return logits_NV.argmax(-1)
    logits_NV = logits_NV / sampling.temperature
    if 0 < sampling.top_k < logits_NV.shape[-1]:
        smallest = logits_NV.topk(sampling.top_k).values[:, -1:]
        logits_NV = logits_NV.masked_fill(logits_NV < smallest, -torch.inf)
    probability_NV = logits_NV.softmax(-1)
    if sampling.top_p < 1:
        ordered_NV, order_NV = probability_NV.sort(descending=True)
        before_NV = ordered_NV.cumsum(-1) - ordered_NV
        probability_NV = torch.zeros_like(ordered_NV).scatter(
            -1, order_NV, ordered_NV.masked_fill(before_NV >= sampling.top_p, 0.0)
        )
    cumulated_NV = probability_NV.cumsum(-1)
    passed = uniform_N[:, None] * cumulated_NV[:, -1:]
    found = torch.searchsorted(cumulated_NV, passed, right=True)[:, 0]
    return found.clamp(max=logits_NV.shape[-1] - 1)
