"""What the policy that is trained says of a batch: log-probs, entropy, its distance to the engine and to its own start.

By the fused head of TRL, which never makes whole logits. Neighbours: trainer.py (trains on it), training/packing.py (how rows lie),
inference/weights/sync_check.py (what a distance means).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from trl.trainer.utils import use_adapter

from alignment.training.measuring import forward_alone, mean_over_ranks, measuring
from alignment.training.packing import LayOut, padded_right
from alignment.training.packing_check import plain_attention
from alignment.training.policy import without_adapter
from alignment.training.rl.batch import Row, StepBatch, as_tensors
from alignment.training.rl.frozen_head import HeadTemperature
from alignment.training.rl.trl_trainer import GRPOTrainer

LogprobsOf = Callable[[torch.nn.Module, StepBatch], torch.Tensor]  # (B, C) of a batch under a model


@dataclass(frozen=True)
class Scored:
    """What the policy says of a batch: log-prob and entropy (nats) of each completion token, and the router's loss."""

    logprobs_BC: torch.Tensor
    entropy_BC: torch.Tensor | None
    router_loss: torch.Tensor | None


class PolicyLogprobs:
    """Log-probs under a trainer's policy, and under the policy at the stage's start.

    lay_out: how rows lie in the model's input. head: of the policy, where it can give log-probs at any temperature.
    Everything but `start` is collective: each rank calls it with its own rows.
    """

    def __init__(self, trainer: GRPOTrainer, lay_out: LayOut, head: HeadTemperature | None = None) -> None:
        self._trainer, self._lay_out, self._head = trainer, lay_out, head
        self._start_known: dict[tuple[int, ...], torch.Tensor] = {}  # of this step's rows, by prompt length and ids

    def score(self, model: torch.nn.Module, batch: StepBatch) -> Scored:
        """Log-probs and entropy of a batch's completions, with gradient where that is on."""
        first, with_router = batch.prompt_ids_BP.shape[1], self._trainer.aux_loss_enabled and model.training
        laid_out = self._lay_out(batch.ids, batch.mask, first)
        router = {"output_router_logits": True} if with_router else {}
        with self._trainer.accelerator.autocast():
            found = model(**laid_out.model_inputs(), **router, labels=laid_out.labels(first), fused_lm_head=True)
        entropy_BL = None if found.entropy is None else laid_out.padded(found.entropy)[:, first:]
        return Scored(laid_out.padded(found.log_probs)[:, first:], entropy_BL, found.aux_loss if router else None)

    def of(self, model: torch.nn.Module, batch: StepBatch) -> torch.Tensor:
        """Log-probs of all rows under a model, (B, C), without gradient, in parts of a micro-batch."""
        parts = torch.arange(len(batch.ids), device=batch.ids.device).split(
            self._trainer.args.per_device_train_batch_size
        )
        with forward_alone(self._trainer):
            return torch.cat([self.score(model, batch.rows(part)).logprobs_BC for part in parts])

    def gap(self, rows: Sequence[Row]) -> float:
        """Mean distance in nats between the engine's log-probs of sampled tokens and the trainer's, over all ranks."""
        trainer, batch = self._trainer, self._tensors(rows)
        with measuring(self._trainer):
            if trainer.temperature == 1:
                logprobs_BC = self.score(trainer.model, batch).logprobs_BC
            else:  # the engine reports the untempered distribution, and the fused head computes the tempered one
                logprobs_BC = self._untempered(trainer.model, batch)
        distance_BC = (logprobs_BC - batch.engine_BC).abs() * batch.loss_mask_BC
        return mean_over_ranks(trainer, distance_BC.sum(), batch.loss_mask_BC.sum())

    def plain_gap(self, rows: Sequence[Row]) -> float:
        """`gap` with each row under plain attention, to tell where a gap comes from."""
        inner = without_adapter(self._trainer.accelerator.unwrap_model(self._trainer.model))
        held, lay_out = inner.config._attn_implementation, self._lay_out  # noqa: SLF001  no public reader
        self._lay_out = padded_right
        inner.set_attn_implementation(plain_attention(inner))
        try:
            return self.gap(rows)
        finally:
            inner.set_attn_implementation(held)
            self._lay_out = lay_out

    def start(self, rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[list[float]]:
        """Log-probs (nats) of completion tokens under the policy at the stage's start, for rows of prompt and completion ids.

        At temperature 1. For one process whose policy has a new adapter or a reference. Where the trainer computes at
        temperature 1 as well, `reference` of the same step computes none of these rows again.
        """
        keys = [(len(prompt), *prompt, *ids) for prompt, ids in rows]
        missing = {key: row for key, row in zip(keys, rows, strict=True) if key not in self._start_known}
        made = [Row(prompt, ids, [0.0] * len(ids), [True] * len(ids), False) for prompt, ids in missing.values()]
        tempered = self._trainer.temperature != 1
        known = dict(self._start_known)
        if made:
            with measuring(self._trainer):
                found_BC = self._reference(self._tensors(made), self._untempered if tempered else self.of)
            known |= {key: of_row[: len(missing[key][1])] for key, of_row in zip(missing, found_BC, strict=True)}
        if not tempered:
            self._start_known = known
        return [known[key].tolist() for key in keys]

    def reference(self, batch: StepBatch) -> torch.Tensor:
        """Log-probs under the policy at the stage's start, (B, C), of a step's batch."""
        prompts_B = batch.prompt_mask_BP.sum(dim=1).tolist()
        written = [ids[kept].tolist() for ids, kept in zip(batch.ids, batch.mask.bool(), strict=True)]
        known = [self._start_known.get((first, *ids)) for first, ids in zip(prompts_B, written, strict=True)]
        missing_M = torch.tensor([row for row, found in enumerate(known) if found is None], device=batch.ids.device)
        if len(missing_M) == len(known):
            return self._reference(batch)
        found_BC = torch.zeros_like(batch.engine_BC)
        if len(missing_M):
            found_BC[missing_M] = self._reference(batch.rows(missing_M))
        for row, found in enumerate(known):
            if found is not None:
                found_BC[row, : len(found)] = found
        return found_BC

    def end_step(self) -> None:
        """Forget the rows of a step."""
        self._start_known = {}

    def _reference(self, batch: StepBatch, logprobs_of: LogprobsOf | None = None) -> torch.Tensor:
        """By a model of its own, or by the one under the adapter that is trained. logprobs_of: in place of `of`."""
        trainer, found = self._trainer, logprobs_of or self.of
        if trainer.ref_model is not None:
            return found(trainer.ref_model, batch)
        model = trainer.accelerator.unwrap_model(trainer.model)
        with use_adapter(model, adapter_name="ref" if "ref" in model.peft_config else None):
            return found(trainer.model, batch)

    def _untempered(self, model: torch.nn.Module, batch: StepBatch) -> torch.Tensor:
        """`of` at temperature 1: by the policy's head, or by whole logits, row for row."""
        if self._head is not None and model is not self._trainer.ref_model:
            with self._head.at(1.0):
                return self.of(model, batch)
        found, first = [], batch.prompt_ids_BP.shape[1]
        for row in range(len(batch.ids)):
            laid_out = self._lay_out(batch.ids[row : row + 1], batch.mask[row : row + 1], first)
            inputs = laid_out.model_inputs()
            logits_TV = model(**inputs, use_cache=False).logits[0, :-1].float()
            next_T = inputs["input_ids"][0, 1:]
            logprobs_T = logits_TV.gather(-1, next_T[:, None])[:, 0] - logits_TV.logsumexp(-1)
            found.append(laid_out.padded(logprobs_T[None])[:, first:])
        return torch.cat(found)

    def _tensors(self, rows: Sequence[Row]) -> StepBatch:
        pad_id, device = self._trainer.processing_class.pad_token_id, self._trainer.accelerator.device
        return as_tensors(rows, pad_id=pad_id, mask_truncated=False, device=device)
