"""evaluations/follow.json: how flags were obeyed in conversations of several turns.

Neighbours: evaluation/measures/conversations.py (holds the conversations), report/render/following.py (the tables).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from alignment.core.statistics.estimate import Estimate
from alignment.core.typed_json import INLINE, Json
from alignment.core.vocabulary import Flag, Mode
from alignment.records.file_record import FileRecord

OBEYED = "fraction of turns whose answer thinks, or does not, as was asked, with Wilson's interval over conversations"


@dataclass(frozen=True)
class FollowGroup:
    """A group of turns, and the fraction whose mode is that of the flag in force."""

    by: Annotated[str, "`position`, `switch`, `asked_by` or `mode`"]
    value: Annotated[str, "which of these"]
    count: Annotated[int, "turns"]
    obeyed: Annotated[Estimate, OBEYED]


@dataclass(frozen=True)
class FollowTurn:
    """One turn of a conversation in full."""

    position: Annotated[int, "from 1"]
    question: Annotated[str, "what was asked"]
    flag: Annotated[Flag | None, "the turn's own flag"]
    asked: Annotated[Mode, "the mode that the flags up to here ask for"]
    text: Annotated[str, "what the policy wrote"]
    obeyed: Annotated[bool, "whether it thought as was asked"]


@dataclass(frozen=True)
class FollowFigures:
    """Think-follow in conversations."""

    conversations: Annotated[int, "how many were held"]
    turns: Annotated[int, "user turns of each"]
    count: Annotated[int, "turns that were asked, over all conversations"]
    obeyed: Annotated[Estimate, OBEYED]
    asked_thinking_fraction: Annotated[float | None, "what a policy that always thinks would score"] = None
    whole_fraction: Annotated[float | None, "fraction of conversations in which every turn obeyed"] = None
    trimmed: Annotated[int, "turns whose oldest history did not fit and was cut"] = 0
    left_out: Annotated[int, "turns too long by themselves, which were not asked"] = 0
    seconds: Annotated[float | None, "wall time"] = None
    groups: Annotated[
        tuple[FollowGroup, ...], "by position, change of mode, what asked for the mode, and the mode"
    ] = ()


@dataclass(frozen=True)
class FollowRecord(FileRecord):
    """Think-follow in conversations; written if `follow_turns` is 2 or more."""

    figures: Annotated[FollowFigures, INLINE]
    stage: Annotated[str | None, "the stage whose policy answered"] = None
    identity: Annotated[Mapping[str, Json] | None, "what decides the figures: settings, policy, seed, turns"] = None
    seed: Annotated[int | None, "seed of the conversations"] = None
    engine: Annotated[str | None, "what sampled"] = None
    samples: Annotated[tuple[tuple[FollowTurn, ...], ...], "a few whole conversations"] = ()
