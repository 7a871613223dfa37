"""How vLLM samples on a CPU where every request has a seed: one random number for each token.

vLLM 0.31 draws a number for each token of the vocabulary, first for the whole batch and then again for each row that has
a generator, in a loop. One number for each row is enough, and is faster than vLLM without seeds. On a GPU its model
runner seeds rows in a kernel, and is used as it is. Neighbours: in_process.py (asks for this), ../choice.py (the method).
"""

from typing import Any

import torch

from alignment.inference.choice import inverted

AT_ONCE = 64  # numbers of a row that are drawn together: the same as one after another, in fewer calls


def sample_by_inversion(worker: Any) -> None:
    """Let a vLLM worker on a CPU sample by `SeededSampling`. For `LLM.collective_rpc`."""
    worker.model_runner.sampler.topk_topp_sampler.forward = SeededSampling()


class SeededSampling:
    """One token per row, in place of TopKTopPSampler.forward; top_k and top_p are vLLM's own."""

    def __init__(self) -> None:
        # What is left of each generator's numbers, by its id. The generator is kept, so that no other gets its id.
        self._left: dict[int, tuple[torch.Generator, list[float]]] = {}

    def __call__(
        self,
        logits_BV: torch.Tensor,
        generators: dict[int, torch.Generator],
        k_B: torch.Tensor | None,
        p_B: torch.Tensor | None,
    ) -> tuple[torch.Tensor, None]:
        """Tokens, (B,). generators: by row; a row without one is greedy, and its token is not used."""
        from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p

        uniform = [0.0] * len(logits_BV)
        for row, generator in generators.items():
            uniform[row] = self._next(generator)
        if len(self._left) > 2 * len(generators) + AT_ONCE:
            going = {id(generator) for generator in generators.values()}
            self._left = {key: kept for key, kept in self._left.items() if key in going}
        probability_BV = apply_top_k_top_p(logits_BV, k_B, p_B).softmax(-1, dtype=torch.float32)
        return inverted(probability_BV, torch.tensor(uniform)), None

    def _next(self, generator: torch.Generator) -> float:
        """The generator's next number in [0, 1)."""
        kept = self._left.get(id(generator))
        if kept is None or not kept[1]:
            numbers: list[float] = torch.rand(AT_ONCE, generator=generator).tolist()
            kept = self._left[id(generator)] = (generator, numbers[::-1])
        return kept[1].pop()
