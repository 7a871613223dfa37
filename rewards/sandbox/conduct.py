"""Conducts one examination: drives a program through its tests, from outside, and says what came of it.

workers.py calls `conduct` with a pair of jails. A program's own exit code, output and claims decide nothing: a test
passes when the value or the text that it gave is the expected one. A jail that is lost raises JailLost, which says
nothing about the program.
"""

import math
import os
import select
import time
from dataclasses import dataclass, field, replace
from typing import Any

from rewards.sandbox.channel import Channel, OutputLimit, TimedOut
from rewards.sandbox.compare import gives_expected, same_lines
from rewards.sandbox.examination import (
    Asserts,
    Calls,
    Examination,
    Finding,
    Outcome,
    Output,
    StandardStreams,
    State,
    States,
)
from rewards.sandbox.inside import wire
from rewards.sandbox.jail import LINGER_SECONDS, Jail
from rewards.sandbox.policy import JailLost, Limits
from rewards.sandbox.replies import (
    Stopped,
    failure,
    last_reply,
    next_reply,
    parsed,
    stop_over,
    stop_over_ending,
    writable,
)
from rewards.sandbox.states import observe

_OUTCOMES: dict[str, Outcome] = {"wrong_answer": "wrong_answer", "crashed": "crashed", "broken": "tests_broken"}
MOMENT_SECONDS = 0.02  # within which most programs are over
CPU_SPARE_SECONDS = 2  # the clock decides; the CPU limit is for a program that escapes the clock


@dataclass
class _Tally:
    """How far an examination has come; the first failure names the outcome."""

    total: int
    passed: int = 0
    failures: list[tuple[Outcome, str]] = field(default_factory=list)
    written: str = ""
    states: list[State] = field(default_factory=list)

    def finding(self, isolation: str) -> Finding:
        outcome, detail = self.failures[0] if self.failures else ("passed", "")
        return Finding(outcome, self.passed, self.total, detail, isolation, self.written, tuple(self.states))


def conduct(examination: Examination, candidates: Jail, examiners: Jail, limits: Limits) -> Finding:
    """Examine one program. Raises JailLost when a jail was ended by someone else."""
    tests = examination.tests
    tally = _Tally(tests.total)
    try:
        if isinstance(tests, StandardStreams):
            _run_programs(examination, tests, candidates, limits, tally)
        elif isinstance(tests, Output):
            tally.written = _run_program(examination, tests.given, candidates, limits)
            tally.passed = 1
        elif isinstance(tests, States):
            observe(examination, tests, candidates, _cpu_seconds(limits, 1), tally.states)
            tally.passed = 1
        elif isinstance(tests, Calls):
            _call(examination, tests, candidates, limits, tally)
        else:
            _run_test_code(examination, tests, candidates, examiners, limits, tally)
    except Stopped as stopped:
        tally.failures.append((stopped.outcome, stopped.detail))
    finally:
        for jail in (candidates, examiners):
            if jail.busy:
                jail.end()
    return tally.finding(candidates.backend.name)


def _call(examination: Examination, tests: Calls, jail: Jail, limits: Limits, tally: _Tally) -> None:
    """Send the program with every call at once, and compare the values as they arrive."""
    channel = _load(examination, jail, limits, tests.total, tests.message)
    for number, call in enumerate(tests.calls):
        reply = next_reply(jail, channel, time.monotonic() + limits.timeout_seconds)
        if "value" in reply and gives_expected(tests, call, reply["value"]):
            tally.passed += 1
            continue
        tally.failures.append(failure(reply, f"call {number + 1} of {tests.total}"))
        if not examination.partial:
            return


def _load(examination: Examination, jail: Jail, limits: Limits, tests: int, requests: bytes = b"") -> Channel:
    """Start a program that defines something, with requests that are all there will be. Raises Stopped if it does not load."""
    channel = jail.run(wire.START_CANDIDATE, _cpu_seconds(limits, tests + 1))
    preamble = isinstance(examination.tests, Calls) and examination.tests.from_json
    order = {
        "mode": "calls",
        "start": examination.start,
        "programs": examination.spellings,
        "preamble": preamble,
    }
    jail.give(channel, wire.order(order) + requests, MOMENT_SECONDS if requests else 0.0)
    reply = next_reply(jail, channel, time.monotonic() + limits.timeout_seconds)
    if "loaded" not in reply:
        stop_over(reply)
    return channel


def _run_programs(examination: Examination, tests: StandardStreams, jail: Jail, limits: Limits, tally: _Tally) -> None:
    """Run the program once per input, and compare what it wrote."""
    for number, (given, expected) in enumerate(zip(tests.inputs, tests.outputs, strict=True)):
        try:
            if len(given.encode()) > limits.files_mib << 20:
                raise Stopped("tests_broken", f"an input is larger than the {limits.files_mib} MiB of a jail")
            written = _run_program(examination, given, jail, _room_for(limits, expected))
            if not same_lines(written, expected):
                raise Stopped("wrong_answer", f"run {number + 1} of {tests.total}")
            tally.passed += 1
        except Stopped as stopped:
            tally.failures.append((stopped.outcome, stopped.detail))
            if not examination.partial or stopped.outcome == "syntax_error":
                return


def _room_for(limits: Limits, expected: str) -> Limits:
    """The limits with an output limit that the expected output does not reach."""
    return replace(limits, output_bytes=max(limits.output_bytes, 8 * len(expected)))


def _run_program(examination: Examination, given: str, jail: Jail, limits: Limits) -> str:
    """The standard output of one run that ended well. Raises Stopped otherwise."""
    reading, writing = os.pipe()
    try:
        try:
            channel = jail.run(wire.START_CANDIDATE, _cpu_seconds(limits, 1), writing)
        finally:
            os.close(writing)
        message = {
            "mode": "program",
            "start": examination.start,
            "programs": examination.spellings,
            "stdin": given,
        }
        jail.give(channel, wire.order(message), MOMENT_SECONDS)
        deadline = time.monotonic() + limits.timeout_seconds
        try:
            written = _read_all(reading, limits.output_bytes, deadline)
        except TimedOut:
            raise Stopped("timed_out", f"it ran for more than {limits.timeout_seconds:g} seconds") from None
    finally:
        os.close(reading)
    ending = jail.end(max(0.001, deadline - time.monotonic()))
    reply = last_reply(channel)
    if reply is not None:
        stop_over(reply)
    if ending.ordered:
        raise Stopped("timed_out", f"it ran for more than {limits.timeout_seconds:g} seconds")
    if ending.code != 0:
        stop_over_ending(ending, jail.limits)
    return written.decode(errors="replace")


def _run_test_code(
    examination: Examination, tests: Asserts, candidates: Jail, examiners: Jail, limits: Limits, tally: _Tally
) -> None:
    """Hand the program's channel to the tests in another jail, and wait for what they say of it."""
    program = _load(examination, candidates, limits, tests.total)
    examiner = examiners.run(wire.START_EXAMINER, _cpu_seconds(limits, tests.total), program.connection.fileno())
    order = {
        "tests": tests.tests,
        "prelude": tests.prelude,
        "names": sorted(tests.names),
        "remote": dict(tests.remote),
        "partial": examination.partial,
        "output_bytes": limits.output_bytes,
    }
    examiners.give(examiner, wire.order(order))
    # One clock for both, or a program could spend the time of its tests by what it hands back.
    said = _examiner_says(examiner, time.monotonic() + limits.timeout_seconds * tests.total)
    if "stopped" in said:
        if said["stopped"] == "output_limit":
            raise Stopped("output_limit", f"it returned more than {limits.output_bytes} bytes")
        stop_over_ending(candidates.end(LINGER_SECONDS), limits)
    verdict = said["verdict"]
    tally.passed = verdict["passed"]
    for outcome, name, detail, *number in verdict["failures"]:
        where = f"{name}: {detail}" if detail else (tests.tests[number[0]][:200] if number else name)
        kind: Outcome = "out_of_memory" if name == "MemoryError" else _OUTCOMES[outcome]
        tally.failures.append((kind, writable(where)))


def _examiner_says(examiner: Channel, deadline: float) -> dict[str, Any]:
    """The last message of the test code. Raises Stopped, and JailLost when its process has gone."""
    outcome: Outcome = "tests_broken"
    try:
        while (said := examiner.receive(deadline)) is not None:
            message = parsed(said)
            if "asked" not in message:
                return message
            outcome = "timed_out"
    except TimedOut:
        raise Stopped(outcome, "the tests took too long over what they were given") from None
    except OutputLimit:
        raise Stopped("tests_broken", "a test says more than the output limit") from None
    raise JailLost("the process of the test code was ended")


def _read_all(reading: int, most_bytes: int, deadline: float) -> bytes:
    """Everything written to a pipe. Raises TimedOut, and Stopped when it is too much."""
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    written = bytearray()
    while len(written) <= most_bytes:
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimedOut
        data = os.read(reading, wire.READ_BYTES)
        if not data:
            return bytes(written)
        written += data
    raise Stopped("output_limit", f"it wrote more than {most_bytes} bytes")


def _cpu_seconds(limits: Limits, tests: int) -> int:
    return math.ceil(limits.timeout_seconds * tests) + CPU_SPARE_SECONDS
