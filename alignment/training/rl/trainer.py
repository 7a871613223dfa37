"""Policy gradients on TRL's GRPOTrainer: TRL owns the loop, the optimizer, sharding and checkpoints; we own the rest.

Four methods of TRL 1.16 are overridden: `_generate_and_score_completions`, which makes a step's batch (our rollouts and
advantages), `_prepare_inputs` (which rows a micro-batch has), `_compute_loss` (packed log-probs, our losses), and
`_get_train_sampler` (order.py). What TRL does in their place never runs, so that its settings for it are refused in a recipe.
Neighbours: batch.py, advantages.py, losses.py, packing.py, rollouts.py.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import gather_object
from trl.models.utils import disable_gradient_checkpointing
from trl.trainer.utils import shuffle_sequence_dict, split_tensor_dict, use_adapter

from alignment.core.errors import RecipeError
from alignment.inference.weights.sync_check import Gap, refuse_gap
from alignment.recipe.algorithm import AlgorithmFields
from alignment.training.packing_check import plain_attention
from alignment.training.policy import without_adapter
from alignment.training.rl.advantages import advantages_of, group_normalised, normalise_then_sum
from alignment.training.rl.ahead import without_stale
from alignment.training.rl.batch import (
    GAP_ROWS,
    RewardParts,
    RolledOut,
    RolloutSource,
    Row,
    RowSteps,
    StepBatch,
    as_tensors,
)
from alignment.training.rl.engine_weights import EngineWeights
from alignment.training.rl.losses import StepSize, Tokens, kl_to_reference, loss_of, objective
from alignment.training.rl.order import EpochSampler
from alignment.training.rl.packing import LayOut, end_to_end, pack_prompts_once, padded_right
from alignment.training.rl.process_advantages import StepRewards, process_advantages_of
from alignment.training.rl.trl_trainer import GRPOTrainer


@dataclass(frozen=True)
class Scored:
    """What the policy says of a batch: log-prob and entropy (nats) of each completion token, and the router's loss."""

    logprobs_BC: torch.Tensor
    entropy_BC: torch.Tensor | None
    router_loss: torch.Tensor | None


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
        self._lay_out: LayOut = padded_right if not packs else pack_prompts_once if once else end_to_end
        self._process_advantages_of = process_advantages_of(algorithm)
        self._advantages_of = group_normalised if self._process_advantages_of else advantages_of(algorithm)
        self._loss_of = loss_of(algorithm)
        self._kl_sums = torch.zeros(2, device=self.accelerator.device)  # of this step: KL, tokens
        self._start_known: dict[tuple[int, ...], torch.Tensor] = {}  # of this step's rows, by prompt length and ids

    @property
    def drops_zero_advantage_rows(self) -> bool:
        """Whether rows without an advantage are not computed: they carry no gradient and the recipe does not refuse."""
        chosen, alone = self._algorithm, self._algorithm.loss is None and not self._algorithm.entropy_bonus
        return chosen.drop_zero_advantage_rows and alone and not chosen.beta and not self.aux_loss_enabled

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
        gap = self.logprob_gap(compared)
        if gap > self._max_logprob_gap:
            found = Gap(gap, self._plain_gap(compared), (self._engine_dtype, self._dtype()))
            refuse_gap(found, self._max_logprob_gap, step)
        batch = self._tensors(rolled.rows, mask_truncated=self._algorithm.mask_truncated)
        rewards_B = self._everywhere([math.nan if one is None else one for one in rolled.rewards])
        columns = batch.columns()
        columns["advantages_BC"] = self._advantages(rewards_B, batch.loss_mask_BC, rolled)
        columns["step_tokens"] = self.accelerator.reduce(batch.step_tokens, reduction="sum")
        if self.args.gradient_accumulation_steps % (self.args.steps_per_generation * self.num_iterations):
            columns["old_BC"] = self._logprobs(self.model, batch)
        if self.beta:
            columns["reference_BC"] = self._reference_of(batch)
        self._start_known = {}
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
        if not self.aux_loss_enabled and self._algorithm.drop_zero_advantage_rows:
            kept_K = batch.rows_with_gradient(advantage_alone=self.drops_zero_advantage_rows)
            batch = batch.rows(kept_K)
        scored = self._score(model, batch)
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

    def logprob_gap(self, rows: Sequence[Row]) -> float:
        """Mean distance in nats between the engine's log-probs of sampled tokens and the trainer's, over all ranks."""
        batch = self._tensors(rows, mask_truncated=False)
        with self._measuring(self.model):
            if self.temperature == 1:
                logprobs_BC = self._score(self.model, batch).logprobs_BC
            else:  # the engine reports the untempered distribution, and the fused head computes the tempered one
                logprobs_BC = self._untempered_logprobs(batch)
        distance_BC = (logprobs_BC - batch.engine_BC).abs() * batch.loss_mask_BC
        sums = torch.stack([distance_BC.sum(), batch.loss_mask_BC.sum()])
        distance, count = self.accelerator.reduce(sums, reduction="sum").tolist()
        return distance / max(1.0, count)

    def start_logprobs(self, rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[list[float]]:
        """Log-probs (nats) of completion tokens under the policy at the stage's start, for rows of prompt and completion ids.

        For one process at temperature 1 whose policy has a new adapter or a reference.
        """
        if not rows:
            return []
        made = [Row(prompt, ids, [0.0] * len(ids), [True] * len(ids), truncated=False) for prompt, ids in rows]
        with self._measuring(self.model):
            found_BC = self._reference_logprobs(self._tensors(made, mask_truncated=False))
        for of_row, (prompt, ids) in zip(found_BC, rows, strict=True):
            self._start_known[len(prompt), *prompt, *ids] = of_row[: len(ids)]
        return [of_row[: len(ids)] for of_row, (_, ids) in zip(found_BC.tolist(), rows, strict=True)]

    def _plain_gap(self, rows: Sequence[Row]) -> float:
        """`logprob_gap` with each row under plain attention, to tell where a gap comes from. Collective."""
        model = self.accelerator.unwrap_model(self.model)
        inner = without_adapter(model)
        held, lay_out = inner.config._attn_implementation, self._lay_out  # noqa: SLF001  no public reader
        self._lay_out = padded_right
        inner.set_attn_implementation(plain_attention(inner))
        try:
            return self.logprob_gap(rows)
        finally:
            inner.set_attn_implementation(held)
            self._lay_out = lay_out

    def _dtype(self) -> str:
        """What the trainer computes in."""
        if self.args.bf16 or self.args.fp16:
            return "bfloat16" if self.args.bf16 else "float16"
        return str(next(self.model.parameters()).dtype).removeprefix("torch.")

    def _advantages(self, rewards_B: torch.Tensor, loss_mask_BC: torch.Tensor, rolled: RolledOut) -> torch.Tensor:
        """Advantages of this rank's rows, (B, C), from the rewards of all ranks: a group may lie on two of them."""
        everywhere = self.accelerator.pad_across_processes(loss_mask_BC, dim=1)
        mask_NGT = self.accelerator.gather(everywhere).unflatten(0, (-1, self.num_generations))
        rewards_NG = rewards_B.unflatten(0, (-1, self.num_generations))
        if self._algorithm.aggregation == "normalise_then_sum":
            found = normalise_then_sum(*self._parts(rolled.parts, rewards_NG), mask_NGT)
        elif self._process_advantages_of is None:
            found = self._advantages_of(rewards_NG, mask_NGT)
        else:
            scored = self._step_rewards(rolled.steps or (), mask_NGT.shape[-1])
            found = self._process_advantages_of(rewards_NG, mask_NGT, scored, self._algorithm)
        if found.shape not in (rewards_NG.shape, mask_NGT.shape):
            raise RecipeError(
                f"`{self._algorithm.advantages}` returned advantages of shape {tuple(found.shape)}; it has to return one "
                f"for each completion, {tuple(rewards_NG.shape)}, or for each token, {tuple(mask_NGT.shape)}"
            )
        found_NGT = found if found.ndim == 3 else found[..., None].expand_as(mask_NGT)
        rows, longest = loss_mask_BC.shape
        first = self.accelerator.process_index * rows
        return found_NGT.flatten(0, 1)[first : first + rows, :longest].to(loss_mask_BC.dtype).contiguous()

    def _parts(self, parts: RewardParts | None, rewards_NG: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The scores that all ranks' rewards are made of, (N, G, V), NaN where the reward is not known, and their weights, (V,)."""
        if parts is None:
            raise RecipeError("`aggregation: normalise_then_sum` needs rollouts with the parts of their rewards")
        scores_NGV = self._grouped(parts.scores).masked_fill(rewards_NG.isnan()[..., None], math.nan)
        return scores_NGV, torch.tensor(parts.weights, dtype=torch.float64, device=scores_NGV.device)

    def _step_rewards(self, steps: Sequence[RowSteps], longest: int) -> StepRewards:
        """The steps of all ranks' rows, in groups."""
        most = int(self._everywhere([max((len(row.scores) for row in steps), default=1), 1]).max())
        of_token = [[*row.of_token, *[-1] * (longest - len(row.of_token))] for row in steps]
        scores = [[*row.scores, *[math.nan] * (most - len(row.scores))] for row in steps]
        return StepRewards(
            step_NGT=self._grouped(of_token).long(),
            scores_NGS=self._grouped(scores),
            process_NG=self._grouped([math.nan if row.process is None else row.process for row in steps]),
            right_NG=self._grouped([math.nan if row.right is None else float(row.right) for row in steps]),
        )

    def _grouped(self, values: Sequence[float] | Sequence[Sequence[float]]) -> torch.Tensor:
        """Values of all ranks' rows in float64, their first dimension split into groups and generations."""
        found = torch.tensor(values, dtype=torch.float64, device=self.accelerator.device)
        return self.accelerator.gather(found).unflatten(0, (-1, self.num_generations))

    def _score(self, model: torch.nn.Module, batch: StepBatch) -> Scored:
        """Log-probs of a batch's completions by the fused head, which never makes whole logits."""
        first = batch.prompt_ids_BP.shape[1]
        laid_out = self._lay_out(batch.ids, batch.mask, first)
        router = {"output_router_logits": True} if self.aux_loss_enabled and model.training else {}
        with self.accelerator.autocast():
            found = model(**laid_out.model_inputs(), **router, labels=laid_out.labels(first), fused_lm_head=True)
        entropy_BL = None if found.entropy is None else laid_out.padded(found.entropy)[:, first:]
        return Scored(laid_out.padded(found.log_probs)[:, first:], entropy_BL, found.aux_loss if router else None)

    def _logprobs(self, model: torch.nn.Module, batch: StepBatch) -> torch.Tensor:
        """Log-probs of all rows, (B, C), without gradient, in parts of a micro-batch."""
        parts = torch.arange(len(batch.ids), device=batch.ids.device).split(self.args.per_device_train_batch_size)
        with torch.no_grad(), disable_gradient_checkpointing(self.model, self.args.gradient_checkpointing_kwargs):
            return torch.cat([self._score(model, batch.rows(part)).logprobs_BC for part in parts])

    def _reference_of(self, batch: StepBatch) -> torch.Tensor:
        """`_reference_logprobs`, where those that a fluency scorer has asked for in this step are not computed again."""
        prompts_B = batch.prompt_mask_BP.sum(dim=1).tolist()
        written = [ids[kept].tolist() for ids, kept in zip(batch.ids, batch.mask.bool(), strict=True)]
        known = [self._start_known.get((first, *ids)) for first, ids in zip(prompts_B, written, strict=True)]
        missing_M = torch.tensor([row for row, found in enumerate(known) if found is None], device=batch.ids.device)
        if len(missing_M) == len(known):
            return self._reference_logprobs(batch)
        found_BC = torch.zeros_like(batch.engine_BC)
        if len(missing_M):
            found_BC[missing_M] = self._reference_logprobs(batch.rows(missing_M))
        for row, found in enumerate(known):
            if found is not None:
                found_BC[row, : len(found)] = found
        return found_BC

    def _reference_logprobs(self, batch: StepBatch) -> torch.Tensor:
        """Under the policy at the stage's start: a model of its own, or the one under the adapter that is trained."""
        if self.ref_model is not None:
            return self._logprobs(self.ref_model, batch)
        model = self.accelerator.unwrap_model(self.model)
        with use_adapter(model, adapter_name="ref" if "ref" in model.peft_config else None):
            return self._logprobs(self.model, batch)

    def _untempered_logprobs(self, batch: StepBatch) -> torch.Tensor:
        """Log-probs at temperature 1, (B, C), by whole logits, row for row."""
        found, first = [], batch.prompt_ids_BP.shape[1]
        for row in range(len(batch.ids)):
            laid_out = self._lay_out(batch.ids[row : row + 1], batch.mask[row : row + 1], first)
            inputs = laid_out.model_inputs()
            logits_TV = self.model(**inputs, use_cache=False).logits[0, :-1].float()
            next_T = inputs["input_ids"][0, 1:]
            logprobs_T = logits_TV.gather(-1, next_T[:, None])[:, 0] - logits_TV.logsumexp(-1)
            found.append(laid_out.padded(logprobs_T[None])[:, first:])
        return torch.cat(found)

    @contextlib.contextmanager
    def _measuring(self, model: torch.nn.Module) -> Iterator[None]:
        """Without gradients, dropout and checkpointing."""
        was_training = model.training
        model.eval()
        with torch.no_grad(), disable_gradient_checkpointing(self.model, self.args.gradient_checkpointing_kwargs):
            yield
        model.train(was_training)

    def _tensors(self, rows: Sequence[Row], *, mask_truncated: bool) -> StepBatch:
        pad_id = self.processing_class.pad_token_id
        return as_tensors(rows, pad_id=pad_id, mask_truncated=mask_truncated, device=self.accelerator.device)

    def _everywhere(self, values: Sequence[float]) -> torch.Tensor:
        """Values of all ranks in their order, in float64, in which equal rewards stay equal."""
        return self.accelerator.gather(torch.tensor(values, dtype=torch.float64, device=self.accelerator.device))

    def _record(self, rolled: RolledOut, rewards_B: torch.Tensor, gap: float) -> None:
        """Figures of a step as means over ranks, under the names that callbacks.py knows."""
        known_B = rewards_B[~rewards_B.isnan()]
        lengths = self._everywhere([sum(row.sampled) for row in rolled.rows])
        read = self._everywhere([len(row.prompt_ids) for row in rolled.rows]).sum() + lengths.sum()
        self.state.num_input_tokens_seen += int(read)
        figures = _means(gather_object([rolled.figures])) | {
            "logprob_gap": gap,
            "reward": known_B.mean().item(),
            "reward_std": known_B.std().item(),
            "completions/mean_length": lengths.mean().item(),
            "completions/clipped_ratio": self._everywhere([row.truncated for row in rolled.rows]).mean().item(),
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
            total, count = self.accelerator.reduce(self._kl_sums, reduction="sum").tolist()
            self._metrics["train"]["kl"].append(total / max(1.0, count))
            self._kl_sums = torch.zeros_like(self._kl_sums)


def _means(figures: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over the ranks that have it."""
    names = dict.fromkeys(name for one in figures for name in one)
    found = {name: [one[name] for one in figures if name in one] for name in names}
    return {name: sum(values) / len(values) for name, values in found.items()}


def _never_asked(**_: Any) -> list[float]:
    """TRL does not start without a reward function; rewards come with the rollouts."""
    raise AssertionError("rewards come with the rollouts")
