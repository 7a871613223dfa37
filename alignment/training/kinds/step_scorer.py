"""Checks of `process`, wherever a stage has it: the stages that it names are there and leave what scores steps.

Neighbours: grpo.py and sample.py (the stages), recipe/blocks/process.py (the settings).
"""

from collections.abc import Iterator

from alignment.recipe.blocks.process import Process
from alignment.recipe.issue import Issue, Place, nearest
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe


def step_scorer(recipe: Recipe, index: int, chosen: Process, place: Place) -> Iterator[Issue]:
    """A process reward model, or a policy, of a stage before this one."""
    trained = [other.name for other in recipe.stages[:index] if kind_of(other).leaves == "process_model"]
    if chosen.stage is not None and chosen.stage not in trained:
        message = f"found `{chosen.stage}`, which is no prm stage before this one; {nearest(chosen.stage, trained)}"
        yield Issue((*place, "stage"), message)
    policies = [other.name for other in recipe.stages[:index] if kind_of(other).leaves == "policy"]
    if chosen.policy_stage is not None and chosen.policy_stage not in policies:
        hint = nearest(chosen.policy_stage, policies) if policies else "write a hub id, or a folder as ./FOLDER"
        message = f"found `{chosen.policy_stage}`, which is no stage before this one that leaves a policy; {hint}"
        yield Issue((*place, "policy"), message)
