"""Evaluator: samples a policy's answers with an engine, and judges their correctness and format.

Neighbours: job.py (both modes), sweep/job.py (thinking budgets), measures/ (figures).
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from alignment.core.errors import DataError
from alignment.core.progress import Progress
from alignment.core.vocabulary import MODES, Mode
from alignment.data.rows import Problem
from alignment.evaluation.grading import LANGUAGE, Graders, correctness
from alignment.evaluation.outcomes import Outcome, fraction
from alignment.inference.engine import Generation, GenerationRequest, SamplingSettings, request_seed
from alignment.inference.sampler import Sampler
from alignment.inference.start import Serving, serve
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.recipe.blocks.own_task import OwnTask
from alignment.rollout.episode import RolloutRequest
from alignment.rollout.sampler import TrajectorySampler
from alignment.rollout.scoring import Judged
from alignment.rollout.trajectory import Trajectory
from rewards.contract import split_thinking
from rewards.refusal_phrases import refuses

CHUNK = 256  # completions that are judged together, between two progress reports


@dataclass(frozen=True)
class Question:
    """One problem, asked in one mode; flagged as in data/chat/template.py. budget: its most thinking tokens, where a sweep
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
            every_device=True,
        )
        self.sampler = serve(policy, serving)
        self._graders = Graders(settings)
        self._trajectories = self._sampler_in(settings.environment)
        tasks = [task for task in self._graders.tasks.values() if task.environment is not None]
        self._of_task = {task.name: self._sampler_in(task.environment) for task in tasks if task.environment}

    def _sampler_in(self, environment: EnvironmentChoice) -> TrajectorySampler:
        return TrajectorySampler(self.sampler, environment, self.settings.max_completion_tokens)

    def _trajectories_of(self, problem: Problem) -> TrajectorySampler:
        """What runs a problem's rollouts: its task's environment, or the evaluation's."""
        return self._of_task.get(problem.family, self._trajectories)

    @property
    def trajectories(self) -> TrajectorySampler:
        """What samples answers in the evaluation's own environment."""
        return self._trajectories

    def judged(self, problems: Sequence[Problem], made: Sequence[Trajectory]) -> list[Judged]:
        """Answers that were sampled elsewhere, each with its grader's verdict."""
        return self._graders.judge(problems, made)

    @property
    def engine(self) -> str:
        """The name of the engine that answers."""
        return self.sampler.engine.name

    def answers(self, questions: Sequence[Question], seed: int, work: str | None = None) -> list[Judged]:
        """One judged completion per question, with progress under the name of the work."""
        progress, judged = Progress(work or self.work, len(questions)), dict[int, Judged]()
        requests = [self._request(question, seed, place) for place, question in enumerate(questions)]
        finished = self._finished(requests)
        while batch := list(itertools.islice(finished, CHUNK)):
            problems = [questions[index].problem for index, _ in batch]
            verdicts = self._graders.judge(problems, [made for _, made in batch])
            judged |= zip((index for index, _ in batch), verdicts, strict=True)
            scores = [score for score in map(correctness, judged.values()) if score is not None]
            progress.report(len(judged), correct=fraction([score == 1.0 for score in scores]))
        return [judged[index] for index in range(len(questions))]

    def made(self, questions: Sequence[Question], seed: int, work: str) -> list[Trajectory]:
        """One completion per question without a verdict: what `answers` judges, to the same draws."""
        progress, made = Progress(work, len(questions)), dict[int, Trajectory]()
        finished = self._finished([self._request(question, seed, place) for place, question in enumerate(questions)])
        while batch := list(itertools.islice(finished, CHUNK)):
            made |= dict(batch)
            progress.report(len(made))
        return [made[index] for index in range(len(questions))]

    def fitting(self, problems: Sequence[Problem]) -> list[Problem]:
        """The problems whose prompts have at most `max_prompt_tokens`, however they are asked; no prompt is ever cut.

        Raises DataError if none is left: figures of nothing would look like those of a policy.
        """
        most = self.settings.max_prompt_tokens
        lengths = [self._longest_prompt(problem) for problem in problems]
        kept = [problem for problem, length in zip(problems, lengths, strict=True) if length <= most]
        if problems and not kept:
            raise DataError(
                f"all {len(problems)} evaluation problems have prompts of more than max_prompt_tokens {most}; write "
                f"`max_prompt_tokens: {max(lengths)}` under `evaluations`"
            )
        return kept

    def _longest_prompt(self, problem: Problem) -> int:
        """Tokens of a problem's prompt in the mode, and with the flag or without, in which it is longest."""
        return max(
            len(self._trajectories_of(problem).prompt_ids(problem, mode, flagged=flagged))
            for mode in MODES
            for flagged in (True, False)
        )

    def asked(self, problems: Sequence[Problem], mode: Mode) -> list[Problem]:
        """The problems that are asked in a mode, each as often as its task says."""
        repeated: list[Problem] = []
        for problem in problems:
            task = self._graders.tasks.get(problem.family)
            if task is None or mode in task.modes:
                times = self.settings.samples if task is None or task.samples is None else task.samples
                repeated += [problem] * times
        return repeated

    def same_prompts(self, problem: Problem) -> bool:
        """Whether the chat template writes one prompt for both modes, so that the policy cannot know the mode."""
        thinking, plain = (self._trajectories_of(problem).prompt_ids(problem, mode) for mode in MODES)
        return thinking == plain

    def close(self) -> None:
        """Close the environments, the verifiers and the engine."""
        for trajectories in (self._trajectories, *self._of_task.values()):
            trajectories.close()
        self._graders.close()
        self.sampler.engine.close()

    def _request(self, question: Question, seed: int, place: int) -> RolloutRequest:
        budget = self.settings.thinking_budget
        return RolloutRequest(
            problem=question.problem,
            mode=question.mode,
            flagged=question.flagged,
            budget=budget if question.budget is None else budget.at(question.budget),
            seed=request_seed("evaluation", seed, place),  # the same at every budget: differences are the budget's
        )

    def _finished(self, requests: Sequence[RolloutRequest]) -> Iterator[tuple[int, Trajectory]]:
        """`(index of the request, its trajectory)` as each ends; each task and mode has its own settings and environment."""
        groups: dict[tuple[SamplingSettings, TrajectorySampler], list[int]] = {}
        for mode in MODES:
            for index, request in enumerate(requests):
                if request.mode == mode:
                    how = sampling_settings(self.settings, mode, self._graders.tasks.get(request.problem.family))
                    groups.setdefault((how, self._trajectories_of(request.problem)), []).append(index)
        for (how, trajectories), picked in groups.items():
            for place, made in trajectories.finished([requests[index] for index in picked], how):
                yield picked[place], made


def sampling_settings(settings: Evaluations, mode: Mode, task: OwnTask | None = None) -> SamplingSettings:
    """Sampling settings of an evaluation in a mode, with those of a task of one's own on top."""
    chosen = {**settings.sampling[mode], **(task.sampling.get(mode, {}) if task is not None else {})}
    nucleus, likeliest = chosen.get("top_p", 1.0), int(chosen.get("top_k", 0))
    return SamplingSettings(chosen.get("temperature", 0.6), nucleus, likeliest, logprobs=False)


def completed(
    sampler: Sampler, settings: Evaluations, requests: Sequence[GenerationRequest]
) -> Iterator[tuple[int, Generation]]:
    """`(index of the request, its generation)` as each finishes; each mode is sampled with the settings of its own."""
    for mode in MODES:
        picked = [index for index, request in enumerate(requests) if request.mode == mode]
        if not picked:
            continue
        asked = [requests[index] for index in picked]
        for place, made in sampler.generate(asked, sampling_settings(settings, mode)):
            yield picked[place], made


def outcome(judged: Judged) -> Outcome:
    """What one judged completion counts for."""
    made, score = judged.trajectory, correctness(judged)
    return Outcome(
        task=judged.problem.family,
        correct=None if score is None else score == 1.0,
        well_formed=judged.verdicts["think_format"].score == 1.0,
        thinking_tokens=made.thinking_tokens,
        answer_tokens=made.answer_tokens,
        truncated=made.stop_reason in ("length", "turns"),
        forced=made.forced_tokens > 0,
        calls_right=_calls_right(judged),
        repeats_claim=_repeats_claim(judged),
        in_language=_in_language(judged),
        answerable=_said_of_row(judged, "abstention", "answerable"),
        abstained=judged.verdicts["abstention"].reason in ("abstained", "rightly_abstained"),
        should_refuse=_said_of_row(judged, "refusal", "should_refuse"),
        refused=refuses(split_thinking(made.text)[1]),
        problem=judged.problem.id,
        text=made.text,
        fault=bool(made.fault),
    )


def _repeats_claim(judged: Judged) -> bool | None:
    """Whether an answer is what the user wrongly claims; None for a row without such a claim."""
    score = judged.verdicts["claimed"].score
    return None if score is None else score == 1.0


def _in_language(judged: Judged) -> bool | None:
    """Whether answer and thinking are in the question's language; None where nobody asked, or it cannot be told."""
    found = judged.verdicts.get(LANGUAGE)
    return None if found is None or found.score is None else found.score == 1.0


def _said_of_row(judged: Judged, kind: str, name: str) -> bool | None:
    """What a row says by a column that a verifier read, true or false; None for a row that says nothing about it."""
    found = judged.verdicts[kind].evidence.get(name)
    return found if isinstance(found, bool) else None


def _calls_right(judged: Judged) -> bool | None:
    """Whether exactly the row's calls were made, over all turns; None for a row without reference calls."""
    score = judged.verdicts["tool_call"].score
    return None if score is None else score == 1.0
