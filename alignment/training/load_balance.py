"""The load-balancing loss of a mixture of experts over the global batch (arXiv 2501.11873), in place of each micro-batch's own.

Balance that is asked of every micro-batch keeps experts from specialising: one of code alone must use all of them. Here the
fraction of tokens that an expert gets is counted over all ranks and over the micro-batches of a step so far; probabilities,
which carry the gradient, are each rank's own. Neighbours: policy.py (loads policies), main.py (adds the callback).

    E experts, T tokens of a micro-batch (padding left out), k experts for a token
"""

import sys
from typing import Any

import torch
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.models.mixtral import modeling_mixtral

FUNCTION = "load_balancing_loss_func"  # of an architecture's module in transformers; TRL's fused head takes Mixtral's


class ExpertLoad:
    """How often experts were selected in an optimizer step, by the tokens of all ranks."""

    def __init__(self) -> None:
        self._selected: torch.Tensor | None = None  # (E + 1,): tokens of each expert, and all tokens

    def begin_step(self) -> None:
        """Count from zero."""
        self._selected = None

    def loss(
        self,
        gate_logits: tuple[torch.Tensor, ...] | torch.Tensor | None,
        num_experts: int | None = None,
        top_k: int = 2,
        attention_mask: torch.Tensor | None = None,
    ) -> torch.Tensor | int:
        """E times the sum over experts of f_e P_e: f_e the fraction of tokens so far, P_e the mean router probability.

        Arguments as transformers' own: logits of each layer (T, E), whose layers are taken together. Collective while gradients
        are on. The mean over ranks is the loss of all their tokens together, also where ranks have different numbers of them.
        """
        if not isinstance(gate_logits, tuple) or num_experts is None:
            return 0
        selected_E, probabilities_E, tokens = _sums(gate_logits, num_experts, top_k, attention_mask)
        counted = torch.cat([selected_E, tokens[None]])
        ranks = 1
        if torch.is_grad_enabled():
            if torch.distributed.is_available() and torch.distributed.is_initialized():
                torch.distributed.all_reduce(counted)
                ranks = torch.distributed.get_world_size()
            tokens = counted[-1].clone()
            counted = self._selected = counted if self._selected is None else self._selected + counted
        fractions_E = counted[:-1] / counted[-1]
        return num_experts * (fractions_E * probabilities_E).sum() * ranks / tokens


class BalancedSteps(TrainerCallback):
    """Counts the selections of each optimizer step anew."""

    def __init__(self, load: ExpertLoad) -> None:
        self._load = load

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Count from zero."""
        self._load.begin_step()


def balanced_steps(model: PreTrainedModel) -> BalancedSteps | None:
    """Have a model's load-balancing loss, and TRL's of it, taken over the global batch; None for a model without experts.

    transformers and TRL look the function up in an architecture's module whenever they need it.
    """
    module, config = sys.modules[type(model).__module__], model.config.get_text_config()
    if not (hasattr(config, "num_experts") and hasattr(module, FUNCTION)):
        return None
    load = ExpertLoad()
    for one in (module, modeling_mixtral):
        setattr(one, FUNCTION, load.loss)
    return BalancedSteps(load)


def _sums(
    gate_logits: tuple[torch.Tensor, ...], num_experts: int, top_k: int, attention_mask: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(tokens of each expert (E,), summed probability of each expert (E,), number of tokens), over all layers."""
    where = gate_logits[0].device
    selected_E, probabilities_E = (torch.zeros(num_experts, device=where) for _ in range(2))
    tokens = torch.zeros((), device=where)
    for logits_TE in gate_logits:
        weights_TE = logits_TE.to(where).float().softmax(dim=-1)
        mask_T = (
            torch.ones(len(weights_TE), device=where)
            if attention_mask is None
            else attention_mask.reshape(-1).to(weights_TE)
        )
        chosen_Tk = weights_TE.topk(top_k, dim=-1).indices
        selected_E = selected_E.scatter_add(0, chosen_Tk.reshape(-1), mask_T.repeat_interleave(top_k))
        probabilities_E = probabilities_E + (weights_TE * mask_T[:, None]).sum(dim=0)
        tokens = tokens + mask_T.sum()
    return selected_E.detach(), probabilities_E, tokens
