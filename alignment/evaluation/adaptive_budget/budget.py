"""A thinking budget for each prompt: what adaptive.json says, and the budget it gives a prompt. Light.

A probe says how hard a prompt looks: its length in tokens, which costs nothing, or how often a few answers without
thinking agree, which costs their tokens. Neighbours: adaptive_fit.py (learns the budgets from a sweep),
adapt_command.py (`alignment adapt`); commands/chat.py and serve/middleware.py use what it wrote.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from alignment.core.errors import OptionError
from alignment.core.files import write_json
from rewards.kinds.math_answer.verifier import MathAnswer
from rewards.vote import answer_groups

FILE = "adaptive.json"
ProbeKind = Literal["prompt_tokens", "agreement"]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Probe(Part):
    """What is known of a prompt before it is thought about."""

    kind: ProbeKind = Field(description="The prompt's length, or the agreement of answers without thinking.")
    samples: int = Field(
        0, ge=0, le=64, description="Answers without thinking whose agreement is taken; 0 for a length."
    )

    sampling: dict[str, float] = Field({}, description="temperature, top_p and top_k of these answers.")

    @model_validator(mode="after")
    def _samples_are_drawn_where_they_are_used(self) -> "Probe":
        if (self.kind == "agreement") != (self.samples >= 2):
            raise ValueError("agreement needs two samples or more, and a length none")
        return self

    @property
    def described(self) -> str:
        return "prompt length" if self.kind == "prompt_tokens" else f"agreement of {self.samples} answers"


class Bin(Part):
    """Prompts whose probe lies above the bin before and not above `up_to` think for `budget` tokens."""

    up_to: float | None = Field(description="The largest value of the probe that belongs here; null in the last bin.")
    budget: int = Field(ge=0, description="Thinking tokens.")
    problems: int = Field(ge=0, description="How many fitted problems were here.")


class AdaptiveBudget(Part):
    """adaptive.json, version 1."""

    schema_version: Literal[1] = Field(1, alias="schema", description="The version of this form.")
    stage: str = Field(description="The stage whose policy was measured.")
    policy: str = Field(description="The hash of that policy.")
    task: str = Field(description="The task it was measured on.")
    probe: Probe = Field(description="What decides the bin.")
    bins: list[Bin] = Field(min_length=1, description="In the order of the probe's values.")
    target: dict[str, float] = Field(description="What it was fitted to: {accuracy} or mean {tokens}.")
    fitted: dict[str, Any] = Field(description="Figures on the problems it was fitted on.")
    held_out: dict[str, Any] = Field(description="Figures on problems it has not seen, beside fixed budgets.")

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @model_validator(mode="after")
    def _bins_are_in_order(self) -> "AdaptiveBudget":
        ends = [one.up_to for one in self.bins]
        known = [end for end in ends[:-1] if end is not None]
        if ends[-1] is not None or len(known) < len(ends) - 1 or known != sorted(set(known)):
            raise ValueError("bins: every `up_to` has to be larger than the one before, and the last one null")
        return self

    def budget_for(self, value: float) -> int:
        """The budget of a prompt whose probe has this value."""
        return next(one.budget for one in self.bins if one.up_to is None or value <= one.up_to)

    def warning_for(self, policy: str) -> str | None:
        """What there is to say where another policy is asked than the one that was measured; None where it is the same."""
        if policy == self.policy:
            return None
        return f"the adaptive budget was fitted on another policy ({self.stage}, {self.policy[:12]}); measure this one"

    def write(self, path: Path) -> None:
        write_json(path, self.model_dump(mode="json", by_alias=True))


def load_adaptive(path: Path) -> AdaptiveBudget:
    """Read adaptive.json. Raises OptionError that says what is wrong with it."""
    try:
        return AdaptiveBudget.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{path}: cannot be read ({error}); `alignment adapt` writes such a file") from error
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        raise OptionError(f"{path}: this is not what `alignment adapt` writes ({said})") from error


def agreement(groups: Sequence[int | None]) -> float:
    """The share of the samples that give the most frequent answer; a sample without an answer agrees with none."""
    counts = Counter(group for group in groups if group is not None)
    return max(counts.values(), default=0) / len(groups)


def agreement_of(answers: Sequence[str]) -> float:
    """The agreement of answers as a policy wrote them; which are the same is what a vote would say."""
    verifier = MathAnswer()
    try:
        (groups,) = answer_groups([answers], verifier)
    finally:
        verifier.close()
    return agreement(groups)
