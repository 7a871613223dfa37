"""`evaluations`: what is measured after each stage."""

from typing import Any, Literal

from pydantic import Field

from alignment.core.vocabulary import Mode
from alignment.recipe.blocks.engine import Engine, VllmOptions
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.recipe.blocks.sampling import ThinkingBudget
from alignment.recipe.closed import Closed

LEAST_SAMPLES = 4  # of a problem, for the audit `calibration`: with fewer there are hardly any degrees of confidence


class Evaluations(Closed):
    """The block `evaluations` of a recipe."""

    after_each_stage: list[str] = Field(
        [],
        description="Tasks: sources whose held-out problems are answered after every training stage, a task of your own by its path, or `lm_eval:NAME`.",
    )
    base_model: bool = Field(
        False,
        description="Measure the model that the run starts from too, before the first stage, so that what the first stage gains and loses is known.",
    )
    count: int = Field(256, ge=1, description="Problems per task and mode.")
    follow_count: int = Field(
        150, ge=1, description="Problems per mode whose mode is set by the flag alone, to measure think-follow."
    )
    follow_turns: int = Field(
        1,
        ge=1,
        le=16,
        description="User turns of follow_count conversations with random flags, which measure think-follow over several turns; 1 for none.",
    )
    seed: int = Field(1_000_003, description="Seed of procedural tasks.")
    samples: int = Field(1, ge=1, description="Completions per problem.")
    max_prompt_tokens: int = Field(
        1024, ge=1, description="Longest prompt, in tokens; longer ones are truncated from the left."
    )
    max_completion_tokens: int = Field(
        1024, ge=1, description="Longest completion in tokens: thinking and answer of all turns, tool results included."
    )
    engine: Engine = Field(
        VllmOptions(), description="The engine that samples completions; a name is short for its `type`."
    )
    target_lengths: list[int] = Field(
        [], description="Target lengths that questions ask for after every training stage, to measure adherence."
    )
    target_length_count: int = Field(60, ge=1, description="Problems per target length.")
    audits: list[Literal["language", "calibration", "refusals"]] = Field(
        [],
        description="Further figures of the same answers: language is how many of them, thinking included, are in the question's language, "
        "calibration whether answers that most samples of a problem give are right as often, refusals how many decline.",
    )
    paired_prompts: str | None = Field(
        None,
        description="A table of paired prompts whose log-odds are measured after every training stage: `neutral`, or your own by its path.",
    )
    budgets: list[int] = Field([], description="Thinking budgets at which the last stage is evaluated at the end.")
    thinking_budget: ThinkingBudget = Field(
        ThinkingBudget(),
        description="Limits on thinking tokens and their texts; each of `budgets` replaces its `most`.",
    )
    environment: EnvironmentChoice = Field(
        EnvironmentChoice(), description="What answers the policy's turns while it is measured."
    )
    parameters: dict[str, dict[str, Any]] = Field(
        {}, description="Settings that override those of a procedural task's source."
    )
    sampling: dict[Mode, dict[str, float]] = Field(
        {
            "thinking": {"temperature": 0.6, "top_p": 0.95, "top_k": 20},
            "non_thinking": {"temperature": 0.7, "top_p": 0.8, "top_k": 20},
        },
        description="Temperature, top_p and top_k of each mode; the defaults are Qwen3's.",
    )
