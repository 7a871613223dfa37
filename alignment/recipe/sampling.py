"""`rollout`: how completions are sampled, with modes and a thinking budget.

ThinkingBudget is a recipe's block and the value that a request carries to the engine, whole. Neighbours:
inference/thinking_budget.py (the rule that an engine keeps), inference/engine.py (the request).
"""

from typing import Any, Literal

from pydantic import Field, model_validator

from alignment.recipe.closed import Closed

QWEN3_STOP_TEXT = (
    "\n\nConsidering the limited time by the user, I have to give the solution based on the thinking directly now."
    "\n</think>\n\n"
)


class ThinkingBudget(Closed):
    """How much a completion may and must think, in tokens of its think block, and what is written at the two bounds.

    `most` is budget forcing by Qwen3's stop text (arXiv 2505.09388, section 4.3), `least` the wait text of s1
    (arXiv 2501.19393). In a recipe a whole number is short for `most`.
    """

    most: int | None = Field(
        None, ge=0, description="Thinking tokens after which stop_text ends the thinking; default: no bound."
    )
    least: int = Field(
        0, ge=0, description="Thinking tokens before which wait_text takes the place of </think>; 0 for none."
    )
    stop_text: str = Field(
        QWEN3_STOP_TEXT, description="What is written when `most` is reached; it must hold </think>."
    )
    wait_text: str = Field("Wait", description="What is written in place of a </think> that comes before `least`.")

    @model_validator(mode="before")
    @classmethod
    def _from_a_number(cls, written: Any) -> Any:
        return {"most": written} if isinstance(written, int) and not isinstance(written, bool) else written

    @property
    def bounds_thinking(self) -> bool:
        """Whether anything is written in the policy's place at all."""
        return self.most is not None or self.least > 0

    def at(self, most: int | None) -> "ThinkingBudget":
        """The same texts with another upper bound, and with no lower bound above it."""
        return self.model_copy(update={"most": most, "least": self.least if most is None else min(self.least, most)})


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
    thinking_budget: ThinkingBudget = Field(
        ThinkingBudget(), description="How long a completion may and must think; a whole number is short for its most."
    )
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
