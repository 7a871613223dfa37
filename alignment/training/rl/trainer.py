"""Policy gradients on TRL's GRPOTrainer: TRL owns the loop, the optimizer, sharding and checkpoints; we own the rest.

Four methods of TRL 1.16 are overridden: `_generate_and_score_completions`, which makes a step's batch (our rollouts and
advantages), `_prepare_inputs` (which rows a micro-batch has), `_compute_loss` (packed log-probs, our losses), and
`_get_train_sampler` (order.py). What TRL does in their place never runs, so that its settings for it are refused in a
recipe. Neighbours: rollouts.py and batch.py (rows), logprobs.py, groups.py and advantages.py, losses.py.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from accelerate.utils import DistributedType, gather_object
from trl.trainer.utils import shuffle_sequence_dict, split_tensor_dict

from alignment.core.errors import RecipeError
from alignment.inference.weights.sync_check import Gap, refuse_gap
from alignment.recipe.blocks.algorithm import AlgorithmFields
from alignment.training.measuring import computed_in, mean_over_ranks
from alignment.training.packing import LayOut, end_to_end, pack_prompts_once, padded_right
from alignment.training.policy import without_adapter
from alignment.training.rl.advantages import advantages_of, group_normalised, normalise_then_sum
from alignment.training.rl.ahead import without_stale
from alignment.training.rl.batch import GAP_ROWS, RolledOut, RolloutSource, Row, StepBatch, as_tensors
from alignment.training.rl.engine_weights import EngineWeights
from alignment.training.rl.frozen_head import give_frozen_head
from alignment.training.rl.groups import Groups
from alignment.training.rl.logprobs import PolicyLogprobs
from alignment.training.rl.losses import StepSize, Tokens, kl_to_reference, loss_of, objective
from alignment.training.rl.order import EpochSampler
from alignment.training.rl.process_advantages import process_advantages_of
from alignment.training.rl.trl_trainer import GRPOTrainer


class PolicyGradientTrainer(GRPOTrainer):
    """GRPOTrainer whose rollouts, advantages and loss are this project's.

    train_dataset has a column `problem` of ids, which `rollouts` understands. max_logprob_gap: mean distance in nats
    between the engine's log-probs and the trainer's, above which a step raises WeightsNotSynchronised, on every rank.
    packs: rows lie end to end, for which the model has packed attention; else they are padded. engine_dtype: what the engine
    computes in, for the message. max_staleness: steps by which rows may be older than the policy; older ones are dropped.
    """

    def __init__(
        self,
        *,
        algorithm: AlgorithmFields,
        rollouts: RolloutSource,
        max_logprob_gap: float,
        packs: bool = True,
        engine_dtype: str = "float32",
        max_staleness: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(reward_funcs=[_never_asked], **options)
        self._algorithm, self._rollouts, self._max_logprob_gap = algorithm, rollouts, max_logprob_gap
        self._engine_dtype, self._max_staleness = engine_dtype, max_staleness
        once = self.accelerator.device.type == "cpu" and not self.aux_loss_enabled  # whose loss counts every token
        lay_out: LayOut = padded_right if not packs else pack_prompts_once if once else end_to_end
        head = None if algorithm.entropy_bonus else give_frozen_head(without_adapter(self.model), self.temperature)
        self.policy_logprobs = PolicyLogprobs(self, lay_out, head)
        self._groups = Groups(self.accelerator, self.num_generations)
        self._process_advantages_of = process_advantages_of(algorithm)
        self._advantages_of = group_normalised if self._process_advantages_of else advantages_of(algorithm)
        self._loss_of = loss_of(algorithm)
        self._kl_sums = torch.zeros(2, device=self.accelerator.device)  # of this step: KL, tokens
        self._early_gap: float | None = None

    @property
    def drops_zero_advantage_rows(self) -> bool:
        """Whether rows without an advantage are not computed: they carry no gradient and the recipe does not refuse."""
        chosen, alone = self._algorithm, self._algorithm.loss is None and not self._algorithm.entropy_bonus
        return chosen.drop_zero_advantage_rows and alone and not chosen.beta and not self.aux_loss_enabled

    def look_at(self, rows: Sequence[Row]) -> None:
        """What a step needs of its rows whatever their rewards are, computed while these are awaited. Collective."""
        self._early_gap = self.policy_logprobs.gap(rows[:GAP_ROWS])
        if self.beta and self.accelerator.num_processes == 1 and self.temperature == 1:
            self.policy_logprobs.start([(row.prompt_ids, row.completion_ids) for row in rows])

    def _get_train_sampler(self, dataset: Any = None) -> EpochSampler:
        """TRL's order of problems, which a stage that is resumed in a later epoch continues."""
        self._order = EpochSampler.of(super()._get_train_sampler(dataset))
        return self._order

    def _following(self, step: int, rows: int) -> list[list[str]]:
        """The problems of this rank's rows in each of the next steps that may be sampled ahead."""
        last, first = min(step + self._max_staleness, self.state.max_steps - 1), self.accelerator.process_index * rows
        found = []
        for later in range(step + 1, last + 1):
            chunk = [index for index in self._order.problems_of(later) for _ in range(self.num_generations)]
            found.append([self.train_dataset[index]["problem"] for index in chunk[first : first + rows]])
        return found

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, torch.Tensor | None]:
        """One step's batch on this rank. Overrides TRL's."""
        step, model = self.state.global_step, self.accelerator.unwrap_model(self.model)
        asked = [row["problem"] for row in inputs]
        rolled = self._rollouts.roll_out(asked, step, EngineWeights(model), self._following(step, len(asked)))
        rolled = without_stale(rolled, self._max_staleness)
        compared = rolled.probes or rolled.rows[:GAP_ROWS]
        gap, self._early_gap = self._early_gap, None
        if gap is None:
            gap = self.policy_logprobs.gap(compared)
        if gap > self._max_logprob_gap:
            found = Gap(gap, self.policy_logprobs.plain_gap(compared), (self._engine_dtype, computed_in(self)))
            refuse_gap(found, self._max_logprob_gap, step)
        pad_id, cut_off = self.processing_class.pad_token_id, self._algorithm.mask_truncated
        batch = as_tensors(rolled.rows, pad_id=pad_id, mask_truncated=cut_off, device=self.accelerator.device)
        rewards_B = self._groups.everywhere([math.nan if one is None else one for one in rolled.rewards])
        columns = batch.columns()
        columns["advantages_BC"] = self._advantages(rewards_B, batch.loss_mask_BC, rolled)
        columns["step_tokens"] = self.accelerator.reduce(batch.step_tokens, reduction="sum")
        if self.args.gradient_accumulation_steps % (self.args.steps_per_generation * self.num_iterations):
            columns["old_BC"] = self.policy_logprobs.of(self.model, batch)
        if self.beta:
            columns["reference_BC"] = self.policy_logprobs.reference(batch)
        self.policy_logprobs.end_step()
        self._record(rolled, rewards_B, gap)
        return columns

    def _prepare_inputs(self, generation_batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """The next micro-batch. Overrides TRL's, which shuffles a step's rows.

        Where all of them are accumulated before the optimizer takes its step, their order changes nothing, and the rows of a
        group stay together: their prompt is computed once.
        """
        parts: int = self.args.steps_per_generation
        if self._step % (parts * self.num_iterations) == 0 or self._buffered_inputs is None:  # type: ignore[has-type]
            columns = self._generate_and_score_completions(generation_batch)
            together = self.args.gradient_accumulation_steps % parts == 0
            self._buffered_inputs = split_tensor_dict(columns if together else shuffle_sequence_dict(columns), parts)
        micro_batch: dict[str, torch.Tensor] = self._buffered_inputs[self._step % parts]
        return micro_batch

    def _compute_loss(self, model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """This micro-batch's part of the step's loss. Overrides TRL's."""
        batch, accumulated = StepBatch(**inputs), self.args.gradient_accumulation_steps
        if self._passes_over(batch):
            return self._without_gradient(model)
        if not self.aux_loss_enabled and self._algorithm.drop_zero_advantage_rows:
            kept_K = batch.rows_with_gradient(advantage_alone=self.drops_zero_advantage_rows)
            batch = batch.rows(kept_K)
        scored = self.policy_logprobs.score(model, batch)
        tokens = Tokens(
            logprobs_BT=scored.logprobs_BC,
            old_BT=scored.logprobs_BC.detach() if batch.old_BC is None else batch.old_BC,
            engine_BT=batch.engine_BC,
            advantages_BT=batch.advantages_BC,
            mask_BT=batch.loss_mask_BC,
            entropy_BT=scored.entropy_BC,
            reference_BT=batch.reference_BC,
        )
        size = StepSize(
            tokens=float(batch.step_tokens.clamp(min=1)) / self.accelerator.num_processes,
            sequences=self.args.per_device_train_batch_size * accumulated,
            max_completion_tokens=self.max_completion_length,
        )
        loss = objective(tokens, self._algorithm, self._loss_of, size)
        if scored.router_loss is not None:
            loss = loss + self.router_aux_loss_coef * scored.router_loss / accumulated
        self._count_kl(tokens)
        return loss

    def _passes_over(self, batch: StepBatch) -> bool:
        """Whether nothing of a micro-batch is computed: no row carries a gradient, and no other rank waits for this one."""
        kind = self.accelerator.distributed_type
        # DDP's ranks meet in a step's last micro-batch alone.
        between = kind in (DistributedType.MULTI_GPU, DistributedType.MULTI_CPU) and not self.accelerator.sync_gradients
        alone = kind == DistributedType.NO or between
        return alone and self.drops_zero_advantage_rows and not batch.with_gradient(advantage_alone=True).any()

    def _without_gradient(self, model: torch.nn.Module) -> torch.Tensor:
        """A loss that nothing depends on. After a step without any other, the optimizer finds zeros, as if computed."""
        if self.accelerator.sync_gradients:
            for weight in model.parameters():
                if weight.requires_grad and weight.grad is None:
                    weight.grad = torch.zeros_like(weight)
        return torch.zeros((), device=self.accelerator.device, requires_grad=True)

    def _advantages(self, rewards_B: torch.Tensor, loss_mask_BC: torch.Tensor, rolled: RolledOut) -> torch.Tensor:
        """Advantages of this rank's rows, (B, C), from the rewards of all ranks: a group may lie on two of them."""
        mask_NGT, rewards_NG = self._groups.mask(loss_mask_BC), self._groups.split(rewards_B)
        if self._algorithm.aggregation == "normalise_then_sum":
            found = normalise_then_sum(*self._groups.parts(rolled.parts, rewards_NG), mask_NGT)
        elif self._process_advantages_of is None:
            found = self._advantages_of(rewards_NG, mask_NGT)
        else:
            scored = self._groups.steps(rolled.steps or (), mask_NGT.shape[-1])
            found = self._process_advantages_of(rewards_NG, mask_NGT, scored, self._algorithm)
        if found.shape not in (rewards_NG.shape, mask_NGT.shape):
            raise RecipeError(
                f"`{self._algorithm.advantages}` returned advantages of shape {tuple(found.shape)}; it has to return one "
                f"for each completion, {tuple(rewards_NG.shape)}, or for each token, {tuple(mask_NGT.shape)}"
            )
        found_NGT = found if found.ndim == 3 else found[..., None].expand_as(mask_NGT)
        return self._groups.own(found_NGT, loss_mask_BC)

    def _record(self, rolled: RolledOut, rewards_B: torch.Tensor, gap: float) -> None:
        """Figures of a step as means over ranks, under the names that callbacks.py knows."""
        known_B = rewards_B[~rewards_B.isnan()]
        lengths = self._groups.everywhere([sum(row.sampled) for row in rolled.rows])
        truncated = self._groups.everywhere([row.truncated for row in rolled.rows])
        read = self._groups.everywhere([len(row.prompt_ids) for row in rolled.rows]).sum() + lengths.sum()
        self.state.num_input_tokens_seen += int(read)
        figures = _means(gather_object([rolled.figures])) | {
            "logprob_gap": gap,
            "reward": known_B.mean().item(),
            "reward_std": known_B.std().item(),
            "completions/mean_length": lengths.mean().item(),
            "completions/clipped_ratio": truncated.mean().item(),
            "num_tokens": float(self.state.num_input_tokens_seen),
        }
        for name, value in figures.items():
            self._metrics["train"][name].append(value)

    def _count_kl(self, tokens: Tokens) -> None:
        """Add to the step's KL, and record it with the step's last micro-batch."""
        if tokens.reference_BT is None:
            return
        kl_BT = kl_to_reference(tokens.logprobs_BT.detach(), tokens.reference_BT) * tokens.mask_BT
        self._kl_sums += torch.stack([kl_BT.sum(), tokens.mask_BT.sum()])
        if self.accelerator.sync_gradients:
            self._metrics["train"]["kl"].append(mean_over_ranks(self, *self._kl_sums))
            self._kl_sums = torch.zeros_like(self._kl_sums)


def _means(figures: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over the ranks that have it."""
    names = dict.fromkeys(name for one in figures for name in one)
    found = {name: [one[name] for one in figures if name in one] for name in names}
    return {name: sum(values) / len(values) for name, values in found.items()}


def _never_asked(**_: Any) -> list[float]:
    """TRL does not start without a reward function; rewards come with the rollouts."""
    raise AssertionError("rewards come with the rollouts")
