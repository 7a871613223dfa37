"""adaptive.json: a thinking budget for each prompt, and what it saves on held-out problems.

`alignment adapt` writes it; `alignment chat` and `alignment serve` read it with --adaptive. Neighbours:
evaluation/adaptive_budget/ (fits it).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from alignment.core.statistics.estimate import Estimate
from alignment.core.typed_json import INLINE
from alignment.records.file_record import FileRecord

ADAPTIVE = "adaptive.json"
MOST_PROBE_SAMPLES = 64


@dataclass(frozen=True)
class Probe:
    """The estimate of a prompt's difficulty, which is measured before any thinking."""

    kind: Annotated[
        Literal["prompt_tokens", "agreement"], "the prompt's length, or the agreement of answers without thinking"
    ]
    samples: Annotated[int, "answers without thinking whose agreement is taken; 0 for a length"] = 0
    sampling: Annotated[Mapping[str, float], "temperature, top_p and top_k of these answers"] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        if (self.kind == "agreement") != (self.samples >= 2) or self.samples > MOST_PROBE_SAMPLES:
            raise ValueError(f"agreement needs two samples or more, at most {MOST_PROBE_SAMPLES}, and a length none")

    @property
    def described(self) -> str:
        """The probe in words, for messages."""
        return "prompt length" if self.kind == "prompt_tokens" else f"agreement of {self.samples} answers"


@dataclass(frozen=True)
class Bin:
    """Prompts whose probe lies above the bin before and not above `up_to` think for `budget` tokens."""

    up_to: Annotated[float | None, "the largest value of the probe that belongs here; null in the last bin"]
    budget: Annotated[int, "thinking tokens"]
    problems: Annotated[int, "fitted problems that were here"]

    def __post_init__(self) -> None:
        if self.budget < 0 or self.problems < 0:
            raise ValueError("budget and problems have to be 0 or more")


@dataclass(frozen=True)
class Target:
    """The target of the fit: one of the two."""

    accuracy: Annotated[float | None, "reach this with the fewest tokens"] = None
    tokens: Annotated[float | None, "mean tokens, probe included, to stay within"] = None

    def __post_init__(self) -> None:
        if (self.accuracy is None) == (self.tokens is None):
            raise ValueError("a target is an accuracy or a number of tokens")


@dataclass(frozen=True)
class Savings:
    """Accuracy and tokens of the adaptive budget, and tokens of prompt-independent budgets for the same accuracy."""

    accuracy: Annotated[Estimate, "mean accuracy"]
    mean_thinking_tokens: Annotated[Estimate, "mean thinking tokens"]
    mean_probe_tokens: Annotated[Estimate, "mean tokens of the probe"]
    fixed_tokens: Annotated[Estimate, "mean tokens of the best fixed budget of equal accuracy"]
    saved_fraction: Annotated[Estimate, "1 - tokens spent, probe included, / fixed_tokens"]
    random_budget_tokens: Annotated[Estimate, "mean tokens of the best random budgets of the same accuracy"]
    saved_fraction_beside_random: Annotated[Estimate, "1 - tokens spent, probe included, / random_budget_tokens"]


@dataclass(frozen=True)
class FittedFigures:
    """Figures on the fitted problems."""

    problems: Annotated[int, "how many"]
    savings: Annotated[Savings, INLINE]


@dataclass(frozen=True)
class TargetFigures:
    """Figures of the same probe at another target, on the held-out problems."""

    fitted_accuracy: Annotated[float, "the accuracy it reaches on the fitted problems"]
    savings: Annotated[Savings, INLINE]


@dataclass(frozen=True)
class HeldOutFigures:
    """Figures on the held-out problems."""

    problems: Annotated[int, "how many"]
    left_out_unknown: Annotated[int, "problems left out of both halves because a sample could not be judged"]
    promised: Annotated[Mapping[str, float | None], "saved_fraction of each probe in cross-validation; null where it cannot reach the target"]  # fmt: skip
    savings: Annotated[Savings, INLINE]
    other_targets: Annotated[tuple[TargetFigures, ...], "from cheap to expensive"] = ()


@dataclass(frozen=True)
class AdaptiveBudget(FileRecord):
    """A thinking budget for each prompt."""

    stage: Annotated[str, "the stage whose policy was measured"]
    policy: Annotated[str, "the hash of that policy"]
    task: Annotated[str, "the task it was measured on"]
    probe: Annotated[Probe, "what decides the bin"]
    bins: Annotated[tuple[Bin, ...], "in the order of the probe's values"]
    target: Annotated[Target, "what it was fitted to"]
    fitted: Annotated[FittedFigures | None, "on the problems that were fitted"] = None
    held_out: Annotated[HeldOutFigures | None, "on others, beside fixed budgets"] = None
    schema: Annotated[Literal[1], "the version of this form"] = 1

    def __post_init__(self) -> None:
        ends = [one.up_to for one in self.bins]
        known = [end for end in ends[:-1] if end is not None]
        if not ends or ends[-1] is not None or len(known) < len(ends) - 1 or known != sorted(set(known)):
            raise ValueError("bins: every `up_to` has to be larger than the one before, and the last one null")

    def budget_for(self, value: float) -> int:
        """The budget in tokens of a prompt whose probe has this value."""
        return next(one.budget for one in self.bins if one.up_to is None or value <= one.up_to)

    def warning_for(self, policy: str) -> str | None:
        """A warning if the policy with this hash is not the one that was measured; None if it is."""
        if policy == self.policy:
            return None
        return f"the adaptive budget was fitted on another policy ({self.stage}, {self.policy[:12]}); measure this one"
