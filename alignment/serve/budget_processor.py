"""The thinking budget inside vLLM on a CPU: a logits processor that forces the stop text token by token.

It forces the tokens that inference/thinking_budget.py says. On vLLM's CPU model runner its own budget takes thinking as ended only after the
whole stop text. If a policy ended its thinking itself, with `</think>` alone, the stop text would be written into its
answer. The GPU runner looks for `</think>`, so vLLM's own budget is used there.
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
        """False: forcing a token changes what greedy decoding picks."""
        return False

    def new_req_logits_processor(self, params: "SamplingParams") -> "_Written | None":
        """The processor of one request, or None if the request has no budget."""
        budget = (params.extra_args or {}).get(EXTRA)
        return None if budget is None else _Written(int(budget), (self._open, self._close), self._stop_ids)


class _Written:
    """The budget of one request. It keeps no state: the next token follows from the tokens so far."""

    def __init__(self, budget: int, block: tuple[int, int], stop_ids: Sequence[int]) -> None:
        self._budget, self._block, self._stop_ids = budget, block, stop_ids

    def __call__(self, prompt_ids: list[int], output_ids: list[int], logits_V: "torch.Tensor") -> "torch.Tensor":
        """Logits of shape (vocabulary,): unchanged, or with every token but the next of the stop text at -inf."""
        token = next_forced(prompt_ids, output_ids, self._budget, self._block, self._stop_ids)
        if token is not None:
            logits_V.fill_(float("-inf"))
            logits_V[token] = 0.0
        return logits_V


def next_forced(
    prompt_ids: list[int], output_ids: list[int], budget: int, block: tuple[int, int], stop_ids: Sequence[int]
) -> int | None:
    """The next token of the stop text to force, or None to let the policy sample.

    BudgetRule of inference/thinking_budget.py without a state, and without a step of Python for each token; a test holds
    the two equal. block: the ids of `<think>` and `</think>`. stop_ids: the stop text, which holds `</think>`.
    """
    opening, closing = block
    ids, first = prompt_ids + output_ids, len(prompt_ids)
    closed = _last(ids, closing, len(ids))
    if opening in ids[closed + 1 :]:  # a block is open
        spent = max(ids.index(opening, closed + 1) + 1 + budget, first)
        written = len(ids) - spent
        return stop_ids[written] if 0 <= written < len(stop_ids) else None
    begun = closed - list(stop_ids).index(closing)  # where the stop text would have begun that closed the last block
    before = _last(ids, closing, closed) if closed > 0 else -1
    if begun < first or opening not in ids[before + 1 : begun]:
        return None
    spent = max(ids.index(opening, before + 1) + 1 + budget, first)
    written = len(ids) - spent
    return stop_ids[written] if begun == spent and written < len(stop_ids) else None


def _last(ids: list[int], token: int, end: int) -> int:
    """The last place of a token before `end`, or -1."""
    return end - 1 - ids[end - 1 :: -1].index(token) if end > 0 and token in ids[:end] else -1
