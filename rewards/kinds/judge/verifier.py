"""Kind `judge`: the verdict of a model, for what no rule can check.

Five forms: against a reference answer, by six criteria without one, by a checklist, a rubric, or a skill; and `compare_pair`
for two answers, asked in both orders. The model is behind any OpenAI-compatible endpoint (endpoint.py); what it is shown
cannot speak to it (prompt.py); what it says counts only in the shape that was asked for (forms.py, rubric.py), and is kept
(judgements.py). No verdict, for whatever reason, is a verdict without a score. Neighbour: options.py.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rewards.contract import Rollout, Verdict, not_applicable
from rewards.kinds.judge.endpoint import Connection, Endpoint, Reply, Request
from rewards.kinds.judge.forms import Form, checklist_form, criteria_form, read_checklist, reference_form
from rewards.kinds.judge.judgements import Budget, Judgements
from rewards.kinds.judge.options import JudgeOptions, fault_of
from rewards.kinds.judge.pairs import Pair, PairVerdict, Prompt, compared
from rewards.kinds.judge.prompt import Part, TooLong, build, prompt_text
from rewards.kinds.judge.rubric import read_rubric, rubric_form, rubric_shown
from rewards.kinds.judge.skill import Skill, read_skill
from rewards.kinds.judge.skill_judge import evidence_form, evidence_parts, missing_evidence, unanswered
from rewards.kinds.judge.skill_tools import Checked, SkillVerifiers, choice_form, offered, picked_names, texts_of
from rewards.kinds.judge.skill_tools import fault_here as skill_fault_here
from rewards.spending import Spending

LONGEST_REASONING = 500  # characters of a judge's reasoning that are kept as evidence
COLUMNS: dict[str, tuple[str, ...]] = {
    "reference": ("answer",),
    "criteria": (),
    "checklist": ("checklist",),
    "rubric": ("rubric",),
    "skill": (),
}

NO_CHOICE = "no_choice"  # nothing is there to pick


@dataclass(frozen=True)
class Plan:
    """How one rollout is asked about: the form, and what it is shown beside question and response."""

    form: Form
    parts: tuple[Part, ...] = ()


class Judge:
    """Verifier of the kind `judge`: a score from 0 to 1 that a model gave."""

    Options = JudgeOptions
    columns: tuple[str, ...] = ()

    def __init__(self, **options: Any) -> None:
        fault = self.option_fault(**options)
        if fault is not None:
            raise ValueError(fault)
        self.options = one = JudgeOptions(**options)
        self.columns = () if one.rubric else COLUMNS[one.form]
        self._skill = read_skill(Path(one.skill)) if one.form == "skill" else None
        self._verifiers: SkillVerifiers | None = None  # started when they are needed
        self._rubric = read_rubric(one.rubric) if one.rubric else None
        connection = Connection(
            one.base_url,
            one.model,
            one.api_key_env,
            one.timeout_seconds,
            one.concurrency,
            one.retries,
            one.patience_seconds,
            one.temperature,
            one.reply_tokens,
        )
        budget = Budget(one.max_tokens_total, one.max_cost, one.price_per_million_input, one.price_per_million_output)
        self._endpoint = Endpoint(connection, Judgements(Path(one.judgements) if one.judgements else None, budget))

    @staticmethod
    def option_fault(**options: Any) -> str | None:
        """What is wrong with options whose names and types are right, or None."""
        return fault_of(JudgeOptions(**options))

    @property
    def model(self) -> str:
        """The model that is asked; empty before the server has said what it serves."""
        return self._endpoint.model

    def spending(self) -> Spending:
        """What this process has asked and spent so far."""
        return self._endpoint.judgements.spending()

    def spent_in_all(self) -> Spending:
        """What was spent by all processes that keep their judgements in the same file."""
        return self._endpoint.judgements.spent_in_all()

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout. An empty answer is not asked about: it scores 0."""
        if self._skill is not None:
            return self._judge_by_skill(self._skill, rollouts)
        return self._verdicts(rollouts, [self._plan(one) for one in rollouts])

    def close(self) -> None:
        """End what the verifiers of a skill started; connections are closed after each batch."""
        if self._verifiers is not None:
            self._verifiers.close()

    def fault_here(self) -> str | None:
        """Why a verifier of the skill cannot judge on this machine, or None."""
        return None if self._skill is None else skill_fault_here(self._skill)

    def _judge_by_skill(self, skill: Skill, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """What the judge picks, what verifiers find, its evidence beside that, and what follows from both."""
        if self._verifiers is None:
            self._verifiers = SkillVerifiers(skill)
        tools = [offered(skill, self._verifiers.usable(one)) if one.answer else [] for one in rollouts]
        choices = [Plan(choice_form(skill, own)) if own else Verdict(None, NO_CHOICE) for own in tools]
        said = [reply for _, reply in self._replies(rollouts, choices)]
        picked = [
            picked_names(own, reply.value if isinstance(reply, Reply) else None)
            for own, reply in zip(tools, said, strict=True)
        ]
        checked = self._verifiers.checked(rollouts, picked)
        plans = [
            unanswered(reply) or missing_evidence(checks) or _evidence_plan(skill, one, names, checks)
            for one, reply, names, checks in zip(rollouts, said, picked, checked, strict=True)
        ]
        verdicts = self._verdicts(rollouts, plans)
        return [
            replace(one, evidence={**one.evidence, "picked": sorted(names)}) if "items" in one.evidence else one
            for one, names in zip(verdicts, picked, strict=True)
        ]

    def _verdicts(self, rollouts: Sequence[Rollout], plans: Sequence[Plan | Verdict]) -> list[Verdict]:
        found = []
        for (facts, reply), plan in zip(self._replies(rollouts, plans), plans, strict=True):
            if isinstance(plan, Verdict):
                found.append(plan)
            elif isinstance(reply, Verdict):
                found.append(reply)
            else:
                found.append(_verdict(plan.form, {**self._said(), **facts}, reply))
        return found

    def _replies(
        self, rollouts: Sequence[Rollout], plans: Sequence[Plan | Verdict]
    ) -> list[tuple[Mapping[str, Any], Reply | Verdict]]:
        """What was sent about each rollout and the reply, or the verdict where nothing has to be asked."""
        asked = [self._question(one, plan) for one, plan in zip(rollouts, plans, strict=True)]
        replies = iter(self._endpoint.ask([one[1] for one in asked if not isinstance(one, Verdict)]))
        return [({}, one) if isinstance(one, Verdict) else (one[0], next(replies)) for one in asked]

    def compare_pair(self, prompt: Prompt, a: str, b: str) -> PairVerdict:
        """Which of two answers is better. Asked in both orders; where these disagree, it is a tie."""
        return self.compare_pairs([Pair(prompt, a, b)])[0]

    def compare_pairs(self, pairs: Sequence[Pair]) -> list[PairVerdict]:
        """`compare_pair` of many pairs, in order."""
        return compared(self._endpoint, self.options, pairs)

    def _question(self, rollout: Rollout, plan: Plan | Verdict) -> tuple[Mapping[str, Any], Request] | Verdict:
        """What is asked about a rollout, or the verdict where nothing has to be."""
        if isinstance(plan, Verdict):
            return plan
        if not rollout.answer:
            return Verdict(0.0, "no_answer")
        form = plan.form if self.options.reasoning else plan.form.without_reasoning()
        parts = [Part("QUESTION", prompt_text(rollout.prompt)), *plan.parts]
        if self.options.include_thinking and rollout.thinking:
            parts.append(Part("THINKING", rollout.thinking))
        parts.append(Part("RESPONSE", _response(rollout)))
        try:
            built = build(form.task, parts, form.reply, self.options.max_characters)
        except TooLong as error:
            return Verdict(
                None, "too_long", {"part": str(error).lower(), "max_characters": self.options.max_characters}
            )
        return built.facts, Request(built.messages, form.schema, form.read, built.marker)

    def _plan(self, rollout: Rollout) -> Plan | Verdict:
        """The form that fits a rollout and what it is shown. An empty or unusable column is a verdict."""
        if self.options.form == "criteria":
            return Plan(criteria_form(self.options.weights))
        for column in self.columns:
            if rollout.column("judge", column) is None:
                return not_applicable(column)
        if self.options.form == "checklist":
            items = read_checklist(rollout.column("judge", "checklist"))
            if items is None:
                return Verdict(None, "checklist_unusable")
            listed = "\n".join(f"{number}. {item['text']}" for number, item in enumerate(items, 1))
            return Plan(checklist_form(items), (Part("CHECKLIST", listed, whole=True),))
        if self.options.form == "rubric":
            rubric = self._rubric or read_rubric(rollout.column("judge", "rubric"))
            if rubric is None:
                return Verdict(None, "rubric_unusable")
            shown = rubric_shown(rubric, weights=self.options.aggregate == "one_grade")
            return Plan(rubric_form(rubric, self.options.aggregate), (Part("RUBRIC", shown, whole=True),))
        reference = rollout.column("judge", "answer")
        if isinstance(reference, bool) or not isinstance(reference, (str, int, float)) or not str(reference).strip():
            return Verdict(None, "reference_unusable")
        return Plan(reference_form(), (Part("REFERENCE", str(reference), whole=True),))

    def _said(self) -> dict[str, Any]:
        """What every verdict's evidence begins with."""
        return {"model": self._endpoint.model, "form": self.options.form}


def _response(rollout: Rollout) -> str:
    """What is judged; of several turns all that was done on the way, tool results included."""
    return prompt_text(rollout.messages) if len(rollout.messages) > 1 else rollout.answer


def _evidence_plan(skill: Skill, rollout: Rollout, picked: Collection[str], checked: Sequence[Checked]) -> Plan:
    """The second question of a skill, beside what was picked and found."""
    texts = texts_of(skill, picked)
    form = evidence_form(skill, texts, checked, _response(rollout))
    return Plan(form, tuple(evidence_parts(skill, texts, checked)))


def _verdict(form: Form, facts: Mapping[str, Any], reply: Reply) -> Verdict:
    if reply.value is None:
        return Verdict(None, reply.reason, {**facts, **reply.facts})
    score, reason, evidence = form.grade(reply.value)
    reasoning = str(reply.value.get("reasoning", ""))[:LONGEST_REASONING]
    return Verdict(score, reason, {**facts, **reply.facts, **evidence, "reasoning": reasoning})
