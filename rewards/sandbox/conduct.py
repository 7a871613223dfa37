"""Conducts one examination: drives a program through its tests, from outside, and says what came of it.

workers.py calls `conduct` with a pair of jails. A program's own exit code, output and claims decide nothing: a test
passes when the value or the text that it gave is the expected one. A jail that is lost raises JailLost, which says
nothing about the program.
"""

import math
import os
import select
import signal
import time
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from rewards.sandbox.compare import gives_expected, same_lines
from rewards.sandbox.examination import Asserts, Calls, Examination, Finding, Outcome, StandardStreams
from rewards.sandbox.inside import wire
from rewards.sandbox.jail import LINGER_SECONDS, READ_BYTES, Channel, Ending, Jail, OutputLimit, TimedOut
from rewards.sandbox.policy import JailLost, Limits

_OUTCOMES: dict[str, Outcome] = {"wrong_answer": "wrong_answer", "crashed": "crashed", "broken": "tests_broken"}
CPU_SPARE_SECONDS = 2  # the clock decides; the CPU limit is for a program that escapes the clock


class _Stopped(Exception):
    """The program cannot go on: why, and what there is to say about it."""

    def __init__(self, outcome: Outcome, detail: str = "") -> None:
        self.outcome, self.detail = outcome, detail


@dataclass
class _Tally:
    """How far an examination has come; the first failure names the outcome."""

    total: int
    passed: int = 0
    failures: list[tuple[Outcome, str]] = field(default_factory=list)

    def finding(self) -> Finding:
        outcome, detail = self.failures[0] if self.failures else ("passed", "")
        return Finding(outcome, self.passed, self.total, detail)


def conduct(examination: Examination, candidates: Jail, examiners: Jail, limits: Limits) -> Finding:
    """Examine one program. Raises JailLost when a jail was ended by someone else."""
    tests = examination.tests
    tally = _Tally(tests.total)
    try:
        if isinstance(tests, StandardStreams):
            _run_programs(examination, tests, candidates, limits, tally)
        elif isinstance(tests, Calls):
            _call(examination, tests, candidates, limits, tally)
        else:
            _run_test_code(examination, tests, candidates, examiners, limits, tally)
    except _Stopped as stopped:
        tally.failures.append((stopped.outcome, stopped.detail))
    finally:
        for jail in (candidates, examiners):
            if jail.busy:
                jail.end()
    return replace(tally.finding(), isolation=candidates.backend.name)


def _load(examination: Examination, jail: Jail, limits: Limits, tests: int) -> Channel:
    """Start a program that defines something. Raises _Stopped when it does not load."""
    channel = jail.run("candidate", _cpu_seconds(limits, tests + 1))
    deadline = time.monotonic() + limits.timeout_seconds
    try:
        channel.send(wire.frame({"mode": "calls", "programs": examination.spellings}), deadline)
    except TimedOut:
        raise _Stopped("timed_out", "it did not load in time") from None
    reply = _reply(jail, channel, deadline)
    if "loaded" not in reply:
        _stop_over(reply)
    return channel


def _call(examination: Examination, tests: Calls, jail: Jail, limits: Limits, tally: _Tally) -> None:
    """Send every call at once, and compare the values as they arrive."""
    channel = _load(examination, jail, limits, tests.total)
    requests = [
        {"operation": "call", "target": one.target, "arguments": one.arguments, "named": one.named}
        for one in tests.calls
    ]
    try:
        channel.send(wire.frame({"requests": requests}), time.monotonic() + limits.timeout_seconds)
    except TimedOut:
        raise _Stopped("timed_out", "it did not read its calls") from None
    for number, call in enumerate(tests.calls):
        reply = _reply(jail, channel, time.monotonic() + limits.timeout_seconds)
        if "value" in reply and gives_expected(tests, call, reply["value"]):
            tally.passed += 1
            continue
        tally.failures.append(_failure(reply, f"call {number + 1} of {tests.total}"))
        if not examination.partial:
            return


def _run_programs(examination: Examination, tests: StandardStreams, jail: Jail, limits: Limits, tally: _Tally) -> None:
    """Run the program once per input, and compare what it wrote."""
    for number, (given, expected) in enumerate(zip(tests.inputs, tests.outputs, strict=True)):
        try:
            if len(given) > limits.files_mib << 20:
                raise _Stopped("tests_broken", f"an input is larger than the {limits.files_mib} MiB of a jail")
            written = _run_program(examination, given, jail, _room_for(limits, expected))
            if not same_lines(written, expected):
                raise _Stopped("wrong_answer", f"run {number + 1} of {tests.total}")
            tally.passed += 1
        except _Stopped as stopped:
            tally.failures.append((stopped.outcome, stopped.detail))
            if not examination.partial or stopped.outcome == "syntax_error":
                return


def _room_for(limits: Limits, expected: str) -> Limits:
    """The limits with an output limit that the expected output does not reach."""
    return replace(limits, output_bytes=max(limits.output_bytes, 8 * len(expected)))


def _run_program(examination: Examination, given: str, jail: Jail, limits: Limits) -> str:
    """The standard output of one run that ended well. Raises _Stopped otherwise."""
    reading, writing = os.pipe()
    try:
        try:
            channel = jail.run("candidate", _cpu_seconds(limits, 1), writing)
        finally:
            os.close(writing)
        deadline = time.monotonic() + limits.timeout_seconds
        message = {"mode": "program", "programs": examination.spellings, "stdin": given}
        try:
            channel.send(wire.frame(message), deadline)
            written = _read_all(reading, limits.output_bytes, deadline)
        except TimedOut:
            raise _Stopped("timed_out", f"it ran for more than {limits.timeout_seconds:g} seconds") from None
    finally:
        os.close(reading)
    ending = jail.end(max(0.001, deadline - time.monotonic()))
    try:
        payload = channel.receive(time.monotonic())
    except (TimedOut, OutputLimit):
        payload = None
    if payload is not None:
        _stop_over(_parsed(payload))
    if ending.ordered:
        raise _Stopped("timed_out", f"it ran for more than {limits.timeout_seconds:g} seconds")
    if ending.code != 0:
        _stop_over_ending(ending, jail.limits)
    return written.decode(errors="replace")


def _run_test_code(
    examination: Examination, tests: Asserts, candidates: Jail, examiners: Jail, limits: Limits, tally: _Tally
) -> None:
    """Carry messages between the tests in one jail and the program in another."""
    program = _load(examination, candidates, limits, tests.total)
    examiner = examiners.run("examiner", _cpu_seconds(limits, tests.total))
    order = {
        "tests": tests.tests,
        "prelude": tests.prelude,
        "remote": dict(tests.remote),
        "partial": examination.partial,
    }
    # One clock for both, or a program could spend the time of its tests by what it hands back.
    deadline = time.monotonic() + limits.timeout_seconds * tests.total
    answered = False
    try:
        examiner.send(wire.frame(order), deadline)
        while (said := _examiner_says(examiner, deadline)).startswith(b'{"requests"'):
            program.send(wire.HEADER.pack(len(said)) + said, deadline)
            reply = _payload(candidates, program, deadline)
            answered = True
            examiner.send(wire.HEADER.pack(len(reply)) + reply, deadline)
    except TimedOut:
        outcome: Outcome = "timed_out" if answered else "tests_broken"
        raise _Stopped(outcome, "the tests took too long over what they were given") from None
    verdict = _parsed(said)["verdict"]
    tally.passed = verdict["passed"]
    for outcome, name, detail, *number in verdict["failures"]:
        where = f"{name}: {detail}" if detail else (tests.tests[number[0]][:200] if number else name)
        kind: Outcome = "out_of_memory" if name == "MemoryError" else _OUTCOMES[outcome]
        tally.failures.append((kind, where))


def _examiner_says(examiner: Channel, deadline: float) -> bytes:
    """The next message of the test code. Raises TimedOut, and JailLost when its process has gone."""
    try:
        said = examiner.receive(deadline)
    except OutputLimit:
        raise _Stopped("tests_broken", "a test hands over more than the output limit") from None
    if said is None:
        raise JailLost("the process of the test code was ended")
    return said


def _reply(jail: Jail, channel: Channel, deadline: float) -> dict[str, Any]:
    """The program's next message. Raises _Stopped when there is none."""
    return _parsed(_payload(jail, channel, deadline))


def _payload(jail: Jail, channel: Channel, deadline: float) -> bytes:
    try:
        payload = channel.receive(deadline)
    except TimedOut:
        raise _Stopped("timed_out", f"no answer within {jail.limits.timeout_seconds:g} seconds") from None
    except OutputLimit:
        raise _Stopped("output_limit", f"it returned more than {jail.limits.output_bytes} bytes") from None
    if payload is None:
        _stop_over_ending(jail.end(LINGER_SECONDS), jail.limits)
    return payload


def _parsed(payload: bytes) -> dict[str, Any]:
    try:
        message = wire.parse(payload)
    except wire.WireError:
        message = None
    if not isinstance(message, dict):
        raise _Stopped("crashed", "it wrote to the channel of its replies")
    return message


def _failure(reply: dict[str, Any], where: str) -> tuple[Outcome, str]:
    if "raised" not in reply:
        return "wrong_answer", where
    names = reply["raised"] if isinstance(reply["raised"], list) else []
    kind, name, message = [str(one)[:200] for one in [*names, "", "", ""][:3]]
    outcome: Outcome = "out_of_memory" if kind == "MemoryError" else "crashed"
    return outcome, f"{name or 'Exception'}: {message}" if message else name or "Exception"


def _stop_over(reply: dict[str, Any]) -> NoReturn:
    """Stop because a program did not load, or raised at its top level."""
    if "syntax" in reply:
        described = reply["syntax"]
        text = ": ".join(str(one) for one in described[1:3]) if isinstance(described, list) else ""
        raise _Stopped("syntax_error", text[:200])
    raise _Stopped(*_failure(reply if "raised" in reply else {"raised": []}, ""))


def _stop_over_ending(ending: Ending, limits: Limits) -> NoReturn:
    """Stop because a program's process has ended where it should have answered."""
    if ending.ordered:
        raise _Stopped("crashed", "it closed its channel")
    if ending.code == -signal.SIGXCPU or (
        ending.code == -signal.SIGKILL and ending.cpu_seconds >= limits.timeout_seconds
    ):
        raise _Stopped("timed_out", "it used up its CPU time")
    if ending.code == -signal.SIGKILL:
        raise JailLost("the program's process was killed from outside")
    if ending.code < 0:
        raise _Stopped("crashed", signal.Signals(-ending.code).name)
    raise _Stopped("crashed", f"it exited with {ending.code}")


def _read_all(reading: int, most_bytes: int, deadline: float) -> bytes:
    """Everything written to a pipe. Raises TimedOut, and _Stopped when it is too much."""
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    written = bytearray()
    while len(written) <= most_bytes:
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimedOut
        data = os.read(reading, READ_BYTES)
        if not data:
            return bytes(written)
        written += data
    raise _Stopped("output_limit", f"it wrote more than {most_bytes} bytes")


def _cpu_seconds(limits: Limits, tests: int) -> int:
    return math.ceil(limits.timeout_seconds * tests) + CPU_SPARE_SECONDS
