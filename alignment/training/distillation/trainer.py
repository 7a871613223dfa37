"""On-policy distillation on TRL's DistillationTrainer: TRL owns the loop, the teacher's sharding, the fused loss, checkpoints.

Four methods of TRL 1.16 are overridden, because it samples by itself from one list of prompts: it knows no modes, no thinking
budgets and no forced tokens, starts vLLM in a way that fails on a CPU, pads every row on both sides, and computes in float32
under bf16, since its loss goes round the forward pass that accelerate has wrapped. `_generate_and_score_completions` takes a
step's rollouts from our engine, `_compute_loss` lays rows end to end and hands hidden states to TRL's fused divergence,
`compute_loss` records what a step measured, and `_get_train_sampler` is an order that can be resumed.
Neighbours: divergences.py (the formulas), heads.py, teacher.py, ../rl/rollouts.py (samples), ../rl/batch.py (rows as tensors).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch
from accelerate.utils import gather_object
from torch.nn.functional import pad
from trl.kernels.chunked_logprob import ChunkedLogProbFunction

from alignment.inference.weights.sync_check import Gap, refuse_gap
from alignment.training.distillation.divergences import FORWARD_KL, REVERSE_KL, divergence, entropy
from alignment.training.distillation.heads import COLUMNS, Head, following, states_before
from alignment.training.distillation.served import ServedTeacher, listed_divergence
from alignment.training.distillation.trl_trainer import DistillationTrainer, fused_divergence
from alignment.training.measuring import computed_in, mean_over_ranks, measuring
from alignment.training.packing import Layout, align, pack
from alignment.training.rl.batch import GAP_ROWS, RolledOut, RolloutSource, Row, StepBatch, as_tensors
from alignment.training.rl.engine_weights import EngineWeights
from alignment.training.rl.order import EpochSampler

MEASURED_POSITIONS = 128  # of a micro-batch, whose whole logits are compared for the metrics
MEASURES = ("reverse_kl", "forward_kl", "student_entropy", "teacher_entropy")
OF_GROUPS = ("zero_variance_groups", "replaced_groups")  # figures of rollouts that mean nothing without advantages


class StudentTrainer(DistillationTrainer):
    """DistillationTrainer whose samples come from `rollouts`, and whose rows are packed.

    train_dataset has a column `problem` of ids, which `rollouts` understands; each is asked `generations` times. engine: what
    it computes in, and the mean distance in nats between its log-probs and the trainer's above which a step raises
    WeightsNotSynchronised, on every rank. packs: rows lie end to end, for which both models have packed attention; else they
    are padded. judged: whether completions have verdicts, which are recorded and not trained on. served: the teacher, where it
    is behind a server and `teacher_model` is None.
    """

    def __init__(
        self,
        *,
        rollouts: RolloutSource,
        generations: int,
        engine: tuple[str, float],
        packs: bool,
        judged: bool,
        served: ServedTeacher | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._rollouts, self._generations, self._judged, self._served = rollouts, generations, judged, served
        self._engine_dtype, self._max_logprob_gap = engine
        self._lay_out: Callable[[torch.Tensor, torch.Tensor], Layout] = pack if packs else align
        self._sums = torch.zeros(
            len(MEASURES) + 1, device=self.accelerator.device
        )  # of this step; the last is the count

    def _get_train_sampler(self, dataset: Any = None) -> EpochSampler:
        """Problems in an order of the epoch, which a resumed stage continues. Overrides TRL's, which asks each once."""
        accumulated, processes = self.args.gradient_accumulation_steps, self.accelerator.num_processes
        rows = self.args.per_device_train_batch_size * processes * accumulated
        return EpochSampler(
            data_source=self.train_dataset if dataset is None else dataset,
            mini_repeat_count=self._generations,
            batch_size=rows // self._generations,
            repeat_count=accumulated,
            shuffle=self.shuffle_dataset,
            seed=self.args.seed,
        )

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """One step's batch on this rank. Overrides TRL's; it shuffles the tensors and splits them into micro-batches."""
        step, model = self.state.global_step, self.accelerator.unwrap_model(self.model)
        rolled = self._rollouts.roll_out([row["problem"] for row in inputs], step, EngineWeights(model))
        gap = self.logprob_gap(rolled.rows[:GAP_ROWS])
        if gap > self._max_logprob_gap:
            refuse_gap(Gap(gap, gap, (self._engine_dtype, computed_in(self))), self._max_logprob_gap, step)
        batch = self._tensors(rolled.rows)
        tokens = self.accelerator.reduce(batch.step_tokens, reduction="sum")
        self._record(rolled, gap)
        said = {} if self._served is None else self._served.columns(rolled.rows)
        return {**batch.columns(), **said, "num_items_in_batch": tokens}

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """TRL's, and then the step's measures, once its last micro-batch is there: no collective within a wrapped forward."""
        found = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if self.accelerator.sync_gradients:
            *sums, count = self.accelerator.reduce(self._sums, reduction="sum").tolist()
            for name, value in zip(MEASURES, sums, strict=True):
                self._metrics["train"][name].append(value / max(1.0, count))
            self._sums = torch.zeros_like(self._sums)
        return found

    def _compute_loss(
        self, unwrapped_student: torch.nn.Module, inputs: dict[str, Any], num_items_in_batch: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """This micro-batch's part of the step's loss, the sum of its entropies, and its tokens. Overrides TRL's."""
        batch = StepBatch(**{field.name: inputs[field.name] for field in fields(StepBatch)})
        laid_out, mask_BL = self._lay_out(batch.ids, batch.mask), _whole(batch)
        if self._served is not None:
            return self._loss_to_served(unwrapped_student, batch, inputs, num_items_in_batch)
        teacher = self.accelerator.unwrap_model(self.teacher_model)
        self.teacher_model.eval()
        with self.accelerator.autocast():
            student_NH = states_before(unwrapped_student, laid_out, mask_BL)
            with torch.no_grad():
                teacher_NH = self._forward_redirection(
                    self.teacher_model, teacher, states_before, teacher, laid_out, mask_BL
                )
            own, theirs = Head.of(unwrapped_student), Head.of(teacher)
            found: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = fused_divergence(
                student_NH[None],
                teacher_NH[None],
                own.weight,
                theirs.weight,
                student_NH.new_ones((1, len(student_NH))),
                self.beta,
                num_items_in_batch=num_items_in_batch,
                student_lm_head_bias=own.bias,
                teacher_lm_head_bias=theirs.bias,
                student_logit_scale=own.scale,
                teacher_logit_scale=theirs.scale,
                student_final_logit_softcapping=own.softcap,
                teacher_final_logit_softcapping=theirs.softcap,
                temperature=self.temperature,
            )
        self._measure(own, student_NH.detach(), theirs, teacher_NH)
        return found[0], found[1].detach(), found[2]

    def _loss_to_served(
        self, student: torch.nn.Module, batch: StepBatch, said: Mapping[str, torch.Tensor], items: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """`_compute_loss` where a server has said what the teacher would write."""
        with self.accelerator.autocast():
            states_NH = states_before(student, self._lay_out(batch.ids, batch.mask), _whole(batch))
            total, own_NK, theirs_NK = listed_divergence(
                states_NH, Head.of(student), said, batch.loss_mask_BC, self.beta
            )
        self._add_measures(own_NK, theirs_NK)
        return total / items, entropy(own_NK).sum(), total.new_tensor(len(own_NK))

    def _measure(self, own: Head, student_NH: torch.Tensor, theirs: Head, teacher_NH: torch.Tensor) -> None:
        """Add both divergences and both entropies of some positions, spread over the micro-batch, to the step's."""
        count = min(MEASURED_POSITIONS, len(student_NH))
        places = torch.linspace(0, max(0, len(student_NH) - 1), count, device=student_NH.device).long()
        self._add_measures(own.logits(student_NH[places]), theirs.logits(teacher_NH[places]))

    def _add_measures(self, student_NV: torch.Tensor, teacher_NV: torch.Tensor) -> None:
        """Add both divergences and both entropies of logits or log-probs to the step's."""
        found = (
            divergence(student_NV, teacher_NV, REVERSE_KL),
            divergence(student_NV, teacher_NV, FORWARD_KL),
            entropy(student_NV),
            entropy(teacher_NV),
        )
        self._sums += torch.stack([*(one.sum() for one in found), self._sums.new_tensor(float(len(student_NV)))])

    def logprob_gap(self, rows: Sequence[Row]) -> float:
        """Mean distance in nats between the engine's log-probs of sampled tokens and the trainer's, over all ranks."""
        batch, model = self._tensors(rows), self.accelerator.unwrap_model(self.model)
        with measuring(self), self.accelerator.autocast():
            ours_N = self._forward_redirection(model, model, self._logprobs, model, batch)
        engine_N = batch.engine_BC[batch.loss_mask_BC > 0]
        return mean_over_ranks(self, (ours_N - engine_N).abs().sum(), batch.loss_mask_BC.sum())

    def _logprobs(self, model: torch.nn.Module, batch: StepBatch) -> torch.Tensor:
        """Log-probs of the tokens with loss, (N,), in the order of the batch."""
        laid_out, mask_BL, head = self._lay_out(batch.ids, batch.mask), _whole(batch), Head.of(model)
        states_NH = states_before(model, laid_out, mask_BL)
        tokens_N = laid_out.model_inputs()["input_ids"][:, 1:][following(laid_out, mask_BL)]
        with head.whole() as (weight_VH, bias_V):
            found: torch.Tensor = ChunkedLogProbFunction.apply(
                states_NH, weight_VH, bias_V, tokens_N, 1.0, COLUMNS, head.softcap, head.scale, ()
            )[0]
        return found

    def _tensors(self, rows: Sequence[Row]) -> StepBatch:
        pad_id = self.processing_class.pad_token_id
        return as_tensors(rows, pad_id=pad_id, mask_truncated=False, device=self.accelerator.device)

    def _everywhere(self, values: Sequence[float]) -> torch.Tensor:
        """Values of all ranks in their order."""
        return self.accelerator.gather(torch.tensor(values, dtype=torch.float64, device=self.accelerator.device))

    def _record(self, rolled: RolledOut, gap: float) -> None:
        """Figures of a step as means over ranks, under the names that callbacks.py knows."""
        lengths = self._everywhere([len(row.completion_ids) for row in rolled.rows])
        read = self._everywhere([len(row.prompt_ids) for row in rolled.rows]).sum() + lengths.sum()
        self.state.num_input_tokens_seen += int(read)
        mine = {name: value for name, value in rolled.figures.items() if name not in OF_GROUPS}
        found = gather_object([mine if self._judged else {**mine, "unknown_fraction": 0.0}])
        names = dict.fromkeys(name for one in found for name in one)
        figures = {name: [one[name] for one in found if name in one] for name in names}
        known = [one for one in gather_object(list(rolled.rewards)) if one is not None and self._judged]
        recorded = {
            **{name: sum(values) / len(values) for name, values in figures.items()},
            **({"reward": sum(known) / len(known)} if known else {}),
            "logprob_gap": gap,
            "completions/mean_length": lengths.mean().item(),
            "completions/clipped_ratio": self._everywhere([row.truncated for row in rolled.rows]).mean().item(),
            "num_tokens": float(self.state.num_input_tokens_seen),
        }
        for name, value in recorded.items():
            self._metrics["train"][name].append(value)


def _whole(batch: StepBatch) -> torch.Tensor:
    """The loss mask over prompts and completions, (B, P + C)."""
    return pad(batch.loss_mask_BC, (batch.prompt_ids_BP.shape[1], 0))
