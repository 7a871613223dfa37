"""`rollout`: how completions are sampled, with modes and a thinking budget.

ThinkingBudget is both a block of a recipe and the value in a generation request. Neighbours:
inference/thinking_budget.py (enforces it), inference/engine.py (the request).
"""

from typing import Any, Literal

from pydantic import Field, model_validator

from alignment.recipe.blocks.engine import Engine, VllmOptions
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.recipe.closed import Closed

QWEN3_STOP_TEXT = (
    "\n\nConsidering the limited time by the user, I have to give the solution based on the thinking directly now."
    "\n</think>\n\n"
)


class ThinkingBudget(Closed):
    """Upper and lower limit on the tokens of a think block, and the texts that enforce them.

    `most` is budget forcing with Qwen3's stop text (arXiv 2505.09388, section 4.3), `least` is s1's wait text (arXiv
    2501.19393). In a recipe, a whole number is short for `most`.
    """

    most: int | None = Field(
        None, ge=0, description="Maximum number of thinking tokens, after which stop_text is forced; default: no limit."
    )
    least: int = Field(
        0, ge=0, description="Minimum number of thinking tokens; an earlier </think> is replaced by wait_text."
    )
    stop_text: str = Field(
        QWEN3_STOP_TEXT, description="The text forced when `most` is reached; it must contain </think>."
    )
    wait_text: str = Field("Wait", description="The text forced in place of a </think> that comes before `least`.")

    @model_validator(mode="before")
    @classmethod
    def _from_a_number(cls, written: Any) -> Any:
        return {"most": written} if isinstance(written, int) and not isinstance(written, bool) else written

    @property
    def bounds_thinking(self) -> bool:
        """Whether the budget may force any text."""
        return self.most is not None or self.least > 0

    def at(self, most: int | None) -> "ThinkingBudget":
        """A copy with another upper limit, and a lower limit that is not above it."""
        return self.model_copy(update={"most": most, "least": self.least if most is None else min(self.least, most)})


class Sampling(Closed):
    """The block `rollout` of a sample stage."""

    engine: Engine = Field(
        VllmOptions(), description="The engine that samples completions; a name is short for its `type`."
    )
    generations: int = Field(8, ge=1, description="Completions per problem.")
    max_prompt_tokens: int = Field(
        1024, ge=1, description="Longest prompt, in tokens; longer ones are left out and counted."
    )
    max_completion_tokens: int = Field(
        1024, ge=1, description="Longest completion in tokens: thinking and answer of all turns, tool results included."
    )
    temperature: float = Field(
        1.0, gt=0, description="Sampling temperature; 1 leaves the policy's distribution unchanged."
    )
    top_p: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Nucleus sampling: sample from the smallest set of tokens with this total probability.",
    )
    top_k: int = Field(0, ge=0, description="Sample from the k most likely tokens; 0 for all.")
    thinking_fraction: float = Field(
        1.0, ge=0, le=1, description="Fraction of problems that are answered in thinking mode."
    )
    flag_fraction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Fraction of problems whose mode is set by a flag; the others use the template's switch.",
    )
    thinking_budget: ThinkingBudget = Field(
        ThinkingBudget(), description="Limits on thinking tokens; a whole number is short for `most`."
    )
    environment: EnvironmentChoice = Field(
        EnvironmentChoice(), description="What answers the policy's turns, such as tools that it may call."
    )


class ProblemOrder(Closed):
    """Which problems a step asks for. In a recipe, a name is short for `by`.

    `reward_variance` learns how often each problem is solved and prefers those that are solved sometimes: sampling for
    learnability (arXiv 2502.12272) with estimates that are learnt on the way (arXiv 2507.04632). `task_variance` does so for
    whole tasks, of which every step tells something, however many problems they have.
    """

    by: Literal["epoch", "reward_variance", "task_variance"] = Field(
        "epoch",
        description="epoch: each once an epoch, in random order; reward_variance: more often those whose completions' rewards vary; "
        "task_variance: more often the tasks whose rewards vary, for many tasks at once.",
    )
    explore: float = Field(
        0.25,
        gt=0,
        le=1,
        description="With reward_variance, the fraction of a step's problems that were never asked before, or longest ago; with "
        "task_variance, the fraction that all tasks have in equal parts.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_a_name(cls, written: Any) -> Any:
        return {"by": written} if isinstance(written, str) else written


class Rollout(Sampling):
    """The block `rollout` of a grpo stage."""

    problems_per_step: int = Field(16, ge=1, description="Problems per optimizer step, over all processes.")
    order: ProblemOrder = Field(
        ProblemOrder(), description="Which problems a step asks for; a name is short for its `by`."
    )
    dynamic_sampling: bool = Field(
        False,
        description="Replace zero-variance groups, whose completions all have the same reward, by new problems, as DAPO does, "
        "until the batch is full over all processes.",
    )
    max_staleness: int = Field(
        0,
        ge=0,
        description="Steps by which the weights that sampled a step's completions may be older than the policy, on engine "
        "vllm_server: 1 samples the next step's while this one trains; k above 1 keeps k steps under way, whose completions "
        "go on over changes of weights.",
    )
    max_logprob_gap: float | None = Field(
        None,
        gt=0,
        description="Largest mean difference between trainer's and engine's log-probs, in nats, above which a stage stops; "
        "default: 0.05, or 0.0002 if both compute in float32.",
    )


class StudentRollout(Sampling):
    """The block `rollout` of a distill stage."""

    generations: int = Field(
        1, ge=1, description="Completions per problem; nothing is compared within a group, so one will do."
    )
    problems_per_step: int = Field(64, ge=1, description="Problems per optimizer step, over all processes.")
    max_logprob_gap: float | None = Field(
        None,
        gt=0,
        description="Largest mean difference between trainer's and engine's log-probs, in nats, above which a stage stops; "
        "default: 0.05, or 0.0002 if both compute in float32.",
    )

    @property
    def dynamic_sampling(self) -> bool:
        """False: every completion teaches something, whatever the others of its problem are like."""
        return False

    @property
    def max_staleness(self) -> int:
        """0: completions are the policy's own."""
        return 0
