"""A trainer for process reward models: two-class cross-entropy at the step tokens, the head first and then all weights.

On transformers' Trainer, which owns the loop, checkpoints and sharding. Overridden are what decides rates
(`create_optimizer`, `create_scheduler`), the loss and what it is divided by. Neighbour: stages/prm.py (makes its rows).

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
from alignment.training.packing import pack

LABELLED = ("targets", "likely")
HEADS = ("score", "classifier")  # what transformers' models for token classification call their head


@dataclass(frozen=True)
class Rates:
    """The learning rates: `head` for the first steps, with the rest frozen; then `all`, falling linearly to 0.

    rest: of what is not new, as a fraction. warmup: steps in which all rates rise linearly.
    """

    head: float
    all: float
    head_fraction: float
    rest: float = 1.0
    warmup: int = 0

    def factors(self, steps: int) -> tuple[Callable[[int], float], Callable[[int], float]]:
        """For the head and for the rest, from an optimizer step to the factor of `all`."""
        first = self.head_steps(steps)

        def later(step: int) -> float:
            return min(1.0, (step + 1) / (self.warmup + 1)) * max(0.0, (steps - step) / max(1, steps - first))

        def head(step: int) -> float:
            return self.head / self.all if step < first else later(step)

        def body(step: int) -> float:
            return 0.0 if step < first else later(step)

        return head, body

    def head_steps(self, steps: int) -> int:
        """Optimizer steps in which the head alone is trained."""
        return round(self.head_fraction * steps)


def step_weights(targets_S: torch.Tensor, class_weights_C: torch.Tensor) -> torch.Tensor:
    """(S, 2): how much of each step is wrong and right, times the weight of the class."""
    return torch.stack([1 - targets_S, targets_S], dim=-1) * class_weights_C


def step_loss(
    logits_SC: torch.Tensor, targets_S: torch.Tensor, class_weights_C: torch.Tensor, total: torch.Tensor | None = None
) -> torch.Tensor:
    """Cross-entropy of S steps against targets from 0 to 1, weighted by class: the mean over weights.

    -sum(w1 y log p1 + w0 (1 - y) log p0) / sum(w1 y + w0 (1 - y)), p being the softmax of the two logits. total: the weights
    of the whole batch, where these steps are a part of it.
    """
    weights_SC = step_weights(targets_S, class_weights_C)
    total = weights_SC.sum() if total is None else total
    return -(weights_SC * logits_SC.float().log_softmax(dim=-1)).sum() / total.clamp(min=1e-8)


def collate(rows: Sequence[dict[str, Any]], pad_id: int) -> dict[str, torch.Tensor]:
    """Rows of `input_ids`, `targets` and `likely`, if they have it, as padded tensors; padding is on the right."""
    ids = [torch.tensor(row["input_ids"]) for row in rows]
    return {
        "input_ids": pad_sequence(ids, batch_first=True, padding_value=pad_id),
        "attention_mask": pad_sequence([torch.ones_like(one) for one in ids], batch_first=True),
        **{
            name: pad_sequence(
                [torch.tensor(row[name]).float() for row in rows], batch_first=True, padding_value=torch.nan
            )
            for name in ("targets", "likely")
            if name in rows[0]
        },
    }


def head_of(model: torch.nn.Module) -> torch.nn.Module:
    """The head of a model for token classification, also inside an adapter's wrapper. Raises LookupError."""
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in HEADS:
            return module
    raise LookupError(f"{type(model).__name__} has no head that is called one of {', '.join(HEADS)}")


@dataclass(frozen=True)
class TokenLoss:
    """A second loss, at the output of one layer: class weights of tokens (unlikely, likely). layer: counted from 1."""

    weights: tuple[float, float]
    layer: int


class ProcessModelTrainer(Trainer):
    """Trainer of a model for token classification with two classes. The dataset has `input_ids` and `targets`.

    new: the parameters whose rate is not that of the rest; default: the head's. token_loss: beside that of steps, whether the
    policy found a token likely, for which the dataset has `likely` (1, 0, or NaN for no label); divided by what the first is.
    """

    def __init__(
        self,
        *,
        rates: Rates,
        class_weights: tuple[float, float],
        new: Sequence[torch.nn.Parameter] | None = None,
        token_loss: TokenLoss | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._new = list(head_of(self.model).parameters()) if new is None else list(new)
        self.model_accepts_loss_kwargs = (
            True  # the loss is divided by the weights of the whole batch, in `get_batch_samples`
        )
        self._rates = rates
        self._class_weights_C = torch.tensor(class_weights, device=self.accelerator.device)
        self._token_loss = token_loss
        self._head_steps: int | None = None
        # Steps told apart rightly since the last log, and all of them.
        self._right = torch.zeros(2, device=self.accelerator.device)
        self._tokens = 0
        head_of(self.model).register_forward_pre_hook(self._detached)

    def create_optimizer(self, *_: Any, **__: Any) -> torch.optim.Optimizer:
        """AdamW with what is new and the rest in two groups, whose rates differ. Overrides the Trainer's."""
        new = {id(one) for one in self._new}
        trained = [one for one in self.model.parameters() if one.requires_grad]
        groups = [
            {"params": [one for one in trained if id(one) in new]},
            {"params": [one for one in trained if id(one) not in new], "lr": self._rates.all * self._rates.rest},
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

    def get_batch_samples(self, *arguments: Any, **options: Any) -> tuple[list[dict[str, torch.Tensor]], torch.Tensor]:
        """The micro-batches of a step, and the weights of all their steps on all ranks. Overrides the Trainer's.

        So a step's gradient is that of its rows, however they lie in micro-batches and on ranks.
        """
        batches, _ = super().get_batch_samples(*arguments, **options)
        weights = [self._class_weights_C.new_zeros(())]
        for one in batches:
            targets_S = one["targets"][~one["targets"].isnan()].to(self.accelerator.device)
            weights.append(step_weights(targets_S, self._class_weights_C).sum())
        return batches, self.accelerator.reduce(torch.stack(weights).sum(), reduction="sum")

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        """This micro-batch's part of the step's loss. Overrides the Trainer's. num_items_in_batch: weights, not a number."""
        if self._head_steps and self.state.global_step == self._head_steps and model.training:
            self._begin_with_the_rest()
        ids_BT, mask_BT = inputs["input_ids"], inputs["attention_mask"]
        self._tokens += int(mask_BT.sum())
        deep = self._token_loss is not None
        if getattr(model, "module", model).config._attn_implementation == packed.NAME:  # noqa: SLF001  no public reader
            rows = pack(ids_BT, mask_BT)
            made = model(**rows.model_inputs(), use_cache=False, output_hidden_states=deep)
            laid_out = {name: inputs[name][rows.rows_T, rows.columns_T] for name in inputs if name in LABELLED}
        else:
            made = model(input_ids=ids_BT, attention_mask=mask_BT, use_cache=False, output_hidden_states=deep)
            laid_out = {name: inputs[name].flatten() for name in inputs if name in LABELLED}
        targets_T = laid_out["targets"]
        known_T = ~targets_T.isnan()
        logits_SC, targets_S = made.logits.flatten(0, 1)[known_T], targets_T[known_T]
        total = num_items_in_batch
        total = step_weights(targets_S, self._class_weights_C).sum() if total is None else total
        loss = step_loss(logits_SC, targets_S, self._class_weights_C, total)
        if self._token_loss is not None:
            loss = loss + self._of_tokens(self._token_loss, made.hidden_states, laid_out["likely"], total)
        if num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # gradients are averaged over ranks
        agree_S = (logits_SC[:, 1] > logits_SC[:, 0]) == (targets_S >= 0.5)
        self._right += torch.stack([agree_S.sum(), torch.tensor(len(agree_S), device=agree_S.device)])
        return (loss, {"logits": logits_SC}) if return_outputs else loss

    def _of_tokens(
        self, chosen: TokenLoss, states: Sequence[torch.Tensor], likely_T: torch.Tensor, total: torch.Tensor
    ) -> torch.Tensor:
        """The loss of tokens, by the same norm and head as that of steps, on the hidden states of a lower layer."""
        inner: Any = self.accelerator.unwrap_model(self.model)
        known_T = ~likely_T.isnan()
        states_NH = states[chosen.layer].flatten(0, 1)[known_T]
        logits_NC = head_of(inner)(inner.base_model.norm(states_NH))
        return step_loss(logits_NC, likely_T[known_T], logits_NC.new_tensor(chosen.weights), total)

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

    def _begin_with_the_rest(self) -> None:
        """Weights that have had no gradient so far begin as fresh: DeepSpeed has counted steps for them, by which Adam would
        divide too little."""
        inner: Any = self.optimizer
        while hasattr(inner, "optimizer"):
            inner = inner.optimizer
        for state in inner.state.values():
            if "step" in state and not bool(state["exp_avg_sq"].any()):
                state["step"] = state["step"] * 0

    def _detached(self, head: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        """While the head alone is trained, no gradient passes below it."""
        if self._head_steps is None or self.state.global_step >= self._head_steps or not torch.is_grad_enabled():
            return None
        return tuple(one.detach() for one in inputs)
