"""A trainer for process reward models: two-class cross-entropy at the step tokens, the head first and then all weights.

On transformers' Trainer, which owns the loop, checkpoints and sharding. Two of its methods are overridden that decide rates
(`create_optimizer`, `create_scheduler`), and `compute_loss`. Neighbour: stages/prm.py (makes its rows).

    B rows, T tokens; targets_BT  the label of the step that ends at a token, from 0 to 1; NaN everywhere else
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from torch.optim.lr_scheduler import LambdaLR
from transformers import Trainer

from alignment.inference.attention import packed
from alignment.training.rl.packing import pack

HEADS = ("score", "classifier")  # what transformers' models for token classification call their head


@dataclass(frozen=True)
class Rates:
    """The learning rates: `head` for the first steps, with the rest frozen; then `all`, falling linearly to 0."""

    head: float
    all: float
    head_fraction: float

    def factors(self, steps: int) -> tuple[Callable[[int], float], Callable[[int], float]]:
        """For the head and for the rest, from an optimizer step to the factor of `all`."""
        first = self.head_steps(steps)

        def later(step: int) -> float:
            return max(0.0, (steps - step) / max(1, steps - first))

        def head(step: int) -> float:
            return self.head / self.all if step < first else later(step)

        def body(step: int) -> float:
            return 0.0 if step < first else later(step)

        return head, body

    def head_steps(self, steps: int) -> int:
        """Optimizer steps in which the head alone is trained."""
        return round(self.head_fraction * steps)


def step_loss(logits_SC: torch.Tensor, targets_S: torch.Tensor, class_weights_C: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of S steps against targets from 0 to 1, weighted by class: the mean over weights.

    sum(w1 y log p1 + w0 (1 - y) log p0) / -sum(w1 y + w0 (1 - y)), p being the softmax of the two logits.
    """
    logprobs_SC = logits_SC.float().log_softmax(dim=-1)
    weights_SC = torch.stack([1 - targets_S, targets_S], dim=-1) * class_weights_C
    return -(weights_SC * logprobs_SC).sum() / weights_SC.sum().clamp(min=1e-8)


def collate(rows: Sequence[dict[str, Any]], pad_id: int) -> dict[str, torch.Tensor]:
    """Rows of `input_ids` and `targets` as padded tensors; padding is on the right."""
    ids = [torch.tensor(row["input_ids"]) for row in rows]
    targets = [torch.tensor(row["targets"], dtype=torch.float32) for row in rows]
    return {
        "input_ids": pad_sequence(ids, batch_first=True, padding_value=pad_id),
        "attention_mask": pad_sequence([torch.ones_like(one) for one in ids], batch_first=True),
        "targets": pad_sequence(targets, batch_first=True, padding_value=torch.nan),
    }


def head_of(model: torch.nn.Module) -> torch.nn.Module:
    """The head of a model for token classification, also inside an adapter's wrapper. Raises LookupError."""
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in HEADS:
            return module
    raise LookupError(f"{type(model).__name__} has no head that is called one of {', '.join(HEADS)}")


class ProcessModelTrainer(Trainer):
    """Trainer of a model for token classification with two classes. The dataset has `input_ids` and `targets`."""

    def __init__(self, *, rates: Rates, class_weights: tuple[float, float], **options: Any) -> None:
        super().__init__(**options)
        self.model_accepts_loss_kwargs = False  # the loss is a mean over each micro-batch, not over the whole batch
        self._rates, self._class_weights = rates, class_weights
        self._head_steps: int | None = None
        self._right = torch.zeros(
            2, device=self.accelerator.device
        )  # steps told apart rightly since the last log, of all
        self._tokens = 0
        head_of(self.model).register_forward_pre_hook(self._detached)

    def create_optimizer(self, *_: Any, **__: Any) -> torch.optim.Optimizer:
        """AdamW with the head and the rest in two groups, whose rates differ. Overrides the Trainer's."""
        head = {id(one) for one in head_of(self.model).parameters()}
        trained = [one for one in self.model.parameters() if one.requires_grad]
        groups = [
            {"params": [one for one in trained if id(one) in head]},
            {"params": [one for one in trained if id(one) not in head]},
        ]
        betas = (self.args.adam_beta1, self.args.adam_beta2)
        self.optimizer = torch.optim.AdamW(
            groups, lr=self._rates.all, betas=betas, eps=self.args.adam_epsilon, weight_decay=self.args.weight_decay
        )
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> LambdaLR:
        """The rates of both groups. Overrides the Trainer's."""
        self._head_steps = self._rates.head_steps(num_training_steps)
        head, body = self._rates.factors(num_training_steps)
        self.lr_scheduler = LambdaLR(optimizer or self.optimizer, [head, body])
        return self.lr_scheduler

    def compute_loss(
        self, model: torch.nn.Module, inputs: dict[str, torch.Tensor], return_outputs: bool = False, **_: Any
    ) -> Any:
        """The loss of a micro-batch at its labelled steps. Overrides the Trainer's."""
        ids_BT, mask_BT, targets_BT = inputs["input_ids"], inputs["attention_mask"], inputs["targets"]
        self._tokens += int(mask_BT.sum())
        if getattr(model, "module", model).config._attn_implementation == packed.NAME:  # noqa: SLF001  no public reader
            rows = pack(ids_BT, mask_BT)
            logits_TC = model(**rows.model_inputs(), use_cache=False).logits[0]
            targets_T = targets_BT[rows.rows_T, rows.columns_T]
        else:
            logits_TC = model(input_ids=ids_BT, attention_mask=mask_BT, use_cache=False).logits.flatten(0, 1)
            targets_T = targets_BT.flatten()
        known_T = ~targets_T.isnan()
        logits_SC, targets_S = logits_TC[known_T], targets_T[known_T]
        weights_C = torch.tensor(self._class_weights, device=logits_SC.device)
        loss = step_loss(logits_SC, targets_S, weights_C)
        agree_S = (logits_SC[:, 1] > logits_SC[:, 0]) == (targets_S >= 0.5)
        self._right += torch.stack([agree_S.sum(), torch.tensor(len(agree_S), device=agree_S.device)])
        return (loss, {"logits": logits_SC}) if return_outputs else loss

    def log(self, logs: dict[str, float], *arguments: Any, **options: Any) -> None:
        """Add the fraction of steps told apart rightly since the last line, and the tokens so far."""
        if "loss" in logs:
            right, count = self.accelerator.reduce(self._right, reduction="sum").tolist()
            tokens = self.accelerator.reduce(
                torch.tensor(float(self._tokens), device=self._right.device), reduction="sum"
            )
            logs = {**logs, "step_accuracy": right / max(1.0, count), "num_tokens": float(tokens)}
            self._right.zero_()
        super().log(logs, *arguments, **options)

    def _detached(self, head: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        """While the head alone is trained, no gradient passes below it."""
        if self._head_steps is None or self.state.global_step >= self._head_steps or not torch.is_grad_enabled():
            return None
        return tuple(one.detach() for one in inputs)
