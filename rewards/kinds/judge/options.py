"""The options of the kind `judge`, and what can be wrong with them together. Neighbour: verifier.py (uses them)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rewards.kinds.judge.endpoint import REPLY_TOKENS
from rewards.kinds.judge.forms import CRITERIA
from rewards.kinds.judge.rubric import MOST_CRITERIA, Aggregate, read_rubric
from rewards.kinds.judge.skill import SkillUnusable, read_skill
from rewards.kinds.judge.skill_tools import SkillVerifiers
from rewards.posting import url_fault

LEAST_CHARACTERS = 4000


@dataclass(frozen=True, kw_only=True)
class JudgeOptions:
    """The options of the kind `judge`."""

    form: Literal["reference", "criteria", "checklist", "rubric", "skill"] = "reference"
    base_url: str = "http://127.0.0.1:8000/v1"  # where `vllm serve` listens
    model: str = ""  # left out: the one that the server serves
    api_key_env: str = ""  # the environment variable that holds the key; left out, none is sent
    timeout_seconds: float = 60.0  # a request
    concurrency: int = 8
    retries: int = 3
    patience_seconds: float = 0.0  # a server that is not there is waited for, beyond the retries
    temperature: float = 0.0
    reply_tokens: int = REPLY_TOKENS
    reasoning: bool = True  # asked for before the verdict
    max_characters: int = 24_000  # of a request, instructions included
    include_thinking: bool = False
    rubric: list = field(default_factory=list)  # type: ignore[type-arg]  # of every row; left out, each has its own
    aggregate: Aggregate = "weighted"  # how a rubric becomes a score
    skill: str = ""  # the folder of `form: skill`
    judgements: str = ""  # the file that keeps them; left out, they are kept in memory
    max_tokens_total: int = 0  # of prompts and replies; 0 is no limit, here and below
    max_cost: float = 0.0  # in the unit of the prices
    price_per_million_input: float = 0.0
    price_per_million_output: float = 0.0
    truthfulness_weight: float = 1.0
    helpfulness_weight: float = 1.0
    conciseness_weight: float = 1.0
    relevance_weight: float = 1.0
    harmlessness_weight: float = 1.0
    debiasing_weight: float = 1.0

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each criterion."""
        return {name: float(getattr(self, f"{name}_weight")) for name in CRITERIA}


def fault_of(one: JudgeOptions) -> str | None:
    """What is wrong with options whose names and types are right, or None."""
    found = [*_asking_faults(one), *_budget_faults(one), *_form_faults(one)]
    return "; ".join(found) or None


def _asking_faults(one: JudgeOptions) -> list[str]:
    found = []
    fault = url_fault(one.base_url, sends_key=bool(one.api_key_env))
    if fault is not None:
        found.append(f"base_url cannot be used: {fault}")
    if one.timeout_seconds <= 0 or one.concurrency < 1 or one.retries < 0:
        found.append("timeout_seconds and concurrency must be above zero, and retries not below it")
    if one.patience_seconds < 0:
        found.append("patience_seconds must not be below zero")
    if not 0 <= one.temperature <= 2 or one.reply_tokens < 1:
        found.append("temperature must be from 0 to 2, and reply_tokens at least 1")
    if one.max_characters < LEAST_CHARACTERS:
        found.append(f"max_characters must be at least {LEAST_CHARACTERS}, of which the instructions take about half")
    return found


def _budget_faults(one: JudgeOptions) -> list[str]:
    amounts = (one.max_tokens_total, one.max_cost, one.price_per_million_input, one.price_per_million_output)
    if any(not 0 <= amount < float("inf") for amount in amounts):
        return ["max_tokens_total, max_cost and prices must be 0 or above"]
    if one.max_cost and not (one.price_per_million_input or one.price_per_million_output):
        return ["max_cost needs price_per_million_input or price_per_million_output, or everything costs nothing"]
    return []


def _form_faults(one: JudgeOptions) -> list[str]:
    found = _skill_faults(one)
    if min(one.weights.values()) < 0 or sum(one.weights.values()) <= 0:
        found.append("no weight of a criterion may be below zero, and one has to be above")
    if one.rubric and one.form != "rubric":
        found.append("rubric is read by `form: rubric` alone")
    if one.rubric and read_rubric(one.rubric) is None:
        found.append(
            f"rubric must be a list of 1 to {MOST_CRITERIA} texts or {{text, weight, severity}}, severity one of minor, major, "
            "critical, with a weight above 0"
        )
    return found


def _skill_faults(one: JudgeOptions) -> list[str]:
    if bool(one.skill) != (one.form == "skill"):
        return ["`form: skill` and the folder in `skill` belong together; write both or neither"]
    if not one.skill:
        return []
    try:
        SkillVerifiers(read_skill(Path(one.skill))).close()
    except SkillUnusable as error:
        return [f"skill: {error}"]
    return []
