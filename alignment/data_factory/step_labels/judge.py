"""A judge names the first wrong step of a solution, and says why (LLM-as-a-judge, arXiv 2412.06559, section 4).

The model is behind any OpenAI-compatible endpoint. What it is shown cannot speak to it, and what it says counts only in
the form that was asked for: both are the verifier `judge`'s own. Neighbours: labelling.py, rewards/kinds/judge/.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from alignment.core.errors import EngineError
from alignment.data_factory.step_labels.labelling import Labels
from alignment.recipe.blocks.steps import JudgedSteps
from rewards.kinds.judge.endpoint import Connection, Endpoint, Reply, Request
from rewards.kinds.judge.forms import first_error_form
from rewards.kinds.judge.judgements import Budget, Judgements
from rewards.kinds.judge.prompt import Part, TooLong, build
from rewards.spending import BUDGET_SPENT, Spending

LONGEST_RATIONALE = 2000  # characters that are kept
TOO_LONG = "too_long"
# What is wrong with the way to a judge, and not with what it says.
UNREACHED = ("api_key_missing", "api_key_unusable", "judge_unreachable", "judge_timed_out", "judge_http_error")
MOST_UNREACHED = 0.5  # of the solutions of one call


@dataclass(frozen=True)
class Solution:
    """A question and a solution in steps, as a judge is shown them."""

    question: str
    steps: Sequence[str]
    states: Sequence[str | None] = ()  # of a program: the values of its names after each step


@dataclass(frozen=True)
class Critique:
    """The labels that follow from a judge's answer, and its rationale; without an answer, the reason and no labels."""

    labels: Labels
    rationale: str = ""
    reason: str = ""


class StepJudge:
    """Asks a model for the first wrong step of solutions. judgements: the file that keeps what it says; None: memory."""

    def __init__(self, method: JudgedSteps, judgements: Path | None = None) -> None:
        self._most, self._judgements = method.max_characters, Judgements(judgements, _budget(method))
        self._endpoint = Endpoint(
            Connection(
                method.base_url,
                method.model,
                method.api_key_env,
                method.timeout_seconds,
                method.concurrency,
                method.retries,
            ),
            self._judgements,
        )

    @property
    def model(self) -> str:
        """The judge's name; the one that its server told, where none was given and it was asked something."""
        return self._endpoint.model or self._endpoint.connection.base_url

    def spent_in_all(self) -> Spending:
        """What was asked and spent by all processes that kept judgements in this file."""
        return self._judgements.spent_in_all()

    def critiques(self, solutions: Sequence[Solution]) -> list[Critique]:
        """One critique for each solution, in order. What goes wrong is a critique without labels.

        Raises EngineError where nothing is left to spend, and where the judge cannot be reached for most solutions.
        """
        requests = [self._request(one) for one in solutions]
        answered = self._endpoint.ask([one for one in requests if one is not None])
        self._refuse_unanswered(answered)
        replies = iter(answered)
        found = []
        for solution, request in zip(solutions, requests, strict=True):
            unknown = Labels([None] * len(solution.steps))
            if request is None:
                found.append(Critique(unknown, reason=TOO_LONG))
                continue
            reply = next(replies)
            if reply.value is None:
                found.append(Critique(unknown, reason=reply.reason))
                continue
            rationale = str(reply.value.get("reasoning", ""))[:LONGEST_RATIONALE]
            found.append(Critique(labels_before(reply.value["first_wrong_step"], len(solution.steps)), rationale))
        return found

    def _refuse_unanswered(self, replies: Sequence[Reply]) -> None:
        """An infrastructure fault is no label: what is not there, or not paid for, is asked again when the stage resumes."""
        where = self._endpoint.connection.base_url
        unpaid = [one for one in replies if one.reason == BUDGET_SPENT]
        if unpaid:
            spent = ", ".join(f"{name} {one}" for name, one in unpaid[0].facts.items() if name != "attempts")
            raise EngineError(
                f"the judge at {where} has spent its budget ({spent}), and {len(unpaid)} of {len(replies)} solutions are not "
                "judged; raise max_tokens_total or max_cost and run again: what was judged is kept, and not paid for again"
            )
        lost = [one for one in replies if one.reason in UNREACHED]
        if replies and len(lost) > MOST_UNREACHED * len(replies):
            ((reason, _),) = Counter(one.reason for one in lost).most_common(1)
            detail = ", ".join(f"{name} {one}" for name, one in lost[0].facts.items())
            raise EngineError(
                f"the judge at {where} did not answer for {len(lost)} of {len(replies)} solutions: {reason} ({detail}); see that "
                "it is up and that its key is in the variable that api_key_env names, and run again: what was judged is kept"
            )

    def _request(self, solution: Solution) -> Request | None:
        form = first_error_form(len(solution.steps), with_states=any(solution.states))
        numbered = "\n\n".join(_numbered(solution))
        parts = [Part("QUESTION", solution.question), Part("SOLUTION", numbered, whole=True)]
        try:
            built = build(form.task, parts, form.reply, self._most)
        except TooLong:
            return None
        return Request(built.messages, form.schema, form.read, built.marker)


def _budget(method: JudgedSteps) -> Budget:
    return Budget(
        method.max_tokens_total, method.max_cost, method.price_per_million_input, method.price_per_million_output
    )


def _numbered(solution: Solution) -> Iterator[str]:
    """The steps with their numbers, each with the values of the program's names after it, where it was run."""
    states = solution.states or [None] * len(solution.steps)
    for number, (text, state) in enumerate(zip(solution.steps, states, strict=True), 1):
        yield f"Step {number}: {text}" + (f"\nValues after step {number}: {state}" if state else "")


def labels_before(first_wrong: int, steps: int) -> Labels:
    """Labels of a solution whose first wrong step has this number, from 1; 0 if every step is right."""
    if not first_wrong:
        return Labels([1.0] * steps)
    return Labels([*[1.0] * (first_wrong - 1), 0.0, *[None] * (steps - first_wrong)])
