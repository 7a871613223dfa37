"""`rollout`: how completions are sampled, with modes and a thinking budget."""

from typing import Literal

from pydantic import Field

from alignment.recipe.closed import Closed

QWEN3_STOP_TEXT = (
    "\n\nConsidering the limited time by the user, I have to give the solution based on the thinking directly now."
    "\n</think>\n\n"
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
