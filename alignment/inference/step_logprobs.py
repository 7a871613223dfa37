"""PolicyLogprobs: scores each step by the probabilities that a policy gives its tokens. No labels, no training.

What the policy would hardly have written itself is likely to be a slip; what it believes wrongly, it gives a high
score. An implicit process reward model without a reference (arXiv 2412.01981) is such a score. Neighbours:
process_model.py (trained models), frozen_policy.py (log-probs), recipe/blocks/process.py (the settings).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from transformers import AutoTokenizer

from alignment.core.precision import Precision
from alignment.data.chat.template import inert, render_prompt
from alignment.data.steps.definition import StepRule
from alignment.inference.frozen_policy import FrozenPolicy, language_model_config
from alignment.inference.process_model import Solution
from alignment.recipe.blocks.process import StepLogprob
from rewards.contract import THINK_CLOSE, THINK_OPEN

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Span = tuple[int, int]


@dataclass(frozen=True)
class _Read:
    """A solution as the policy reads it. tokens_of_step: places in token_ids."""

    prompt_ids: list[int]
    token_ids: list[int]
    tokens_of_step: list[list[int]]


class PolicyLogprobs:
    """A policy from a folder or hub id as a scorer of steps. Implements StepModel.

    how: `minimum`, the probability of a step's least likely token; `mean`, the geometric mean over its tokens.
    Raises ArtifactError if the folder has no policy.
    """

    def __init__(
        self,
        policy: str,
        how: StepLogprob,
        rule: StepRule,
        precision: Precision = "auto",
        *,
        trust_remote_code: bool = False,
    ) -> None:
        lack = "which gives text no log-probs; name a policy"
        config = language_model_config(policy, lack, trust_remote_code=trust_remote_code)
        self.name, self.rule, self._how = Path(policy).name, rule, how
        self._tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            policy, trust_remote_code=trust_remote_code
        )
        self._longest = int(getattr(config.get_text_config(), "max_position_embeddings", 1 << 30))
        self._policy = FrozenPolicy(policy, precision, trust_remote_code=trust_remote_code)

    def scores(self, solutions: Sequence[Solution]) -> list[list[float] | None]:
        """See StepModel. The prompt is rendered as for thinking, and a solution without its completion as a policy writes it."""
        read = [self._read(one) for one in solutions]
        lengths = [len(one.prompt_ids) + len(one.token_ids) for one in read]
        fits = [place for place, one in enumerate(read) if one.tokens_of_step and lengths[place] <= self._longest]
        logprobs = self._policy.logprobs([(read[place].prompt_ids, read[place].token_ids) for place in fits])
        found = dict(zip(fits, logprobs, strict=True))
        return [
            [self._score([found[place][token] for token in tokens]) for tokens in one.tokens_of_step]
            if place in found or not one.tokens_of_step
            else None
            for place, one in enumerate(read)
        ]

    def close(self) -> None:
        """Free the policy."""
        del self._policy

    def _read(self, solution: Solution) -> "_Read":
        prompt_ids = render_prompt(self._tokenizer, solution.prompt, "thinking", flagged=False)
        text, spans = solution.completion, solution.spans
        if text is None:
            opened = self._tokenizer.decode(prompt_ids).rstrip().endswith(THINK_OPEN)
            steps = [inert(one, self._tokenizer) for one in solution.steps]
            between = "\n\n" if self.rule.by == "blank_line" else "\n"
            text, spans = written(steps, solution.thinking_steps, between, opened=opened)
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return _Read(prompt_ids, encoded["input_ids"], tokens_of(spans, encoded["offset_mapping"]))

    def _score(self, logprobs: Sequence[float]) -> float:
        if not logprobs:
            return 1.0  # nothing was written
        return math.exp(min(logprobs) if self._how == "minimum" else sum(logprobs) / len(logprobs))


def written(steps: Sequence[str], thinking_steps: int, between: str, *, opened: bool) -> tuple[str, list[Span]]:
    """Steps as a policy writes them, the first `thinking_steps` in a think block, and where each stands. opened: by the prompt."""
    text, spans = f"{THINK_OPEN}\n" if thinking_steps and not opened else "", []
    for place, step in enumerate(steps):
        if place:
            text += f"\n{THINK_CLOSE}\n\n" if place == thinking_steps else between
        spans.append((len(text), len(text) + len(step)))
        text += step
    return text, spans


def tokens_of(spans: Iterable[Span], offsets: Sequence[Span]) -> list[list[int]]:
    """The tokens that have a character of each span. One that holds a step's end and the line break after it is the step's."""
    return [
        [place for place, (first, last) in enumerate(offsets) if first < end and last > start] for start, end in spans
    ]
