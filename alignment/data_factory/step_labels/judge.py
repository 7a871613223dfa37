"""A judge names the first wrong step of a solution, and says why (LLM-as-a-judge, arXiv 2412.06559, section 4).

The model is behind any OpenAI-compatible endpoint. What it is shown cannot speak to it, and what it says counts only in the
form that was asked for: both are the verifier `judge`'s own. Neighbours: labelling.py, rewards/kinds/judge/.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from alignment.data_factory.step_labels.labelling import Labels
from alignment.recipe.steps import JudgedSteps
from rewards.kinds.judge.endpoint import Connection, Endpoint, Request
from rewards.kinds.judge.forms import first_error_form
from rewards.kinds.judge.prompt import Part, TooLong, build

LONGEST_RATIONALE = 2000  # characters that are kept


@dataclass(frozen=True)
class Solution:
    """A question and a solution in steps, as a judge is shown them."""

    question: str
    steps: Sequence[str]


@dataclass(frozen=True)
class Critique:
    """The labels that follow from a judge's answer, and its rationale; without an answer, the reason and no labels."""

    labels: Labels
    rationale: str = ""
    reason: str = ""


class StepJudge:
    """Asks a model for the first wrong step of solutions."""

    def __init__(self, method: JudgedSteps) -> None:
        self._most = method.max_characters
        self._endpoint = Endpoint(
            Connection(
                method.base_url,
                method.model,
                method.api_key_env,
                method.timeout_seconds,
                method.concurrency,
                method.retries,
            )
        )

    def critiques(self, solutions: Sequence[Solution]) -> list[Critique]:
        """One critique for each solution, in order. What goes wrong is a critique without labels."""
        requests = [self._request(one) for one in solutions]
        replies = iter(self._endpoint.ask([one for one in requests if one is not None]))
        found = []
        for solution, request in zip(solutions, requests, strict=True):
            unknown = Labels([None] * len(solution.steps))
            if request is None:
                found.append(Critique(unknown, reason="too_long"))
                continue
            reply = next(replies)
            if reply.value is None:
                found.append(Critique(unknown, reason=reply.reason))
                continue
            rationale = str(reply.value.get("reasoning", ""))[:LONGEST_RATIONALE]
            found.append(Critique(labels_before(reply.value["first_wrong_step"], len(solution.steps)), rationale))
        return found

    def _request(self, solution: Solution) -> Request | None:
        form = first_error_form(len(solution.steps))
        numbered = "\n\n".join(f"Step {number}: {text}" for number, text in enumerate(solution.steps, 1))
        parts = [Part("QUESTION", solution.question), Part("SOLUTION", numbered, whole=True)]
        try:
            built = build(form.task, parts, form.reply, self._most)
        except TooLong:
            return None
        return Request(built.messages, form.schema, form.read, built.marker)


def labels_before(first_wrong: int, steps: int) -> Labels:
    """Labels of a solution whose first wrong step has this number, from 1; 0 if every step is right."""
    if not first_wrong:
        return Labels([1.0] * steps)
    return Labels([*[1.0] * (first_wrong - 1), 0.0, *[None] * (steps - first_wrong)])
