"""Reinforcement learning on verdicts, as TRL's GRPOTrainer runs it with rollouts, advantages and losses of our own.

The dataset holds problem ids: what is asked and how is decided when a step is sampled. Neighbours: training/rl/ (all
that is heavy), recipe/blocks/algorithm.py (what an algorithm decides).
"""

from typing import TYPE_CHECKING

import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase
from trl import GRPOConfig

from alignment.core.errors import DataError
from alignment.core.typed_json import encode
from alignment.data.chat.template import render_prompt
from alignment.data.chat.turns_rendered import TurnsRendered
from alignment.data.mixture import load_parts
from alignment.data.rows import Problem
from alignment.inference.weights.sync_check import largest_gap
from alignment.lint.rows import sound_problems
from alignment.records.judges import AGREEMENT
from alignment.rollout.difficulty import DifficultyPool
from alignment.rollout.environments.protocol import EnvironmentFault
from alignment.rollout.environments.registry import open_environments
from alignment.rollout.episode import begin
from alignment.rollout.judge_agreement import refuse_disagreeing
from alignment.rollout.judgeable import refuse_unjudged
from alignment.rollout.references import refuse_failing
from alignment.training.adapter_config import adapter_config
from alignment.training.callbacks import Recorder
from alignment.training.context import StageContext
from alignment.training.packing_check import packed_policy
from alignment.training.rl.batch import RolloutSource
from alignment.training.rl.rollouts import Rollouts
from alignment.training.rl.step_problems import PoolInCheckpoints
from alignment.training.rl.trainer import PolicyGradientTrainer

if TYPE_CHECKING:
    from alignment.training.kinds.grpo import GrpoStage


def build(context: StageContext, rollouts: RolloutSource | None = None) -> tuple[PolicyGradientTrainer, Recorder]:
    """The trainer of a grpo stage, ready to train. rollouts: in place of those that the recipe's engine would sample."""
    stage: GrpoStage = context.stage
    tokenizer = context.tokenizer()
    problems, left_out = sound_problems(context.recipe, stage, load_parts(stage.data), context.artifact)
    context.leave_out(left_out)
    refuse_unjudged(problems, stage.rewards, scored_tasks=stage.scored_tasks)
    if context.is_main:
        refuse_failing(context.recipe, stage, problems)
        if agreed := refuse_disagreeing(stage.name, stage.rewards, context.run.judgements):
            context.counts[AGREEMENT] = encode(agreed)
    problems = fitting(context, tokenizer, problems)
    recorder = Recorder(context)
    settings = _settings(context)  # before the policy: it tells transformers whether weights are loaded in shards
    policy, packs = packed_policy(context)
    pool = _pool(context, problems)
    source = rollouts or Rollouts(context, problems, pool)
    trainer = PolicyGradientTrainer(
        algorithm=stage.algorithm,
        rollouts=source,
        max_logprob_gap=_largest_gap(stage, settings, next(policy.parameters()).dtype),
        packs=packs,
        engine_dtype=stage.rollout.engine.resolved_dtype(on_gpu=torch.cuda.is_available()),
        max_staleness=stage.rollout.max_staleness,
        model=policy,
        args=settings,
        train_dataset=Dataset.from_dict({"problem": [problem.id for problem in problems]}),
        processing_class=tokenizer,
        peft_config=adapter_config(stage.lora, tokenizer, policy),
        callbacks=[*([] if pool is None else [PoolInCheckpoints(context, pool)]), recorder],  # it seals what is written
    )
    if isinstance(source, Rollouts):
        source.while_judged = trainer.look_at
        if not stage.loads_start(context.processes):
            source.start_logprobs = trainer.policy_logprobs.start
    return trainer, recorder


def _pool(context: StageContext, problems: list[Problem]) -> DifficultyPool | None:
    """What learns which problems to ask for, where the recipe says so."""
    order = context.stage.rollout.order
    if order.by == "epoch":
        return None
    tasks = {problem.id: problem.family for problem in problems} if order.by == "task_variance" else None
    return DifficultyPool([problem.id for problem in problems], order.explore, context.recipe.seed, tasks)


def _settings(context: StageContext) -> GRPOConfig:
    stage: GrpoStage = context.stage
    batch = stage.rollout.problems_per_step * stage.rollout.generations
    return GRPOConfig(
        **{
            **context.trainer_settings(),
            "per_device_train_batch_size": stage.micro_batch,
            "gradient_accumulation_steps": batch // (stage.micro_batch * context.processes),
            "num_generations": stage.rollout.generations,
            "num_iterations": stage.algorithm.iterations,
            "max_completion_length": stage.rollout.max_completion_tokens,
            "temperature": stage.rollout.temperature,
            "beta": stage.algorithm.beta,  # decides whether there is a reference model
            "use_vllm": False,  # the engine is ours
        }
    )


def _largest_gap(stage: "GrpoStage", settings: GRPOConfig, weights: torch.dtype) -> float:
    """The allowed distance between trainer and engine: tight where both compute in float32."""
    engine = stage.rollout.engine.resolved_dtype(on_gpu=torch.cuda.is_available())
    coarse = settings.bf16 or settings.fp16 or weights != torch.float32
    return largest_gap(stage.rollout.max_logprob_gap, exact=engine == "float32" and not coarse)


def fitting(context: StageContext, tokenizer: PreTrainedTokenizerBase, problems: list[Problem]) -> list[Problem]:
    """The problems whose prompt fits, each id once. Raises DataError if too few are left for one step."""
    limit = context.stage.rollout.max_prompt_tokens
    kept = {}
    environments, turns = open_environments(context.stage.rollout.environment), TurnsRendered(tokenizer)
    for problem in problems:
        begun = begin(environments, problem)
        begun.release()
        if begun.fault:
            raise EnvironmentFault(begun.fault)
        opening = begun.opening
        turns.prove(problem.id, opening.messages, opening.tools)
        prompt = render_prompt(tokenizer, opening.messages, "non_thinking", flagged=True, tools=opening.tools)
        if len(prompt) <= limit:
            kept[problem.id] = problem
    context.counts.update(problems=len(kept), left_out_too_long=len(problems) - len(kept))
    need = context.stage.rollout.problems_per_step
    if len(kept) < need:
        raise DataError(
            f"{len(kept)} problems fit max_prompt_tokens {limit}, and a step takes problems_per_step {need}"
        )
    return list(kept.values())
