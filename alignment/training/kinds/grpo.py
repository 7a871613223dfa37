"""Stage kind grpo: RL with verifiable rewards by group relative policy optimization (arXiv 2402.03300).

Neighbours: training/stages/grpo.py (how it runs), recipe/kinds.py (what a kind declares).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from alignment.recipe.blocks.algorithm import OWNED_BY_ALGORITHM, PROCESS_ADVANTAGES, Algorithm, Dapo
from alignment.recipe.blocks.process import Process
from alignment.recipe.blocks.rewards import Reward
from alignment.recipe.blocks.sampling import Rollout
from alignment.recipe.blocks.scorers import AnyScorer, FluencyScorer, RewardModelScorer
from alignment.recipe.issue import Issue, Place
from alignment.recipe.kinds import Done, LintIntent, StageKind
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import TrainingStage
from alignment.recipe.trainer_keys import TrainerKeys
from alignment.training.algorithm_check import check_algorithm, check_interrupted_adapter, check_order, check_staleness
from alignment.training.kinds.plan import micro_batches
from alignment.training.kinds.scorers import scorers
from alignment.training.kinds.step_scorer import step_scorer

if TYPE_CHECKING:
    from alignment.training.context import StageContext


class GrpoStage(TrainingStage):
    """The fields of a grpo stage in a recipe."""

    rollout: Rollout = Field(Rollout(), description="How completions are sampled.")
    rewards: list[Reward] = Field(min_length=1, description="The verifiers that make up the reward.")
    scorers: list[AnyScorer] = Field([], description="Scores by a model beside the trainer, which join the rewards.")
    process: Process | None = Field(
        None, description="What scores the steps of completions, for algorithms with credit for steps."
    )
    algorithm: Algorithm = Field(Dapo(), description="What is made of rewards: a preset by name, or with its settings.")
    micro_batch: int = Field(8, ge=1, description="Completions per device and forward pass.")

    @property
    def reads(self) -> list[str]:
        """The stages whose models score its completions or their steps."""
        named = [one.stage for one in self.scorers if isinstance(one, RewardModelScorer)]
        named += [self.process.stage, self.process.policy_stage] if self.process is not None else []
        return [one for one in named if one is not None]

    @property
    def scores_every_answer(self) -> bool:
        """Whether a reward model with a weight gives every answer a reward, whatever the verifiers can judge."""
        return any(not tasks for tasks in self.scored_tasks)

    @property
    def scored_tasks(self) -> list[list[str]]:
        """Of each reward model with a weight, the patterns of the tasks whose answers it scores; none: all tasks."""
        models = [one for one in self.scorers if isinstance(one, RewardModelScorer) and one.weight]
        return [one.tasks or [] for one in models]

    def scoring_models(self, processes: int) -> list[str | None]:
        """Its reward models in transformers, the policy that scores steps, and the frozen starting policy. A stage's model has the policy's size."""
        models = [one.model for one in self.scorers if isinstance(one, RewardModelScorer) and one.engine != "vllm"]
        process = self.process.policy if self.process is not None else None
        models += [None if "/" not in process else process] if process is not None else []
        return [*models, *([None] if self.loads_start(processes) else [])]

    @property
    def pooled_models(self) -> list[tuple[str | None, float]]:
        """Its reward models in vLLM, each with the fraction of a GPU that it takes."""
        models = [one for one in self.scorers if isinstance(one, RewardModelScorer) and one.engine == "vllm"]
        return [(one.model, one.gpu_memory_fraction) for one in models]

    def loads_start(self, processes: int) -> bool:
        """Whether a frozen copy of the starting policy is loaded for a fluency scorer.

        None is where the trainer holds that policy and scores with it: under a new adapter, or as the reference of a KL term;
        with one process, since no rank may wait for another here, and while nobody trains.
        """
        new = self.lora is not None and self.lora.adapter == "new"
        held = (new or bool(self.algorithm.beta)) and processes == 1
        return any(isinstance(one, FluencyScorer) for one in self.scorers) and not (
            held and not self.rollout.max_staleness
        )


def run(context: "StageContext") -> Done:
    """Train; the policy is written to output/."""
    from alignment.training.main import train
    from alignment.training.stages.grpo import build

    return train(context, build)


def batches(recipe: Recipe, index: int, stage: GrpoStage) -> Iterator[Issue]:
    """Groups have two completions or more, micro-batches divide a step, and no group is split over processes."""
    place: Place = ("stages", index)
    rollout, processes = stage.rollout, recipe.hardware.processes
    completions = rollout.problems_per_step * rollout.generations
    if rollout.generations < 2:
        yield Issue(
            (*place, "rollout", "generations"), "the advantage of a group of one is always zero; write at least 2"
        )
    yield from micro_batches(recipe, index, rollout, stage.micro_batch)
    if rollout.dynamic_sampling and (completions // processes) % rollout.generations:
        yield Issue(
            (*place, "rollout", "dynamic_sampling"),
            "needs whole groups on each process; make problems_per_step a multiple of processes",
        )


def checkpoints(recipe: Recipe, index: int, stage: GrpoStage) -> Iterator[Issue]:
    """No checkpoint falls between two optimizer steps on the same rollouts, which it does not hold."""
    every, steps = stage.save_every_steps, stage.algorithm.iterations
    if every % steps:
        yield Issue(
            ("stages", index, "save_every_steps"),
            f"{steps} optimizer steps share their rollouts (algorithm.iterations), and a checkpoint at step {every} would "
            f"fall between them: a stage that resumes from it would draw others; write {-(-every // steps) * steps}",
        )


def weights(recipe: Recipe, index: int, stage: GrpoStage) -> Iterator[Issue]:
    """At least one reward or reward model has a weight."""
    if not any(spec.weight for spec in stage.rewards) and not stage.scored_tasks:
        message = "every weight is 0, so every reward is 0; give one a weight"
        yield Issue(("stages", index, "rewards"), message)


def algorithm(recipe: Recipe, index: int, stage: GrpoStage) -> Iterator[Issue]:
    """What the algorithm names is there, and fits how completions are sampled."""
    yield from check_algorithm(stage.algorithm, stage.rollout, ("stages", index, "algorithm"))
    yield from check_staleness(stage.algorithm, stage.rollout, ("stages", index))
    yield from check_interrupted_adapter(stage.rollout, trains_adapter=stage.lora is not None, place=("stages", index))
    yield from check_order(stage.rollout, stage.trainer, ("stages", index))


def process(recipe: Recipe, index: int, stage: GrpoStage) -> Iterator[Issue]:
    """Steps are scored where an algorithm needs it, by a model that is there."""
    place: Place = ("stages", index)
    chosen = stage.process
    if chosen is None:
        if stage.algorithm.advantages in PROCESS_ADVANTAGES:
            message = f"{stage.algorithm.type} gives credit to steps, and nothing scores them; write `process: {{stage: NAME}}`"
            yield Issue((*place, "algorithm"), message)
        return
    yield from step_scorer(recipe, index, chosen, (*place, "process"))
    if stage.algorithm.advantages not in PROCESS_ADVANTAGES and not chosen.weight:
        told = f"has no effect with {stage.algorithm.type} and weight 0; write a weight, or one of: {', '.join(PROCESS_ADVANTAGES)}"
        yield Issue((*place, "process"), told)
    if stage.algorithm.advantages == "vine" and chosen.completions is None:
        yield Issue(
            (*place, "process"), "vine needs values of prefixes, and not a model's scores; write `completions: 9`"
        )


def _work(stage: GrpoStage) -> str:
    batch = stage.rollout.problems_per_step * stage.rollout.generations
    steps = stage.trainer.get("max_steps", -1)
    count = f"{steps} steps of " if steps > 0 else "steps of "
    most = f"at most {batch * stage.rollout.max_completion_tokens:,} tokens per step"
    return f"{count}{stage.rollout.problems_per_step} x {stage.rollout.generations} completions, {most}"


def _batch(stage: GrpoStage) -> tuple[int, int]:
    return stage.micro_batch, stage.rollout.max_prompt_tokens + stage.rollout.max_completion_tokens


KIND = StageKind(
    name="grpo",
    fields=GrpoStage,
    sentence="RL by group relative policy optimization on verifiable rewards",
    takes="problems",
    leaves="policy",
    files="a policy, rollouts",
    trains=True,
    work=_work,
    run=run,
    batch=_batch,
    holds_reference=lambda stage: bool(stage.algorithm.beta) and stage.lora is None,
    trainer=TrainerKeys(
        "trl",
        "trainer/grpo_config.py",
        "GRPOConfig",
        {
            **OWNED_BY_ALGORITHM,
            "num_generations": "write `generations` under `rollout`",
            "max_completion_length": "write `max_completion_tokens` under `rollout`",
            "temperature": "write `temperature` under `rollout`",
            "top_p": "write `top_p` under `rollout`",
            "top_k": "write `top_k` under `rollout`",
            "use_vllm": "write `engine` under `rollout`",
            "vllm_mode": "write `engine` under `rollout`",
            "per_device_train_batch_size": "write `micro_batch` beside `trainer`",
            "gradient_accumulation_steps": "it follows from problems_per_step, generations, micro_batch and processes",
            "steps_per_generation": "each optimizer step has rollouts of its own",
            "generation_batch_size": "it follows from problems_per_step and generations",
            "reward_weights": "write `weight` under each reward",
            "neftune_noise_alpha": "the trainer would compute log-probs of another policy than the one that sampled; leave it out",
            "chat_template_kwargs": "write `thinking_fraction` under `rollout`",
        },
        learning_rate=1e-6,
    ),
    lint=lambda stage: LintIntent(stage.rollout.max_prompt_tokens),
    checks=(batches, checkpoints, weights, algorithm, process, scorers),
)
