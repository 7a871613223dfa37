"""Evaluator: samples a policy's answers with an engine, and judges their correctness and format.

Neighbours: job.py (both modes), sweep/job.py (thinking budgets), measures/ (figures).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from alignment.core.progress import Progress
from alignment.core.vocabulary import MODES, Mode
from alignment.data.rows import Problem
from alignment.data.template import render_prompt
from alignment.evaluation.measures.outcomes import Outcome, fraction
from alignment.inference.engine import Generation, GenerationRequest, SamplingSettings, in_order, request_seed
from alignment.inference.sampler import Sampler
from alignment.inference.start import Serving, serve
from alignment.recipe.evaluation import Evaluations
from alignment.recipe.rewards import Reward
from alignment.rollout.scoring import Judged, Scorer

# Each problem is graded by the one of CORRECTNESS that applies to it: by its answer, its constraints or its tests.
CORRECTNESS = ("math_answer", "instruction", "python_tests")
GRADERS = [
    Reward(kind="math_answer"),
    Reward.model_validate({"kind": "instruction", "all_or_nothing": True}),
    Reward(kind="python_tests"),
    Reward(kind="think_format", weight=0.0),
]
CHUNK = 256  # completions between two progress reports


@dataclass(frozen=True)
class Question:
    """One problem, asked in one mode; flagged as in data/template.py. budget: its most thinking tokens, where a sweep
    says so, in place of the evaluation's own."""

    problem: Problem
    mode: Mode
    flagged: bool
    budget: int | None = None


class Evaluator:
    """One policy in an engine, with graders, ready to answer questions. Use `close` when done."""

    def __init__(self, settings: Evaluations, policy: str, work: str, *, trust_remote_code: bool = False) -> None:
        self.settings, self.work = settings, work
        serving = Serving(
            engine=settings.engine,
            max_prompt_tokens=settings.max_prompt_tokens,
            max_completion_tokens=settings.max_completion_tokens,
            stop_text=settings.thinking_budget.stop_text,
            trust_remote_code=trust_remote_code,
        )
        self.sampler = serve(policy, serving)
        self._scorer = Scorer(GRADERS)
        self._rendered: dict[tuple[str, Mode, bool], list[int]] = {}  # a sweep asks the same questions at every budget

    @property
    def engine(self) -> str:
        """The name of the engine that answers."""
        return self.sampler.engine.name

    def answers(self, questions: Sequence[Question], seed: int, work: str | None = None) -> list[Judged]:
        """One judged completion per question, with progress under the name of the work."""
        progress, judged = Progress(work or self.work, len(questions)), []
        for start in range(0, len(questions), CHUNK):
            chunk = questions[start : start + CHUNK]
            requests = [self._request(question, seed, start + place) for place, question in enumerate(chunk)]
            made = complete(self.sampler, self.settings, requests)
            judged += self._scorer.judge([question.problem for question in chunk], made)
            scores = [score for score in map(correctness, judged) if score is not None]
            progress.report(len(judged), correct=fraction([score == 1.0 for score in scores]))
        return judged

    def same_prompts(self, problem: Problem) -> bool:
        """Whether the chat template writes one prompt for both modes, so that the policy cannot know the mode."""
        thinking, plain = (self._prompt(Question(problem, mode, flagged=False)) for mode in MODES)
        return thinking == plain

    def close(self) -> None:
        """Close the verifiers and the engine."""
        self._scorer.close()

    def _request(self, question: Question, seed: int, place: int) -> GenerationRequest:
        budget = self.settings.thinking_budget
        return GenerationRequest(
            prompt_ids=self._prompt(question),
            mode=question.mode,
            budget=budget if question.budget is None else budget.at(question.budget),
            max_tokens=self.settings.max_completion_tokens,
            seed=request_seed("evaluation", seed, place),  # the same at every budget: differences are the budget's
        )

    def _prompt(self, question: Question) -> list[int]:
        problem = question.problem
        key = (json.dumps([problem.messages, problem.tools]), question.mode, question.flagged)
        if key not in self._rendered:
            ids = render_prompt(
                self.sampler.tokenizer,
                problem.messages,
                question.mode,
                flagged=question.flagged,
                tools=problem.tools,
            )
            self._rendered[key] = ids[-self.settings.max_prompt_tokens :]
        return self._rendered[key]


def complete(sampler: Sampler, settings: Evaluations, requests: Sequence[GenerationRequest]) -> list[Generation]:
    """One generation per request, in order; each mode is sampled with the settings of its own."""
    made: list[tuple[int, Generation]] = []
    for mode in MODES:
        picked = [index for index, request in enumerate(requests) if request.mode == mode]
        chosen = settings.sampling[mode]
        nucleus, likeliest = chosen.get("top_p", 1.0), int(chosen.get("top_k", 0))
        how = SamplingSettings(chosen.get("temperature", 0.6), nucleus, likeliest, logprobs=False)
        drawn = sampler.sample([requests[index] for index in picked], how)
        made += zip(picked, drawn, strict=True)
    return in_order(made)


def correctness(judged: Judged) -> float | None:
    """The score of the grader that a problem is for; None where it could not judge."""
    applicable = [judged.verdicts[name] for name in CORRECTNESS if judged.verdicts[name].applicable]
    return applicable[0].score if applicable else None


def outcome(judged: Judged) -> Outcome:
    """What one judged completion counts for."""
    made, score = judged.completion, correctness(judged)
    return Outcome(
        task=judged.problem.family,
        correct=None if score is None else score == 1.0,
        well_formed=judged.verdicts["think_format"].score == 1.0,
        thinking_tokens=made.thinking_tokens,
        answer_tokens=len(made.token_ids) - made.thinking_tokens,
        truncated=made.stop_reason == "length",
        forced=made.forced_tokens > 0,
        problem=judged.problem.id,
        text=made.text,
    )
