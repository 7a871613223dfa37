"""Calls code of the user's own: what it raises is an error with its file and line, and what it cannot reach a fault.

Neighbours: own.py (a class with `reset` and `step`), trl.py (a class whose methods are tools).
"""

from collections.abc import Callable
from typing import TypeVar

from alignment.core.errors import RecipeError
from alignment.rollout.environments.protocol import EnvironmentFault
from rewards.own.loading import FAULTS, folder_of, own_name, where

Result = TypeVar("Result")


def guarded(name: str, what: str, call: Callable[[], Result]) -> Result:
    """What a call of the user's own code returns.

    Raises EnvironmentFault where it could not connect or was not answered in time, so that one rollout is lost and counted,
    and RecipeError for anything else, which ends the stage.
    """
    try:
        return call()
    except (ConnectionError, TimeoutError) as error:
        told = f"{own_name(name).short}: {what} reached nobody ({type(error).__name__}: {error})"
        raise EnvironmentFault(told) from error
    except FAULTS as error:
        raise RecipeError(f"{own_name(name).short}: {what} failed at {where(error, folder_of(name))}") from error
