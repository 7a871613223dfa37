"""`evaluations`: what is measured after each stage."""

from typing import Any, Literal

from pydantic import Field

from alignment.core.vocabulary import Mode
from alignment.recipe.closed import Closed
from alignment.recipe.sampling import ThinkingBudget


class Evaluations(Closed):
    after_each_stage: list[str] = Field(
        [],
        description="Sources whose problems are answered after every training stage; nothing is ever trained on them.",
    )
    count: int = Field(256, ge=1, description="Problems per task and mode.")
    follow_count: int = Field(
        150, ge=1, description="Problems per mode that are asked by flag alone, to measure think-follow."
    )
    follow_turns: int = Field(
        1,
        ge=1,
        le=16,
        description="User turns of the conversations, follow_count in number and with random flags, that measure think-follow beside single prompts; 1 for none.",
    )
    seed: int = Field(1_000_003, description="Where procedural tasks start.")
    samples: int = Field(1, ge=1, description="Completions per problem.")
    max_prompt_tokens: int = Field(1024, ge=1, description="Longest prompt; longer ones are cut from the left.")
    max_completion_tokens: int = Field(1024, ge=1, description="Longest completion, thinking and answer together.")
    engine: Literal["auto", "vllm", "transformers"] = Field("auto", description="What samples the completions.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="What the engine computes in; auto is float32 on a CPU and bfloat16 on a GPU."
    )
    target_lengths: list[int] = Field(
        [], description="Thinking lengths that questions ask for after every training stage, to measure adherence."
    )
    target_length_count: int = Field(60, ge=1, description="Problems that are asked with each of target_lengths.")
    budgets: list[int] = Field([], description="Thinking budgets at which the last stage is evaluated at the end.")
    thinking_budget: ThinkingBudget = Field(
        ThinkingBudget(),
        description="How long an answer may and must think, and what ends it; its most gives way to each of budgets.",
    )
    parameters: dict[str, dict[str, Any]] = Field(
        {}, description="Settings of a procedural task that differ from its source's own."
    )
    sampling: dict[Mode, dict[str, float]] = Field(
        {
            "thinking": {"temperature": 0.6, "top_p": 0.95, "top_k": 20},
            "non_thinking": {"temperature": 0.7, "top_p": 0.8, "top_k": 20},
        },
        description="Temperature, top_p and top_k of each mode; the defaults are Qwen3's.",
    )
