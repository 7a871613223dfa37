"""Kind `judge`: the verdict of a model, for what no rule can check.

Three forms: against a reference answer, by six criteria without one, or by a checklist; and `compare_pair` for two
answers, asked in both orders. The model is behind any OpenAI-compatible endpoint (endpoint.py); what it is shown
cannot speak to it (prompt.py); what it says counts only in the shape that was asked for (forms.py).
No verdict, for whatever reason, is a verdict without a score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rewards.contract import Rollout, Verdict
from rewards.kinds.judge.endpoint import Endpoint, Reply, Request, url_problem
from rewards.kinds.judge.forms import (
    CRITERIA,
    Form,
    checklist_form,
    criteria_form,
    pair_form,
    read_checklist,
    reference_form,
)
from rewards.kinds.judge.prompt import Part, TooLong, build, prompt_text

LONGEST_REASONING = 500  # characters of a judge's reasoning that are kept as evidence
COLUMNS: dict[str, tuple[str, ...]] = {"reference": ("answer",), "criteria": (), "checklist": ("checklist",)}

Prompt = str | list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class JudgeOptions:
    """The options of the kind `judge`."""

    form: Literal["reference", "criteria", "checklist"] = "reference"
    base_url: str = "http://127.0.0.1:8000/v1"  # where `vllm serve` listens
    model: str = ""  # left out: the one that the server serves
    api_key_env: str = ""  # the environment variable that holds the key; left out, none is sent
    timeout_seconds: float = 60.0  # a request
    concurrency: int = 8
    retries: int = 3
    max_characters: int = 24_000  # of a request, instructions included
    include_thinking: bool = False
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


@dataclass(frozen=True)
class PairVerdict:
    """Which of two answers is better: `a`, `b` or `tie`; None when it could not be judged."""

    winner: Literal["a", "b", "tie"] | None
    reason: str
    evidence: Mapping[str, Any]


class Judge:
    """Verifier of the kind `judge`: a score from 0 to 1 that a model gave."""

    Options = JudgeOptions
    columns: tuple[str, ...] = ()

    def __init__(self, **options: Any) -> None:
        problem = self.option_problem(**options)
        if problem is not None:
            raise ValueError(problem)
        self.options = one = JudgeOptions(**options)
        self.columns = COLUMNS[one.form]
        self._endpoint = Endpoint(
            one.base_url, one.model, one.api_key_env, one.timeout_seconds, one.concurrency, one.retries
        )

    @staticmethod
    def option_problem(**options: Any) -> str | None:
        """What is wrong with options whose names and types are right, or None."""
        one, found = JudgeOptions(**options), []
        problem = url_problem(one.base_url, sends_key=bool(one.api_key_env))
        if problem is not None:
            found.append(f"base_url cannot be used: {problem}")
        if one.timeout_seconds <= 0 or one.concurrency < 1 or one.retries < 0:
            found.append("timeout_seconds and concurrency must be above zero, and retries not below it")
        if min(one.weights.values()) < 0 or sum(one.weights.values()) <= 0:
            found.append("no weight of a criterion may be below zero, and one has to be above")
        if one.max_characters < 4000:
            found.append("max_characters must be at least 4000, of which the instructions take about half")
        return "; ".join(found) or None

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout. An empty answer is not asked about: it scores 0."""
        asked: list[tuple[Form, Mapping[str, Any], Request] | Verdict] = [self._question(one) for one in rollouts]
        replies = iter(self._endpoint.ask([one[2] for one in asked if not isinstance(one, Verdict)]))
        return [
            one if isinstance(one, Verdict) else _verdict(one[0], {**self._said(), **one[1]}, next(replies))
            for one in asked
        ]

    def close(self) -> None:
        """Nothing to end: connections are closed after each batch."""

    def compare_pair(self, prompt: Prompt, a: str, b: str) -> PairVerdict:
        """Which of two answers is better. Asked in both orders; where these disagree, it is a tie."""
        form, requests, facts = pair_form(), [], {}
        for first, second in ((a, b), (b, a)):
            parts = [Part("QUESTION", prompt_text(prompt)), Part("RESPONSE_1", first), Part("RESPONSE_2", second)]
            try:
                built = build(form.task, parts, form.reply, self.options.max_characters)
            except TooLong as error:
                return PairVerdict(None, "too_long", {"part": str(error).lower()})
            requests.append(Request(built.messages, form.schema, form.read))
            facts = dict(built.facts)
        replies = self._endpoint.ask(requests)
        failed = next((one for one in replies if one.value is None), None)
        if failed is not None:
            return PairVerdict(None, failed.reason, {**self._said(), **failed.facts})
        seen = [str(one.value["better"]) for one in replies]
        names: tuple[dict[str, Literal["a", "b"]], ...] = (
            {"response_1": "a", "response_2": "b"},
            {"response_1": "b", "response_2": "a"},
        )
        chosen = [named.get(better, "tie") for named, better in zip(names, seen, strict=True)]
        evidence = {**self._said(), **facts, "a_first": chosen[0], "b_first": chosen[1]}
        if chosen[0] != chosen[1]:
            return PairVerdict("tie", "orders_disagree", evidence)
        return PairVerdict(names[0].get(seen[0], "tie"), "orders_agree", evidence)

    def _question(self, rollout: Rollout) -> tuple[Form, Mapping[str, Any], Request] | Verdict:
        """What is asked about a rollout, or the verdict where nothing has to be."""
        parts = [Part("QUESTION", prompt_text(rollout.prompt))]
        form = self._form(rollout, parts)
        if isinstance(form, Verdict):
            return form
        if not rollout.answer:
            return Verdict(0.0, "no_answer")
        if self.options.include_thinking and rollout.thinking:
            parts.append(Part("THINKING", rollout.thinking))
        several = len(rollout.messages) > 1  # what was done on the way, tool results included, belongs to the response
        parts.append(Part("RESPONSE", prompt_text(rollout.messages) if several else rollout.answer))
        try:
            built = build(form.task, parts, form.reply, self.options.max_characters)
        except TooLong as error:
            return Verdict(
                None, "too_long", {"part": str(error).lower(), "max_characters": self.options.max_characters}
            )
        return form, built.facts, Request(built.messages, form.schema, form.read)

    def _form(self, rollout: Rollout, parts: list[Part]) -> Form | Verdict:
        """The form that fits a rollout; adds what it needs to the parts. An unusable column is a verdict."""
        if self.options.form == "criteria":
            return criteria_form(self.options.weights)
        if self.options.form == "checklist":
            items = read_checklist(rollout.column("judge", "checklist"))
            if items is None:
                return Verdict(None, "checklist_unusable")
            listed = "\n".join(f"{number}. {item['text']}" for number, item in enumerate(items, 1))
            parts.append(Part("CHECKLIST", listed, whole=True))
            return checklist_form(items)
        reference = rollout.column("judge", "answer")
        if isinstance(reference, bool) or not isinstance(reference, (str, int, float)) or not str(reference).strip():
            return Verdict(None, "reference_unusable")
        parts.append(Part("REFERENCE", str(reference), whole=True))
        return reference_form()

    def _said(self) -> dict[str, Any]:
        """What every verdict's evidence begins with."""
        return {"model": self._endpoint.model, "form": self.options.form}


def _verdict(form: Form, facts: Mapping[str, Any], reply: Reply) -> Verdict:
    if reply.value is None:
        return Verdict(None, reply.reason, {**facts, **reply.facts})
    score, reason, evidence = form.grade(reply.value)
    reasoning = str(reply.value.get("reasoning", ""))[:LONGEST_REASONING]
    return Verdict(score, reason, {**facts, **reply.facts, **evidence, "reasoning": reasoning})
