"""Chooses each row's token from its logits and a random number of its own.

So a row's tokens do not depend on the other rows of its batch. Neighbours: transformers/decoding.py and
transformers/generate.py, vllm/seeded.py.
"""

from collections.abc import Sequence

import torch

from alignment.inference.engine import GenerationRequest, SamplingSettings


def uniforms(requests: Sequence[GenerationRequest]) -> torch.Tensor:
    """Random numbers in [0, 1) from each request's seed, one per token: (rows, longest max_tokens), zero beyond a row's own."""
    numbers_RT = torch.zeros(len(requests), max((one.max_tokens for one in requests), default=0))
    generator = torch.Generator()
    for numbers_T, request in zip(numbers_RT, requests, strict=True):
        torch.rand(
            request.max_tokens, generator=generator.manual_seed(request.seed), out=numbers_T[: request.max_tokens]
        )
    return numbers_RT


def choose(logits_NV: torch.Tensor, sampling: SamplingSettings, uniform_N: torch.Tensor) -> torch.Tensor:
    """One token id per row, (N,), from logits (N, V) and uniform numbers (N,).

    At temperature 0 the most likely token, else inverse transform sampling. top_k, then top_p, are applied after the
    temperature, as in vLLM.
    """
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
    return inverted(probability_NV, uniform_N)


def choose_scored(
    logits_NV: torch.Tensor, sampling: SamplingSettings, uniform_N: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `choose`, and the log-prob (nats) of each chosen token in the whole distribution at temperature 1, (N,).

    Where tokens are drawn from that distribution, it is computed once.
    """
    if sampling.temperature == 1 and sampling.top_p >= 1 and not 0 < sampling.top_k < logits_NV.shape[-1]:
        probability_NV = logits_NV.softmax(-1)
        chosen_N = inverted(probability_NV, uniform_N)
        # By the distance to the highest, which is finite where a probability is 0.
        below_N = logits_NV.gather(-1, chosen_N[:, None])[:, 0] - logits_NV.amax(-1)
        return chosen_N, below_N + probability_NV.amax(-1).log()
    chosen_N = choose(logits_NV, sampling, uniform_N)
    return chosen_N, logits_NV.log_softmax(-1).gather(-1, chosen_N[:, None])[:, 0]


def inverted(probability_NV: torch.Tensor, uniform_N: torch.Tensor) -> torch.Tensor:
    """Inverse transform sampling, (N,): the token at which the cumulated probability passes the row's uniform number."""
    cumulated_NV = probability_NV.cumsum(-1)
    passed_N1 = uniform_N[:, None] * cumulated_NV[:, -1:]
    found_N = torch.searchsorted(cumulated_NV, passed_N1, right=True)[:, 0]
    return found_N.clamp(max=probability_NV.shape[-1] - 1)
