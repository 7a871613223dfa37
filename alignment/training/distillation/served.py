"""A teacher behind a server: the divergence over the tokens that it finds likely, the sampled one, and all others as one.

    B, C  completions and their tokens;  N  tokens with loss;  K  tokens that the teacher lists at each;  H  hidden size

Neighbours: trainer.py (trains on it), divergences.py (the formulas), inference/top_logprobs.py (asks the server).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from alignment.inference.top_logprobs import NO_TOKEN, TopLogprobsServer
from alignment.training.distillation.divergences import divergence, with_rest
from alignment.training.distillation.heads import Head
from alignment.training.rl.batch import Row

IDS, LOGPROBS = "teacher_ids_BCK", "teacher_logprobs_BCK"  # columns of a step's batch beside those of StepBatch
LOGITS = 1 << 25  # numbers of the student's logits that are made at once: 128 MiB in float32


class ServedTeacher:
    """Asks a server about a step's completions."""

    def __init__(self, server: TopLogprobsServer) -> None:
        self._server = server

    def columns(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """What the teacher would have written at each token of completions, padded on the right. Raises EngineError."""
        longest = max(len(row.completion_ids) for row in rows)
        ids_BCK = torch.full((len(rows), longest, self._server.top + 1), NO_TOKEN)
        logprobs_BCK = torch.zeros(ids_BCK.shape)
        found = self._server.of([[*row.prompt_ids, *row.completion_ids] for row in rows])
        for place, (row, (ids_TK, logprobs_TK)) in enumerate(zip(rows, found, strict=True)):
            first, count = len(row.prompt_ids), len(row.completion_ids)
            ids_BCK[place, :count], logprobs_BCK[place, :count] = ids_TK[first:], logprobs_TK[first:]
        return {IDS: ids_BCK, LOGPROBS: logprobs_BCK}


def listed_divergence(
    student_NH: torch.Tensor, head: Head, columns: Mapping[str, torch.Tensor], loss_mask_BC: torch.Tensor, beta: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The divergence of the tokens with loss as a sum, in nats, at most that over the whole vocabulary; and what it is made of.

    student_NH: states before these tokens, in their order. The other two are log-probs of listed tokens and of all others as
    one, (N, K + 1), of student and teacher, without gradient.
    """
    marked_BC = loss_mask_BC.to(columns[IDS].device) > 0
    ids_NK, logprobs_NK = (columns[name][marked_BC].to(student_NH.device) for name in (IDS, LOGPROBS))
    with head.whole() as (weight_VH, bias_V):
        there_NK = (ids_NK != NO_TOKEN) & (ids_NK < len(weight_VH))  # beyond are rows of padding, which no token has
        teacher_NK = with_rest(logprobs_NK, there_NK)
        total, student_NK = ListedDivergence.apply(
            student_NH, weight_VH, bias_V, ids_NK.masked_fill(~there_NK, NO_TOKEN), teacher_NK, (head, beta)
        )
    return total, student_NK, teacher_NK


class ListedDivergence(torch.autograd.Function):
    """The summed divergence of N tokens from what a teacher lists, and the student's own log-probs of that, (N, K + 1).

    Gradients are computed in the forward pass, some rows of logits at a time: the head's weight is whole there, and no rank of a
    sharded model has to gather it again as often as it has rows.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states_NH: torch.Tensor,
        weight_VH: torch.Tensor,
        bias_V: torch.Tensor | None,
        ids_NK: torch.Tensor,
        teacher_NK: torch.Tensor,
        how: tuple[Head, float],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """weight_VH and bias_V: of the head, whole. ids_NK: the listed tokens, or NO_TOKEN. how: the head, and beta."""
        head, beta = how
        rows = max(1, LOGITS // len(weight_VH))
        wanted = [place for place in range(3) if ctx.needs_input_grad[place]]
        of_states: list[torch.Tensor] = []
        of_head: dict[int, torch.Tensor] = {}
        found: list[torch.Tensor] = []
        total = torch.zeros((), device=states_NH.device)
        weights = [_leaf(weight_VH, 1 in wanted), None if bias_V is None else _leaf(bias_V, 2 in wanted)]
        parts = zip(*(one.split(rows) for one in (states_NH, ids_NK, teacher_NK)), strict=True)
        for states, ids_RK, teacher_RK in parts:
            states_RH = _leaf(states, 0 in wanted)
            with torch.enable_grad():
                own_RK = _logprobs(states_RH, weights, ids_RK.clamp(min=0), head)
                student_RK = with_rest(own_RK, ids_RK != NO_TOKEN)
                here = divergence(student_RK, teacher_RK, beta).sum()
            inputs = [one for one in (states_RH, *weights) if one is not None and one.requires_grad]
            grads = torch.autograd.grad(here, inputs) if inputs else ()
            for place, grad in zip(wanted, grads, strict=True):
                if place == 0:
                    of_states.append(grad)
                else:
                    of_head[place] = of_head[place] + grad if place in of_head else grad
            total = total + here.detach()
            found.append(student_RK.detach())
        ctx.wanted = wanted
        ctx.save_for_backward(*([torch.cat(of_states)] if 0 in wanted else []), *of_head.values())
        student_NK = torch.cat(found)
        ctx.mark_non_differentiable(student_NK)
        return total, student_NK

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        """The gradients of the forward pass, times that of the sum."""
        known = dict(zip(ctx.wanted, ctx.saved_tensors, strict=True))
        found = [known[place] * grad.to(known[place].dtype) if place in known else None for place in range(3)]
        return *found, None, None, None


def _leaf(tensor: torch.Tensor, wanted: bool) -> torch.Tensor:
    return tensor.detach().requires_grad_(wanted)


def _logprobs(
    states_RH: torch.Tensor, weights: Sequence[torch.Tensor | None], ids_RK: torch.Tensor, head: Head
) -> torch.Tensor:
    """Log-probs of some tokens in float32, (R, K). weights: the head's weight and bias."""
    weight_VH, bias_V = (None if one is None else one.to(states_RH.dtype) for one in weights)
    logits_RV = head.scaled(torch.nn.functional.linear(states_RH, weight_VH, bias_V).float())
    return logits_RV.gather(-1, ids_RK) - logits_RV.logsumexp(-1, keepdim=True)
