"""What decides an evaluation's figures. Light, so that the pipeline can tell what is still to be measured."""

from typing import Any

from alignment.recipe.schema import Evaluations

ELSEWHERE = {"budgets"}  # adding a budget does not change the accuracy without one


def evaluation_identity(settings: Evaluations, output_hash: str, seed: int) -> dict[str, Any]:
    """A recorded evaluation is reused only where this is equal."""
    return {"settings": settings.model_dump(mode="json", exclude=ELSEWHERE), "policy": output_hash, "seed": seed}


def sweep_identity(settings: Evaluations, output_hash: str, seed: int) -> dict[str, Any]:
    """As `evaluation_identity`, with the budgets."""
    return {**evaluation_identity(settings, output_hash, seed), "budgets": settings.budgets}
