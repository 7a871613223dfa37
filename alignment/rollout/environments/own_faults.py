"""Calls code of the user's own: what it raises is an error with its file and line, and what it cannot reach a fault.

Neighbours: own.py (a class with `reset` and `step`), trl.py (a class whose methods are tools).
"""

from collections.abc import Callable
from typing import TypeVar
from urllib.error import URLError

from alignment.core.errors import RecipeError
from alignment.rollout.environments.protocol import EnvironmentFault
from rewards.own.loading import FAULTS, folder_of, own_name, where

Result = TypeVar("Result")

# How clients that people use say that they reached nobody; none is Python's own ConnectionError. By name: none is imported here.
_LOST = frozenset({
    "httpx.NetworkError", "httpx.TimeoutException", "httpx.RemoteProtocolError", "httpx.ProxyError",
    "requests.ConnectionError", "requests.Timeout", "requests.ChunkedEncodingError",
    "aiohttp.ClientConnectionError", "websockets.ConnectionClosed", "openai.APIConnectionError",
})  # fmt: skip


def reached_nobody(error: BaseException) -> bool:
    """Whether an error says that a connection could not be made, was lost, or brought no answer in time."""
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    if isinstance(error, URLError):
        return isinstance(error.reason, (ConnectionError, TimeoutError))
    return any(f"{one.__module__.partition('.')[0]}.{one.__name__}" in _LOST for one in type(error).__mro__)


def guarded(name: str, what: str, call: Callable[[], Result]) -> Result:
    """What a call of the user's own code returns.

    Raises EnvironmentFault where it could not connect or was not answered in time, so that one rollout is lost and counted,
    and RecipeError for anything else, which ends the stage.
    """
    try:
        return call()
    except Exception as error:  # what a client raises has bases of its own
        short = own_name(name).short
        if reached_nobody(error):
            raise EnvironmentFault(f"{short}: {what} reached nobody ({type(error).__name__}: {error})") from error
        if isinstance(error, FAULTS):
            raise RecipeError(f"{short}: {what} failed at {where(error, folder_of(name))}") from error
        raise
