"""The values of a program's names after a statement, as its process describes them: read here, from a process that may lie.

A program shares its process with what describes it (inside/states.py), so that a state may be false. It is text for
display, in bounds, and nothing else: no claim of it passes a test. Neighbours: conduct.py (asks), examination.py (States).
"""

import time
from typing import Any

from rewards.sandbox.examination import Examination, State, States
from rewards.sandbox.inside import wire
from rewards.sandbox.inside.states import LONGEST_NAME, LONGEST_VALUE, MOST_NAMES
from rewards.sandbox.jail import Jail
from rewards.sandbox.replies import next_reply, stop_over, writable

MOST_STATE_BYTES = 1 << 16  # of one state on the channel, several times what a true one takes


def observe(examination: Examination, tests: States, jail: Jail, cpu_seconds: int, found: list[State]) -> None:
    """Run a program, and add its state after each statement to `found` as it arrives: what came before it hangs is kept.

    Raises Stopped where it does not end well within the time of one test, and JailLost.
    """
    channel = jail.run(wire.START_CANDIDATE, cpu_seconds)
    channel.most_bytes = min(channel.most_bytes, MOST_STATE_BYTES)
    order = {"mode": "states", "start": examination.start, "programs": examination.spellings, "stdin": tests.given}
    jail.give(channel, wire.order(order))
    deadline = time.monotonic() + jail.limits.timeout_seconds
    while "state" in (reply := next_reply(jail, channel, deadline)) and len(found) < tests.statements:
        found.append(read_state(reply["state"]))
    if "over" not in reply:
        stop_over(reply)


def read_state(described: Any) -> State:
    """Names and values from a reply: only identifiers and text, no more and no longer than inside/states.py writes."""
    found: dict[str, str] = {}
    for pair in described[:MOST_NAMES] if isinstance(described, list) else []:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(one, str) for one in pair):
            continue
        name, value = pair
        if name.isidentifier() and len(name) <= LONGEST_NAME:
            found[name] = " ".join(writable(value[:LONGEST_VALUE]).split())
    return found
