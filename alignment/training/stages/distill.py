"""On-policy distillation (arXiv 2306.13649; Qwen3, arXiv 2505.09388, section 4.5) of a teacher beside the trainer.

The dataset holds problem ids: what is asked and how is decided when a step is sampled. Neighbours: training/distillation/ (the
trainer and its loss), training/kinds/distill.py (declares the kind), training/rl/rollouts.py (samples and judges).
"""

from typing import TYPE_CHECKING

import torch
from datasets import Dataset
from trl import DistillationConfig

from alignment.data.mixture import load_parts
from alignment.inference.weights.sync_check import largest_gap
from alignment.lint.rows import sound_problems
from alignment.training.adapter_config import adapter_config
from alignment.training.callbacks import Recorder
from alignment.training.context import StageContext
from alignment.training.distillation.divergences import beta_of
from alignment.training.distillation.teacher import load_pair
from alignment.training.distillation.trainer import StudentTrainer
from alignment.training.rl.batch import RolloutSource
from alignment.training.rl.rollouts import Rollouts
from alignment.training.stages.grpo import fitting

if TYPE_CHECKING:
    from alignment.training.kinds.distill import DistillStage


def build(context: StageContext, rollouts: RolloutSource | None = None) -> tuple[StudentTrainer, Recorder]:
    """The trainer of a distill stage, ready to train. rollouts: in place of those that the recipe's engine would sample.

    Raises RecipeError if the teacher has another vocabulary, DataError if too few problems fit.
    """
    stage: DistillStage = context.stage
    tokenizer = context.tokenizer()
    problems, left_out = sound_problems(context.recipe, stage, load_parts(stage.data), context.artifact)
    context.leave_out(left_out)
    problems = fitting(context, tokenizer, problems)
    recorder = Recorder(context)
    settings = _settings(context)  # before the models: it tells transformers whether weights are loaded in shards
    pair = load_pair(context)
    engine = stage.rollout.engine.resolved_dtype(on_gpu=torch.cuda.is_available())
    coarse = settings.bf16 or settings.fp16 or next(pair.student.parameters()).dtype != torch.float32
    gap = largest_gap(stage.rollout.max_logprob_gap, exact=engine == "float32" and not coarse)
    trainer = StudentTrainer(
        rollouts=rollouts or Rollouts(context, problems),
        generations=stage.rollout.generations,
        engine=(engine, gap),
        packs=pair.packs,
        judged=bool(stage.rewards),
        served=pair.served,
        model=pair.student,
        teacher_model=pair.teacher,
        args=settings,
        train_dataset=Dataset.from_dict({"problem": [problem.id for problem in problems]}),
        processing_class=tokenizer,
        peft_config=adapter_config(stage.lora, tokenizer, pair.student),
        callbacks=[recorder],
    )
    return trainer, recorder


def _settings(context: StageContext) -> DistillationConfig:
    stage: DistillStage = context.stage
    completions = stage.rollout.problems_per_step * stage.rollout.generations
    return DistillationConfig(
        **{
            **context.trainer_settings(),
            "per_device_train_batch_size": stage.micro_batch,
            "gradient_accumulation_steps": completions // (stage.micro_batch * context.processes),
            "max_completion_length": stage.rollout.max_completion_tokens,
            "beta": beta_of(stage.divergence, stage.teacher_weight),
            "temperature": 1.0,  # of the loss: the distributions as they are, however the student was sampled
            "use_vllm": False,  # the engine is ours
        }
    )
