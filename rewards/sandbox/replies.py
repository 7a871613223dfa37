"""What a program's process said, or that it has gone, read as an outcome. Used by conduct.py.

Everything here comes from a process that may lie, so it names an outcome that costs the program its test; none of it can
make a test pass. A process that was killed from outside raises JailLost, which says nothing about the program.
"""

import signal
import time
from typing import Any, NoReturn

from rewards.sandbox.channel import Channel, OutputLimit, TimedOut
from rewards.sandbox.examination import Outcome
from rewards.sandbox.inside import wire
from rewards.sandbox.jail import LINGER_SECONDS, Ending, Jail
from rewards.sandbox.policy import JailLost, Limits


class Stopped(Exception):
    """The program cannot go on: why, and what there is to say about it."""

    def __init__(self, outcome: Outcome, detail: str = "") -> None:
        self.outcome, self.detail = outcome, writable(detail)


def writable(text: str) -> str:
    """A program's words as text that any file takes: half a character, which is no Unicode, becomes a question mark."""
    return text.encode(errors="replace").decode()


def next_reply(jail: Jail, channel: Channel, deadline: float) -> dict[str, Any]:
    """The program's next message. Raises Stopped when there is none."""
    try:
        payload = channel.receive(deadline)
    except TimedOut:
        raise Stopped("timed_out", f"no answer within {jail.limits.timeout_seconds:g} seconds") from None
    except OutputLimit:
        raise Stopped("output_limit", f"it returned more than {channel.most_bytes} bytes") from None
    if payload is None:
        stop_over_ending(jail.end(LINGER_SECONDS), jail.limits)
    return parsed(payload)


def last_reply(channel: Channel) -> dict[str, Any] | None:
    """What a program that has ended said last, if it said anything. Raises Stopped when that is no message."""
    try:
        payload = channel.receive(time.monotonic())
    except (TimedOut, OutputLimit):
        return None
    return None if payload is None else parsed(payload)


def parsed(payload: bytes) -> dict[str, Any]:
    """A payload as a message. Raises Stopped."""
    try:
        message = wire.parse(payload)
    except wire.WireError:
        message = None
    if not isinstance(message, dict):
        raise Stopped("crashed", "it wrote to the channel of its replies")
    return message


def failure(reply: dict[str, Any], where: str) -> tuple[Outcome, str]:
    """The outcome and its detail for a reply that is not the expected value."""
    if "raised" not in reply:
        return "wrong_answer", where
    names = reply["raised"] if isinstance(reply["raised"], list) else []
    kind, name, message = [str(one)[:200] for one in [*names, "", "", ""][:3]]
    outcome: Outcome = "out_of_memory" if kind == "MemoryError" else "crashed"
    name = name or "Exception"
    return outcome, writable(f"{name}: {message}" if message else name)


def stop_over(reply: dict[str, Any]) -> NoReturn:
    """Stop because a program did not load, or raised at its top level."""
    if "syntax" in reply:
        described = reply["syntax"]
        text = ": ".join(str(one) for one in described[1:3]) if isinstance(described, list) else ""
        raise Stopped("syntax_error", text[:200])
    raise Stopped(*failure(reply if "raised" in reply else {"raised": []}, ""))


def stop_over_ending(ending: Ending, limits: Limits) -> NoReturn:
    """Stop because a program's process has ended where it should have answered. Raises JailLost when it was killed."""
    if ending.ordered:
        raise Stopped("crashed", "it closed its channel")
    if ending.code == -signal.SIGXCPU or (
        ending.code == -signal.SIGKILL and ending.cpu_seconds >= limits.timeout_seconds
    ):
        raise Stopped("timed_out", "it used up its CPU time")
    if ending.code == -signal.SIGKILL:
        raise JailLost("the program's process was killed from outside")
    if ending.code < 0:
        raise Stopped("crashed", _signal_name(-ending.code))
    raise Stopped("crashed", f"it exited with {ending.code}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have no name
        return f"signal {number}"
