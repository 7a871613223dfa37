"""Opens what a recipe's `process` names: a process reward model, or a policy whose log-probs are scores.

Neighbours: process_model.py and step_logprobs.py (the two), recipe/blocks/process.py (the settings).
"""

from collections.abc import Callable
from pathlib import Path

from alignment.data.steps.definition import StepRule
from alignment.inference.process_model import ProcessModel, StepModel
from alignment.inference.step_logprobs import PolicyLogprobs
from alignment.recipe.blocks.process import Process


def open_step_model(
    settings: Process, output_of: Callable[[str], Path], *, trust_remote_code: bool = False
) -> StepModel:
    """The scorer of steps. output_of: from a stage's name to its output. Raises ArtifactError if there is none.

    Not for `completions`, which need an engine (training/rl/process_scores.py).
    """
    if settings.policy is not None:
        name, rule = settings.policy_stage, StepRule(settings.steps.by, settings.steps.marker)
        policy = settings.policy if name is None else str(output_of(name))
        return PolicyLogprobs(policy, settings.logprob, rule, trust_remote_code=trust_remote_code)
    model = str(output_of(settings.stage)) if settings.stage is not None else str(settings.model)
    return ProcessModel(model, settings.engine, trust_remote_code=trust_remote_code)
