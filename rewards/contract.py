"""The nouns every verifier speaks: Rollout (what is judged), Verdict (what came of it), Verifier (who judges).

Every kind (kinds/) judges Rollouts and returns Verdicts; compose.py weighs Verdicts into one reward.
A Verdict without a score means "could not judge": it is counted and left out, never turned into zero. One that is
not applicable says that the row has nothing for this verifier, as in a mixture of rows with different verifiers.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

from rewards.errors import RewardsError

Mode = Literal["thinking", "non_thinking"]
MODES: tuple[Mode, ...] = get_args(Mode)

THINK_OPEN = "<think>"
THINKING_KEYS = ("reasoning_content", "reasoning", "thinking")  # of parsed messages, by servers and templates
THINK_CLOSE = "</think>"
NOT_APPLICABLE = "not_applicable"
# What verifiers may read that comes from the sampling and not from a dataset's row.
SAMPLED_COLUMNS = frozenset(("mode", "budget", "stop_reason", "forced", "thinking_tokens", "environment_reward"))
_THINK_TAG = re.compile(f"{THINK_OPEN}|{THINK_CLOSE}")


class MissingColumn(RewardsError, ValueError):
    """A verifier needs a dataset column that the batch does not carry."""

    def __init__(self, reward: str, column: str, found: Iterable[str]) -> None:
        self.reward, self.column, self.found = reward, column, tuple(sorted(found))
        has = ", ".join(self.found) or "no columns besides the prompt"
        super().__init__(
            f"reward '{reward}' needs the dataset column '{column}'; the dataset has: {has}. "
            f"Add a column '{column}' to the dataset, or rename the one that holds it."
        )


@dataclass(frozen=True)
class Rollout:
    """One prompt, one completion, and what is known of how it was sampled.

    `completion` is the sampled text with its think tags and without the end-of-turn token; of several turns, the last of
    the assistant's. `messages` are all turns after the prompt as chat messages, tool calls and results included, where
    they are known. `forced` says of each completion token whether it was inserted (a thinking budget's closing words, a
    tool's result) rather than sampled.
    """

    prompt: str | list[dict[str, Any]]
    completion: str
    completion_ids: tuple[int, ...] | None = None
    mode: Mode | None = None
    budget: int | None = None
    stop_reason: str | None = None
    forced: tuple[bool, ...] | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Mapping[str, Any], ...] = ()

    @property
    def thinking(self) -> str:
        """The text inside the think block; empty when the completion has no think tags."""
        return split_thinking(self.completion)[0]

    @property
    def answer(self) -> str:
        """The text after the think block; empty when a block was opened and never closed."""
        return split_thinking(self.completion)[1]

    def column(self, reward: str, name: str) -> Any:
        """This row's value of a dataset column. Raises MissingColumn when the dataset does not have it."""
        if name not in self.columns:
            raise MissingColumn(reward, name, self.columns)
        return self.columns[name]


@dataclass(frozen=True)
class Verdict:
    """A score, or None for "could not judge"; the reason in one machine-readable word; what it was concluded from."""

    score: float | None
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.score is not None and not math.isfinite(self.score):
            raise ValueError(f"a verdict's score must be a finite number or None, not {self.score} ({self.reason})")

    @property
    def applicable(self) -> bool:
        """False where the row, whatever its completion, is not this verifier's to judge."""
        return self.reason != NOT_APPLICABLE


def not_applicable(column: str) -> Verdict:
    """The verdict on a row that has no value in the column a verifier judges by: another verifier's row.

    Give it for what the row lacks, never for what the completion lacks: a completion could do without on purpose.
    """
    return Verdict(None, NOT_APPLICABLE, {"column": column})


class Verifier(Protocol):
    """Judges rollouts. A class that has these three members is a verifier; there is nothing to inherit."""

    columns: tuple[str, ...]  # the dataset columns it reads

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout, in order."""
        ...

    def close(self) -> None:
        """Ends whatever it started. It may be used again afterwards."""
        ...


_END_TOKEN = re.compile(r"(?:<\|[a-z_]{2,20}\|>|</s>|<eos>|<end_of_turn>)$")
_MOST_END_TOKENS = 8


def without_end_tokens(text: str) -> str:
    """A text without the special tokens that end it, where a decoder left them: `<|im_end|>`, `</s>`."""
    for _ in range(_MOST_END_TOKENS):
        kept = text.rstrip()
        found = _END_TOKEN.search(kept[-30:])
        if found is None:
            break
        text = kept[: len(kept) - len(found[0])]
    return text


def content_text(content: Any) -> str:
    """A chat message's content as text: of a list of parts, the texts that are shown, and not those of thinking."""
    if content is None or isinstance(content, str):
        return content or ""
    parts = [{"text": part} if isinstance(part, str) else part for part in content]
    return "".join(str(part.get("text") or "") for part in parts if isinstance(part, Mapping))


def fenced_program(text: str) -> str:
    """A program as a model gives it: in a fence, where it is in none."""
    return text if "```" in text else f"```python\n{text}\n```"


def after_thinking(text: str) -> str:
    """What follows the last `</think>`, or the whole text where there is none; an opening tag in it stays."""
    return text.rpartition(THINK_CLOSE)[2]


def split_thinking(completion: str) -> tuple[str, str]:
    """A completion's thinking and answer, each without surrounding white space.

    The answer is what follows the last tag if that tag closes a block; an open block is thinking to its end. A
    completion that only closes a block (its template opened it in the prompt) thought from its start. One with no
    tags is all answer: either the mode has none, or the template put an empty block into the prompt.
    """
    tags = list(_THINK_TAG.finditer(completion))
    if not tags:
        return "", completion.strip()
    first, answer = tags[0], _answer_start(tags)
    start = first.end() if first.group() == THINK_OPEN else 0
    if answer is None:
        return completion[start:].strip(), ""
    return completion[start : tags[-1].start()].strip(), completion[answer:].strip()


def answer_start(completion: str) -> int | None:
    """Where a completion's answer begins, in characters, by the rule of `split_thinking`; None while it still thinks."""
    return _answer_start(list(_THINK_TAG.finditer(completion)))


def _answer_start(tags: list[re.Match[str]]) -> int | None:
    if not tags:
        return 0
    return None if tags[-1].group() == THINK_OPEN else tags[-1].end()
