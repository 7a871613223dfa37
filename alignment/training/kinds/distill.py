"""Stage kind distill: on-policy distillation; the student samples, and learns the teacher's distribution at every token.

Neighbours: training/stages/distill.py (how it runs), recipe/blocks/teacher.py (who teaches), checks/model/teacher.py
(whether it can), recipe/kinds.py (what a kind declares), docs/distillation.md (when to use it).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from alignment.recipe.blocks.rewards import Reward
from alignment.recipe.blocks.sampling import StudentRollout
from alignment.recipe.blocks.teacher import Teacher
from alignment.recipe.issue import Issue
from alignment.recipe.kinds import Done, LintIntent, StageKind
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import TrainingStage
from alignment.recipe.trainer_keys import TrainerKeys
from alignment.training.kinds.plan import MEASURING_KEYS, micro_batches
from rewards.posting import url_fault

if TYPE_CHECKING:
    from alignment.training.context import StageContext


class DistillStage(TrainingStage):
    """The fields of a distill stage in a recipe."""

    teacher: Teacher = Field(description="The model whose distribution the student learns.")
    rollout: StudentRollout = Field(StudentRollout(), description="How the student's completions are sampled.")
    divergence: Literal["reverse_kl", "forward_kl", "jsd"] = Field(
        "reverse_kl",
        description="What is minimised at every token: reverse_kl makes the student give up what the teacher would not write, "
        "forward_kl makes it cover all that the teacher might, jsd is between.",
    )
    teacher_weight: float = Field(
        0.5, gt=0, lt=1, description="With jsd, the weight of the teacher in the mixture that both are compared with."
    )
    rewards: list[Reward] = Field(
        [],
        description="Verifiers whose verdicts on the student's completions are recorded; nothing is trained on them.",
    )
    micro_batch: int = Field(8, ge=1, description="Completions per device and forward pass.")

    @property
    def reads(self) -> list[str]:
        """The stage whose policy teaches."""
        return [self.teacher.stage] if self.teacher.stage is not None else []

    @property
    def scores_every_answer(self) -> bool:
        """True: the teacher does, whatever the verifiers can judge."""
        return True

    @property
    def process(self) -> None:
        """None: nothing scores steps."""

    @property
    def scorers(self) -> list[Reward]:
        """None are there: no model scores answers."""
        return []

    @property
    def shards_scoring_models(self) -> bool:
        """True: the teacher is sharded as the student is, under DeepSpeed."""
        return True

    def scoring_models(self, processes: int) -> list[str | None]:
        """The teacher, unless a server has it; a stage's has the policy's size."""
        return [self.teacher.model] if self.teacher.server is None else []


def run(context: "StageContext") -> Done:
    """Train; the policy is written to output/."""
    from alignment.training.main import train
    from alignment.training.stages.distill import build

    return train(context, build)


def batches(recipe: Recipe, index: int, stage: DistillStage) -> Iterator[Issue]:
    """Micro-batches divide a step's completions."""
    yield from micro_batches(recipe, index, stage.rollout, stage.micro_batch)


def mixture(recipe: Recipe, index: int, stage: DistillStage) -> Iterator[Issue]:
    """The weight of the mixture is written where there is one."""
    if "teacher_weight" in stage.model_fields_set and stage.divergence != "jsd":
        message = f"has no effect with {stage.divergence}; write `divergence: jsd`, or leave it out"
        yield Issue(("stages", index, "teacher_weight"), message)


def head(recipe: Recipe, index: int, stage: DistillStage) -> Iterator[Issue]:
    """No adapter lies on the output head, which the fused loss reads without it."""
    targets = stage.lora.targets if stage.lora is not None and isinstance(stage.lora.targets, list) else []
    if "lm_head" in targets:
        message = "an adapter on lm_head would get no gradient: the loss reads the head's own weight; leave it out"
        yield Issue(("stages", index, "lora", "targets"), message)


def server(recipe: Recipe, index: int, stage: DistillStage) -> Iterator[Issue]:
    """A teacher's server can be asked."""
    if (one := stage.teacher.server) is not None:
        fault = url_fault(one.base_url, sends_key=bool(one.api_key_env))
        if fault is not None:
            yield Issue(("stages", index, "teacher", "server", "base_url"), f"found {one.base_url!r}; {fault}")


def _work(stage: DistillStage) -> str:
    rollout = stage.rollout
    steps = stage.trainer.get("max_steps", -1)
    count = f"{steps} steps of " if steps > 0 else "steps of "
    completions = rollout.problems_per_step * rollout.generations
    most = f"at most {completions * rollout.max_completion_tokens:,} tokens per step"
    who = stage.teacher.stage or stage.teacher.model
    return f"{count}{completions} completions, {most}, {stage.divergence} to {who}"


def _batch(stage: DistillStage) -> tuple[int, int]:
    return stage.micro_batch, stage.rollout.max_prompt_tokens + stage.rollout.max_completion_tokens


_SAMPLING = "sampling is the stage's own: see `rollout`"
_ENGINE = "the engine is the stage's own: see `rollout`"
_TEACHER = "write `teacher` beside `trainer`"
_KEPT = "rollouts.jsonl and the report keep completions"

KIND = StageKind(
    name="distill",
    fields=DistillStage,
    sentence="on-policy distillation: the student samples and learns a teacher's next-token distribution ([distillation.md](distillation.md))",
    takes="problems",
    leaves="policy",
    files="a policy, rollouts",
    trains=True,
    work=_work,
    run=run,
    batch=_batch,
    trainer=TrainerKeys(
        "trl",
        "trainer/distillation_config.py",
        "DistillationConfig",
        {
            **{key: why for key, why in MEASURING_KEYS.items() if key != "label_names"},
            **dict.fromkeys(
                ("eval_strategy", "eval_steps", "per_device_eval_batch_size"),
                "it has no effect: a policy is measured after the stage; see `evaluations`",
            ),
            "beta": "write `divergence` beside `trainer`, and `teacher_weight` with jsd",
            **dict.fromkeys(
                ("teacher_model_name_or_path", "teacher_model_revision", "teacher_model_init_kwargs"), _TEACHER
            ),
            "max_completion_length": "write `max_completion_tokens` under `rollout`",
            **dict.fromkeys(("temperature", "top_p", "top_k"), "write it under `rollout`"),
            **dict.fromkeys(
                ("generation_kwargs", "min_p", "repetition_penalty", "max_tool_calling_iterations"), _SAMPLING
            ),
            **dict.fromkeys(
                ("use_vllm", "vllm_mode", "cache_implementation", "ds3_gather_for_generation", "vllm_enable_sleep_mode",
                 "vllm_gpu_memory_utilization", "vllm_group_port", "vllm_max_model_length", "vllm_model_impl",
                 "vllm_server_base_url", "vllm_server_host", "vllm_server_port", "vllm_server_timeout",
                 "vllm_structured_outputs_regex", "vllm_tensor_parallel_size"),
                _ENGINE,
            ),
            **dict.fromkeys(("log_completions", "log_unique_prompts", "num_completions_to_print"), _KEPT),
            "chat_template_kwargs": "write `thinking_fraction` under `rollout`",
            "pad_to_multiple_of": "rows are computed without padding",
            "per_device_train_batch_size": "write `micro_batch` beside `trainer`",
            "gradient_accumulation_steps": "it follows from problems_per_step, generations, micro_batch and processes",
            "neftune_noise_alpha": "the student's log-probs would be of another policy than the one that sampled; leave it out",
            "label_names": "it has no effect; leave it out",
            "label_smoothing_factor": "it has no effect: the targets are the teacher's distribution; leave it out",
            "train_sampling_strategy": "the order of problems is the stage's own; `shuffle_dataset: false` takes them as they come",
            "dataloader_drop_last": "it has no effect: a step always has all of its problems",
            "include_num_input_tokens_seen": "the stage counts the tokens itself",
        },
        learning_rate=1e-6,
    ),
    lint=lambda stage: LintIntent(stage.rollout.max_prompt_tokens),
    checks=(batches, mixture, head, server),
)  # fmt: skip
