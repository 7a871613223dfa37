"""The blocks that a recipe's stages are put together from: data, rollouts, rewards, adapters, evaluations, hardware.

Neighbour: schema.py, the stages and the whole document.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from alignment.core.vocabulary import Mode, Split

QWEN3_STOP_TEXT = (
    "\n\nConsidering the limited time by the user, I have to give the solution based on the thinking directly now."
    "\n</think>\n\n"
)


class Closed(BaseModel):
    """A part of a recipe: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Hardware(Closed):
    accelerate: str = Field(
        "auto",
        description="A launcher config from recipes/accelerate/ by name, or a path to one; auto takes gpu or cpu.",
    )
    processes: int = Field(1, ge=1, description="Training processes over all machines, one per device.")
    device_memory_gib: float = Field(
        80, gt=0, description="Memory of one device in GiB, which `check` compares its estimate with."
    )


class SourceOverride(Closed):
    path: Path = Field(description="A local file that takes the place of the public data set.")


class DataOverrides(Closed):
    sources: dict[str, SourceOverride] = Field(
        {}, description="Local files for named sources, as in `--set data.sources.gsm8k-train.path=FILE`."
    )
    max_failing_fraction: float = Field(
        0.02,
        ge=0,
        le=1,
        description="The share of a source's sampled references that may fail their own grader before nothing is started.",
    )


class MixturePart(Closed):
    source: str | None = Field(None, description="A source from data/sources/ by name.")
    stage: str | None = Field(
        None, description="A sample or fusion stage of this recipe whose rows are taken, in place of a source."
    )
    count: int | None = Field(None, ge=1, description="How many rows to take; left out, all that there are.")
    split: Split | None = Field(
        None, description="The part of the problem space to draw from; needed for procedural sources."
    )
    seed: int = Field(
        0, description="Where a procedural source starts, and the order in which a file's rows are taken."
    )
    parameters: dict[str, Any] = Field(
        {}, description="Settings of a procedural source that differ from its own, such as max_terms."
    )
    mode: Mode = Field(
        "thinking",
        description="Whether the answers of these rows think; problems for RL take their mode from the rollout.",
    )
    flag_fraction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="The share of rows whose user turn ends with the /think or /no_think flag of their mode.",
    )
    target_lengths: list[int] = Field(
        [], description="Thinking lengths in tokens, one of which each question asks for, in turn."
    )
    max_review_passes: int = Field(
        0,
        ge=0,
        description="How often, at most, a worked solution is gone over again, so that thinking differs in length.",
    )
    length_matched_fraction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="The share of rows gone over as often as the place of their told budget says; the others, by chance.",
    )

    @model_validator(mode="after")
    def _one_origin(self) -> "MixturePart":
        if (self.source is None) == (self.stage is None):
            raise ValueError("a mixture part takes its rows from either `source` or `stage`: write exactly one of them")
        return self


class Lora(Closed):
    rank: int = Field(16, ge=1, description="Rank of the two low-rank matrices added to each target.")
    alpha: int = Field(32, ge=1, description="Scale of the update; it is multiplied by alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on the adapter's input while training.")
    targets: str | list[str] = Field(
        "all-linear", description="The modules that get an adapter, by name, or all-linear."
    )
    train_tokens: list[str] = Field(
        [], description="Tokens whose embeddings are trained beside the adapter, such as <think>."
    )
    adapter: Literal["new", "continue"] = Field(
        "new",
        description="new: on top of the merged policy it starts from; continue: that policy's own adapter goes on.",
    )


class Sampling(Closed):
    engine: Literal["auto", "vllm", "transformers"] = Field(
        "auto", description="What samples the completions; auto takes vllm where it runs."
    )
    generations: int = Field(8, ge=1, description="Completions per problem.")
    max_prompt_tokens: int = Field(1024, ge=1, description="Longest prompt; longer ones are left out and counted.")
    max_completion_tokens: int = Field(1024, ge=1, description="Longest completion, thinking and answer together.")
    temperature: float = Field(1.0, gt=0, description="Sampling temperature; 1 is the policy itself.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus: the smallest set of tokens with this probability.")
    top_k: int = Field(0, ge=0, description="Only the k likeliest tokens; 0 for all.")
    thinking_fraction: float = Field(
        1.0, ge=0, le=1, description="The share of problems that are answered in thinking mode."
    )
    flag_fraction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="The share of problems whose mode is asked for by a flag; the others use the template's switch.",
    )
    budget: int | None = Field(
        None, ge=0, description="Thinking tokens after which thinking is ended from outside; left out, never."
    )
    budget_stop_text: str = Field(
        QWEN3_STOP_TEXT, description="What is written when the budget is reached; it must hold </think>."
    )
    minimum_thinking: int = Field(
        0, ge=0, description="Thinking tokens before which </think> is replaced by wait_text; 0 for none."
    )
    wait_text: str = Field("Wait", description="What is written in place of a </think> that comes too early.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="What the engine computes in; auto is float32 on a CPU and bfloat16 on a GPU."
    )
    gpu_memory_fraction: float = Field(
        0.35, gt=0, lt=1, description="Share of a GPU's memory that vLLM may take beside the trainer."
    )


class Rollout(Sampling):
    problems_per_step: int = Field(16, ge=1, description="Problems per optimizer step, over all processes.")
    dynamic_sampling: bool = Field(
        False, description="Replace problems whose completions all score alike by fresh ones, as DAPO does."
    )
    max_logprob_gap: float | None = Field(
        None,
        gt=0,
        description="Mean distance between trainer's and engine's log-probs, in nats, above which a stage stops; "
        "left out, 0.05, or 0.0002 where both compute in float32.",
    )


class Reward(BaseModel):
    """One verdict that counts. Its own options stand beside these keys and are checked against the verifier."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: str = Field(description="A verifier of rewards/ by name.")
    name: str | None = Field(None, description="What it is called in metrics; left out, its kind.")
    weight: float = Field(1.0, description="What its score is multiplied by before the sum.")
    gate: bool = Field(False, description="Anything less than a full score here makes the whole reward 0.")


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
    budget_stop_text: str = Field(
        QWEN3_STOP_TEXT, description="What is written when a budget is reached; it must hold </think>."
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
