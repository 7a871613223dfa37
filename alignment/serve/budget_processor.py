"""The thinking budget inside vLLM, for engines on a CPU: a logits processor that writes the stop text token by token.

It gives the tokens that inference/sampler.py gives. vLLM's own budget takes thinking as ended only where the whole stop
text stands, on the model runner that serves CPUs: a policy that ends its thinking itself, with `</think>` alone, would
have the stop text written into its answer. The runner for GPUs looks for `</think>`, and is used as it is.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

from alignment.core.process import die_with_parent
from alignment.serve.requests import EXTRA

if TYPE_CHECKING:
    import torch
    from vllm import SamplingParams
    from vllm.config import VllmConfig


class ThinkingBudget(AdapterLogitsProcessor):
    """Forces the stop text in requests that have a budget in their extra arguments."""

    def __init__(self, vllm_config: "VllmConfig", device: "torch.device", is_pin_memory: bool) -> None:
        super().__init__(vllm_config, device, is_pin_memory)
        die_with_parent()  # this is the engine's process, which the server started and must not outlive
        reasoning = vllm_config.reasoning_config
        self._open: int = reasoning.reasoning_start_token_ids[0]
        self._close: int = reasoning.natural_reasoning_end_token_ids[0]
        self._stop_ids: list[int] = list(reasoning.reasoning_end_token_ids)

    def is_argmax_invariant(self) -> bool:
        return False

    def new_req_logits_processor(self, params: "SamplingParams") -> "_Written | None":
        budget = (params.extra_args or {}).get(EXTRA)
        return None if budget is None else _Written(int(budget), self._open, self._close, self._stop_ids)


class _Written:
    """One request's budget. Everything follows from the tokens so far, so that there is no state to lose."""

    def __init__(self, budget: int, opening: int, closing: int, stop_ids: Sequence[int]) -> None:
        self._budget, self._open, self._close, self._stop_ids = budget, opening, closing, stop_ids

    def __call__(self, output_ids: Sequence[int], logits_V: "torch.Tensor") -> "torch.Tensor":
        """Logits of shape (vocabulary,): as they came, or with all but the next token of the stop text ruled out."""
        token = next_forced(output_ids, self._budget, (self._open, self._close), self._stop_ids)
        if token is not None:
            logits_V.fill_(float("-inf"))
            logits_V[token] = 0.0
        return logits_V


def next_forced(output_ids: Sequence[int], budget: int, block: tuple[int, int], stop_ids: Sequence[int]) -> int | None:
    """The token of the stop text that comes next, or None where the policy writes itself.

    The budget counts the tokens after the opening of the first think block; `block` is its opening and closing token.
    """
    opening, closing = block
    if opening not in output_ids:
        return None
    start = output_ids.index(opening) + 1
    written = len(output_ids) - start - budget
    if not 0 <= written < len(stop_ids) or closing in output_ids[start : start + budget]:
        return None
    return stop_ids[written]
