"""Runs programs that nobody has read, and finds out whether they are right without believing a word they say.

Covered: a program sees no network, no file of yours, no environment and no other process; the system is read-only and
its private /tmp is gone with it; time, CPU, memory, files, threads and output are bounded; it cannot start processes;
expected values and test code are never in the process that runs it, and only plain values are taken from it.
Not covered: faults of the kernel and of the processor (a jail shares both with you), and what a machine does when
several jails take all the memory they may. docs/sandbox.md says it in full, and what to add for hostile tenants.

policy.py limits · backends/ isolation · inside/ what runs in the jail · jail.py, channel.py one jail · examination.py,
plain.py what is asked · conduct.py, replies.py, states.py, compare.py how it is judged · workers.py all cores.
"""

from rewards.sandbox.examination import (
    Asserts,
    Call,
    Calls,
    Examination,
    Finding,
    Output,
    StandardStreams,
    States,
    Tests,
)
from rewards.sandbox.policy import ISOLATIONS, Isolation, IsolationUnavailable, JailLost, Limits
from rewards.sandbox.workers import Sandbox

__all__ = [
    "ISOLATIONS",
    "Asserts",
    "Call",
    "Calls",
    "Examination",
    "Finding",
    "Isolation",
    "IsolationUnavailable",
    "JailLost",
    "Limits",
    "Output",
    "Sandbox",
    "StandardStreams",
    "States",
    "Tests",
]
