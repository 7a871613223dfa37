"""Evaluator: samples a policy's answers with an engine, and judges their correctness and format.

Neighbours: job.py (both modes), sweep/job.py (thinking budgets), measures/ (figures).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from alignment.core.progress import Progress
from alignment.core.vocabulary import MODES, Mode
from alignment.data.rows import Problem
from alignment.evaluation.measures.outcomes import Outcome, fraction
from alignment.inference.engine import Generation, GenerationRequest, SamplingSettings, in_order, request_seed
from alignment.inference.sampler import Sampler
from alignment.inference.start import Serving, serve
from alignment.recipe.evaluation import Evaluations
from alignment.recipe.rewards import Reward
from alignment.rollout.sampler import RolloutRequest, TrajectorySampler
from alignment.rollout.scoring import Judged, Scorer
from alignment.rollout.trajectory import Trajectory

# Each problem is graded by the one of CORRECTNESS that applies to it: by its answer, its constraints or its tests.
CORRECTNESS = ("math_answer", "instruction", "python_tests")
GRADERS = [
    Reward(kind="math_answer"),
    Reward.model_validate({"kind": "instruction", "all_or_nothing": True}),
    Reward(kind="python_tests"),
    Reward(kind="think_format", weight=0.0),
    Reward(kind="tool_call", weight=0.0),
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
        self._trajectories = TrajectorySampler(self.sampler, settings.environment, settings.max_completion_tokens)

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
            made = self._rolled_out(requests)
            judged += self._scorer.judge([question.problem for question in chunk], made)
            scores = [score for score in map(correctness, judged) if score is not None]
            progress.report(len(judged), correct=fraction([score == 1.0 for score in scores]))
        return judged

    def same_prompts(self, problem: Problem) -> bool:
        """Whether the chat template writes one prompt for both modes, so that the policy cannot know the mode."""
        thinking, plain = (self._trajectories.prompt_ids(problem, mode) for mode in MODES)
        return thinking == plain

    def close(self) -> None:
        """Close the environments, the verifiers and the engine."""
        self._trajectories.close()
        self._scorer.close()

    def _request(self, question: Question, seed: int, place: int) -> RolloutRequest:
        budget = self.settings.thinking_budget
        return RolloutRequest(
            problem=question.problem,
            mode=question.mode,
            flagged=question.flagged,
            budget=budget if question.budget is None else budget.at(question.budget),
            seed=request_seed("evaluation", seed, place),  # the same at every budget: differences are the budget's
        )

    def _rolled_out(self, requests: Sequence[RolloutRequest]) -> list[Trajectory]:
        """A trajectory for each request, in order; each mode is sampled with the settings of its own."""
        made: list[tuple[int, Trajectory]] = []
        for mode in MODES:
            picked = [index for index, request in enumerate(requests) if request.mode == mode]
            asked, how = [requests[index] for index in picked], sampling_settings(self.settings, mode)
            made += zip(picked, self._trajectories.sample(asked, how, self.settings.max_prompt_tokens), strict=True)
        return [trajectory for _, trajectory in sorted(made, key=lambda pair: pair[0])]


def sampling_settings(settings: Evaluations, mode: Mode) -> SamplingSettings:
    """Sampling settings of an evaluation in a mode."""
    chosen = settings.sampling[mode]
    nucleus, likeliest = chosen.get("top_p", 1.0), int(chosen.get("top_k", 0))
    return SamplingSettings(chosen.get("temperature", 0.6), nucleus, likeliest, logprobs=False)


def complete(sampler: Sampler, settings: Evaluations, requests: Sequence[GenerationRequest]) -> list[Generation]:
    """One generation per request, in order; each mode is sampled with the settings of its own."""
    made: list[tuple[int, Generation]] = []
    for mode in MODES:
        picked = [index for index, request in enumerate(requests) if request.mode == mode]
        drawn = sampler.sample([requests[index] for index in picked], sampling_settings(settings, mode))
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
        answer_tokens=made.answer_tokens,
        truncated=made.stop_reason != "end",
        forced=made.forced_tokens > 0,
        calls_right=_calls_right(judged),
        problem=judged.problem.id,
        text=made.text,
    )


def _calls_right(judged: Judged) -> bool | None:
    """Whether exactly the row's calls were made, over all turns; None for a row without reference calls."""
    score = judged.verdicts["tool_call"].score
    return None if score is None else score == 1.0
