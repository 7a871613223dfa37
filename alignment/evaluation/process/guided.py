"""Accuracy of beam search by scores of steps, beside the tokens that it samples.

Neighbours: rollout/guided.py (the search), candidates.py (whole samples for best of N), job.py.
"""

from collections.abc import Sequence

from alignment.core.statistics.intervals import flags_estimate
from alignment.core.vocabulary import Mode
from alignment.data.rows import Problem
from alignment.evaluation.answering import Evaluator, sampling_settings
from alignment.evaluation.grading import correctness
from alignment.inference.engine import request_seed
from alignment.inference.process_model import StepModel
from alignment.recipe.blocks.search import BeamSearch
from alignment.records.process import SearchedAnswers
from alignment.rollout.episode import RolloutRequest
from alignment.rollout.guided import GuidedSampler


def searched_answers(
    evaluator: Evaluator, model: StepModel, problems: Sequence[Problem], search: BeamSearch, mode: Mode, seed: int
) -> SearchedAnswers:
    """One searched answer to each problem. Those whose correctness is unknown are left out of the accuracy."""
    settings = evaluator.settings
    guided = GuidedSampler(evaluator.trajectories, model, search, settings.max_completion_tokens)
    asked = [
        RolloutRequest(problem, mode, seed=request_seed("search", seed, place))
        for place, problem in enumerate(problems)
    ]
    found = guided.sample(asked, sampling_settings(settings, mode))
    judged = evaluator.judged(problems, [one.trajectory for one in found])
    known = [score == 1.0 for score in map(correctness, judged) if score is not None]
    return SearchedAnswers(
        beams=search.beams,
        expansions=search.expansions,
        accuracy=flags_estimate(known),
        mean_tokens=round(sum(one.tokens for one in found) / len(found), 1),
        answers=len(known),
        unfinished=sum(one.trajectory.stop_reason != "end" for one in found),
    )
