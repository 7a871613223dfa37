"""What is known of a reward of one's own before anything is judged: the columns it reads, its options, and what it is.

A worker process imports the code and describes it (signature.py), so that this process never runs it; the answer is kept
for as long as the code's files have the same content. Neighbours: loading.py (names and files), verifier.py (judges).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from rewards.own.loading import OwnCodeError, code_files, own_name
from rewards.pool import VerificationPool, WorkerUnavailable

IMPORT_SECONDS = 100.0  # to import the code; models that it loads included
IMPORT_MEMORY_MIB = 1 << 14  # of address space while the code is looked at
What = Literal["function", "verifier"]
Reads = Literal["text", "messages"]


@dataclass(frozen=True)
class OwnOption:
    """A parameter with a default: its type's name, or the words that it may be, and its value without a spec's."""

    type: str | tuple[str, ...]
    default: Any


@dataclass(frozen=True)
class Described:
    """A reward of one's own: a function in TRL's signature, or a verifier class.

    `reads`: whether a function takes completions as texts or as lists of messages. `needs`: the columns that every row
    has to have. `line`: where it is defined.
    """

    what: What
    reads: Reads
    needs: tuple[str, ...]
    options: Mapping[str, OwnOption]
    line: int = 0


def described(name: str) -> Described:
    """What a name means, from a process that imports it. Raises OwnCodeError for what cannot be a reward."""
    file = own_name(name).file
    files = code_files(name)
    if file is not None and not files:
        raise OwnCodeError(f"there is no file {Path(file)}; paths are relative to the recipe")
    return _described(name, tuple(files.items()))


@lru_cache(maxsize=64)
def _described(name: str, files: tuple[tuple[str, str], ...]) -> Described:
    """files: names and hashes of the code, which decide whether an earlier answer still holds."""
    limits: dict[str, Any] = {"workers": 1, "timeout_seconds": IMPORT_SECONDS, "memory_mib": IMPORT_MEMORY_MIB}
    short = own_name(name).short
    try:
        with VerificationPool("rewards.own.inside:describe", **limits) as pool:
            (found,) = pool.map([name])
    except WorkerUnavailable as error:
        raise OwnCodeError(f"{short} cannot be looked at: {error}") from error
    if found.status == "timed_out":
        raise OwnCodeError(
            f"importing {short} takes more than {IMPORT_SECONDS:.0f} seconds; load what is large when called"
        )
    if found.status != "done":
        raise OwnCodeError(f"importing {short} ends its process ({found.detail}); it must not exit when imported")
    if "refused" in found.value:
        raise OwnCodeError(found.value["refused"])
    options = {
        option: OwnOption(tuple(given["type"]) if isinstance(given["type"], list) else given["type"], given["default"])
        for option, given in found.value["options"].items()
    }
    value = found.value
    return Described(value["what"], value["reads"], tuple(value["needs"]), options, value["line"])
