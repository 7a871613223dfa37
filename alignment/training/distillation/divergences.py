"""The divergences of a distill stage as pure functions of logits, and what their names mean to TRL.

    N  positions, each followed by one token;  V  vocabulary
    p_s, p_t  next-token distributions of student and teacher, the softmax of their logits

The stage trains with TRL's fused form of the same formulas (trl/kernels/chunked_divergence.py), which never holds whole
logits; tests hold it against these, and the metrics are these on a few positions. Neighbours: trainer.py, heads.py.
"""

import math

import torch

FORWARD_KL, REVERSE_KL = 0.0, 1.0  # the two ends of TRL's `beta`
SMALLEST_REST = 1e-6  # probability of all tokens that are not listed, below which rounding decides
NOTHING = -1e4  # log-prob of what is not there: finite, so that 0 times it is 0


def beta_of(name: str, teacher_weight: float) -> float:
    """TRL's `beta` for a divergence by its name in a recipe. teacher_weight: of the teacher in the mixture of jsd."""
    return {"forward_kl": FORWARD_KL, "reverse_kl": REVERSE_KL, "jsd": teacher_weight}[name]


def divergence(student_NV: torch.Tensor, teacher_NV: torch.Tensor, beta: float) -> torch.Tensor:
    """The generalized Jensen-Shannon divergence in nats, (N,), of logits (N, V) (GKD, arXiv 2306.13649, section 3).

    beta 0, forward KL:  sum_v p_t (log p_t - log p_s). The student covers all that the teacher might write.
    beta 1, reverse KL:  sum_v p_s (log p_s - log p_t). The student gives up what the teacher would not write.
    between, JSD:        beta KL(p_t || m) + (1 - beta) KL(p_s || m),  m = beta p_t + (1 - beta) p_s
    The last is at most log 2 for beta 1/2, and tends to 0, not to a KL, at its ends.
    """
    student_NV, teacher_NV = student_NV.log_softmax(-1), teacher_NV.log_softmax(-1)
    if beta == FORWARD_KL:
        return _kl(teacher_NV, student_NV)
    if beta == REVERSE_KL:
        return _kl(student_NV, teacher_NV)
    mixture_NV = torch.logaddexp(teacher_NV + math.log(beta), student_NV + math.log(1 - beta))
    return beta * _kl(teacher_NV, mixture_NV) + (1 - beta) * _kl(student_NV, mixture_NV)


def with_rest(logprobs_NK: torch.Tensor, listed_NK: torch.Tensor) -> torch.Tensor:
    """Log-probs (N, K + 1) of K listed tokens and of all others as one; listed_NK is False for places without a token.

    A divergence of two such distributions is at most that of the whole ones (data processing inequality), and equal to it where
    every token is listed.
    """
    inside_N = logprobs_NK.exp().masked_fill(~listed_NK, 0).sum(-1, keepdim=True)
    rest_N = (1 - inside_N).clamp(min=SMALLEST_REST).log()
    return torch.cat([logprobs_NK.masked_fill(~listed_NK, NOTHING), rest_N], dim=-1)


def entropy(logits_NV: torch.Tensor) -> torch.Tensor:
    """Entropy of the next token in nats, (N,):  - sum_v p log p."""
    logprobs_NV = logits_NV.log_softmax(-1)
    return -(logprobs_NV.exp() * logprobs_NV).sum(-1)


def _kl(one_NV: torch.Tensor, other_NV: torch.Tensor) -> torch.Tensor:
    """KL(one || other) of log-probs."""
    return (one_NV.exp() * (one_NV - other_NV)).sum(-1)
