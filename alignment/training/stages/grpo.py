"""Group-relative policy optimisation (arXiv 2402.03300) on TRL's GRPOTrainer, with rollouts of our own.

TRL asks `rollout_func` for completions; `Rollouts` below samples them with modes and budgets, judges them once, and
hands the totals back as a column that the one reward function returns. The dataset holds problem ids only: TRL never
renders or generates. Forced tokens go out through env_mask and carry no loss.
"""

import itertools
import json
import random
import time
from collections.abc import Iterator
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase
from trl import GRPOConfig, GRPOTrainer

from alignment.core.errors import DataError
from alignment.core.files import HALF_CHARACTERS
from alignment.data.mixture import load_parts, problems_of
from alignment.data.rows import Problem
from alignment.data.template import render_prompt
from alignment.inference.attention import packed
from alignment.inference.engine import GenerationRequest, SamplingSettings, request_seed
from alignment.inference.sampler import Sampler
from alignment.inference.weights.sync_check import check_weight_sync, largest_gap, logprob_gap, refuse_gap
from alignment.rollout.groups import chance, group_mode, has_signal, replace_zero_variance
from alignment.rollout.references import refuse_failing
from alignment.rollout.scoring import Judged, Scorer, exact_total, refuse_unjudged, summary
from alignment.training.callbacks import Recorder
from alignment.training.context import StageContext
from alignment.training.kinds.grpo import GrpoStage
from alignment.training.policy import adapter_config, load_policy, merged_weights
from alignment.training.rl.zero_advantage import drop_zero_advantage_rows
from alignment.training.unpadded import without_padding

KEPT_ROLLOUTS = 16  # per step, in rollouts.jsonl
REPLACEMENT_ROUNDS = 3


def build(context: StageContext) -> tuple[GRPOTrainer, Recorder]:
    """The trainer of a grpo stage, ready to train."""
    stage: GrpoStage = context.stage
    tokenizer = context.tokenizer()
    problems = problems_of(context.recipe, load_parts(stage.data))
    refuse_unjudged(problems, stage.rewards)
    if context.is_main:
        refuse_failing(context.recipe, stage, problems)
    problems = _fitting(context, tokenizer, problems)
    batch = stage.rollout.problems_per_step * stage.rollout.generations
    recorder = Recorder(context)
    settings = GRPOConfig(
        **{
            **context.trainer_settings(),
            "per_device_train_batch_size": stage.micro_batch,
            "gradient_accumulation_steps": batch // (stage.micro_batch * context.processes),
            "num_generations": stage.rollout.generations,
            "max_completion_length": stage.rollout.max_completion_tokens,
            "temperature": stage.rollout.temperature,
            "top_p": stage.rollout.top_p,
            "top_k": stage.rollout.top_k,
            "use_vllm": False,  # the engine is ours
        }
    )
    rollouts = Rollouts(context, tokenizer, problems)
    trainer = GRPOTrainer(
        model=without_padding(load_policy(context, packed.register())),
        args=settings,
        train_dataset=Dataset.from_dict({"prompt": [problem.id for problem in problems]}),
        processing_class=tokenizer,
        reward_funcs=[totals],
        rollout_func=rollouts,
        peft_config=adapter_config(stage.lora, tokenizer),
        callbacks=[recorder],
    )
    if trainer.ref_model is not None:  # TRL loads it the way the policy was loaded, packed attention included
        without_padding(trainer.accelerator.unwrap_model(trainer.ref_model))
    drop_zero_advantage_rows(trainer)
    return trainer, recorder


def totals(prompts: list[str], completions: list[str], total: list[float | None], **_: Any) -> list[float | None]:
    """The reward function TRL is given: the totals that `Rollouts` has judged already."""
    return total


class Rollouts:
    """TRL's rollout_func: problem ids in, token ids, log-probs, masks and totals out."""

    def __init__(self, context: StageContext, tokenizer: PreTrainedTokenizerBase, problems: list[Problem]) -> None:
        stage: GrpoStage = context.stage
        self._context, self._tokenizer, self._settings = context, tokenizer, stage.rollout
        self._problems = {problem.id: problem for problem in problems}
        self._scorer = Scorer(stage.rewards)
        self._sampling = SamplingSettings(stage.rollout.temperature, stage.rollout.top_p, stage.rollout.top_k)
        self._weights_of_step: int | None = None
        self._sampler: Sampler | None = None

    def __call__(self, prompts: list[str], trainer: GRPOTrainer) -> dict[str, Any]:
        """One step's completions for the prompts of this rank, each prompt once per generation."""
        step = trainer.state.global_step
        clock = [time.monotonic()]
        sampler = self._fresh_sampler(trainer)
        clock.append(time.monotonic())
        sampled = self._sample(sampler, [self._problems[name] for name in prompts], step, draw=0)
        clock.append(time.monotonic())
        judged, replaced = self._judge(sampler, sampled, step)
        clock.append(time.monotonic())
        gap = self._checked_gap(trainer, judged, step)
        seconds = [after - before for before, after in itertools.pairwise(clock)]
        self._record(trainer, judged, step, gap, replaced, seconds)
        return {
            "prompt_ids": [row.completion.request.prompt_ids for row in judged],
            "completion_ids": [row.completion.token_ids for row in judged],
            "logprobs": [row.completion.logprobs for row in judged],
            "env_mask": [[0 if forced else 1 for forced in row.completion.forced] for row in judged],
            "total": [exact_total(row.total) for row in judged],
        }

    def _fresh_sampler(self, trainer: GRPOTrainer) -> Sampler:
        """The sampler, its engine holding the weights that the trainer holds now."""
        model = trainer.accelerator.unwrap_model(trainer.model)
        if self._sampler is None:
            self._sampler = self._context.sampler()
            first = next(iter(self._problems.values()))
            probe = render_prompt(self._tokenizer, first.messages, "thinking", flagged=False, tools=first.tools)
            check_weight_sync(self._sampler.engine, lambda: merged_weights(model), probe)
            self._context.counts["engine"] = self._sampler.engine.name
        elif self._weights_of_step != trainer.state.global_step:
            self._sampler.engine.load_weights(merged_weights(model))
        self._weights_of_step = trainer.state.global_step
        return self._sampler

    def _sample(self, sampler: Sampler, problems: list[Problem], step: int, draw: int) -> list[tuple[Problem, Any]]:
        seed, settings, rank = self._context.recipe.seed, self._settings, self._context.rank
        requests = []
        for place, problem in enumerate(problems):
            mode = group_mode(problem, step, seed, settings.thinking_fraction)
            flagged = chance("flag", seed, step, problem.id) < settings.flag_fraction
            prompt = render_prompt(self._tokenizer, problem.messages, mode, flagged=flagged, tools=problem.tools)
            drawn_with = request_seed("draw", seed, step, draw, rank, place)
            requests.append(
                GenerationRequest(prompt, mode, settings.thinking_budget, settings.max_completion_tokens, drawn_with)
            )
        return list(zip(problems, sampler.sample(requests, self._sampling), strict=True))

    def _judge(self, sampler: Sampler, sampled: list[tuple[Problem, Any]], step: int) -> tuple[list[Judged], int]:
        judged = self._scorer.judge([problem for problem, _ in sampled], [made for _, made in sampled])
        if not self._settings.dynamic_sampling:
            return judged, 0
        size, draws = self._settings.generations, itertools.count(1)

        def sample_groups(problems: list[Problem]) -> list[list[Judged]]:
            repeated = [problem for problem in problems for _ in range(size)]
            found = self._sample(sampler, repeated, step, next(draws))
            return _groups(self._scorer.judge([p for p, _ in found], [made for _, made in found]), size)

        fresh = self._reserve({row.problem.id for row in judged}, step)
        groups, replaced = replace_zero_variance(_groups(judged, size), fresh, sample_groups, REPLACEMENT_ROUNDS)
        return list(itertools.chain.from_iterable(groups)), replaced

    def _reserve(self, taken: set[str], step: int) -> Iterator[Problem]:
        """Problems that may replace silent groups, in an order of this step and rank."""
        names = sorted(set(self._problems) - taken)
        random.Random(f"{self._context.recipe.seed}:{step}:{self._context.rank}").shuffle(names)
        return (self._problems[name] for name in names)

    def _checked_gap(self, trainer: GRPOTrainer, judged: list[Judged], step: int) -> float:
        gap = logprob_gap(trainer.model, [row.completion for row in judged[:4]], trainer.accelerator.device)
        coarse = trainer.args.bf16 or trainer.args.fp16 or next(trainer.model.parameters()).dtype != torch.float32
        chosen = "float32" if self._settings.dtype == "auto" and not torch.cuda.is_available() else self._settings.dtype
        exact = chosen == "float32" and not coarse
        refuse_gap(gap, largest_gap(self._settings.max_logprob_gap, exact=exact), step)
        return gap

    def _record(
        self, trainer: GRPOTrainer, judged: list[Judged], step: int, gap: float, replaced: int, seconds: list[float]
    ) -> None:
        figures = {**summary(judged), "logprob_gap": gap, "replaced_groups": float(replaced)}
        silent = [not has_signal(group) for group in _groups(judged, self._settings.generations)]
        figures["zero_variance_groups"] = sum(silent) / len(silent)
        figures |= dict(zip(("seconds_weights", "seconds_rollout", "seconds_verdicts"), seconds, strict=True))
        for name, value in figures.items():
            trainer._metrics["train"][name].append(value)  # noqa: SLF001  the dict TRL's own log_metric writes to
        if self._context.is_main:
            with self._context.folder.rollouts.open("a", encoding="utf-8", errors=HALF_CHARACTERS) as file:
                for row in judged[:: max(1, len(judged) // KEPT_ROLLOUTS)]:
                    file.write(json.dumps(row.as_line(step + 1), ensure_ascii=False) + "\n")


def _groups(judged: list[Judged], size: int) -> list[list[Judged]]:
    return [judged[start : start + size] for start in range(0, len(judged), size)]


def _fitting(context: StageContext, tokenizer: PreTrainedTokenizerBase, problems: list[Problem]) -> list[Problem]:
    """The problems whose prompt fits, each id once. Raises DataError if too few are left for one step."""
    limit = context.stage.rollout.max_prompt_tokens
    kept = {}
    for problem in problems:
        prompt = render_prompt(tokenizer, problem.messages, "non_thinking", flagged=True, tools=problem.tools)
        if len(prompt) <= limit:
            kept[problem.id] = problem
    context.counts.update(problems=len(kept), left_out_too_long=len(problems) - len(kept))
    need = context.stage.rollout.problems_per_step
    if len(kept) < need:
        raise DataError(
            f"{len(kept)} problems fit max_prompt_tokens {limit}, and a step takes problems_per_step {need}"
        )
    return list(kept.values())
