r"""Kind `tool_call`: does an answer make the calls that its row asks for, and no other?

Read are Qwen's blocks, `<tool_call>\n{"name": ..., "arguments": {...}}\n</tool_call>`, in the text after thinking, and the
`tool_calls` of chat messages; of a rollout of several turns, those of all its turns together. Each is held against the row's tools (schema.py) and its reference calls (values.py), in any order. An empty
reference asks for an answer without a call. A row whose reference its own tools refuse is a verdict without a score.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rewards.contract import THINK_CLOSE, THINK_OPEN, Rollout, Verdict, content_text, not_applicable, split_thinking
from rewards.kinds.tool_call.schema import Tool, read_tools
from rewards.kinds.tool_call.values import ExpectedCall, read_calls, reference_fault

CALL_OPEN, CALL_CLOSE = "<tool_call>", "</tool_call>"
MOST_BLOCKS = 1000  # that are looked into for think tags
MOST_CALLS = 64  # in one answer; an answer with more is not searched for the right ones

# From what says least about an answer to what says most: the verdict's reason is the first that occurs.
REASONS = (
    "no_answer", "too_many_calls", "malformed_json", "unknown_tool", "no_call", "extra_call", "missing_call",
    "missing_argument", "unknown_argument", "wrong_type", "wrong_value", "correct",
)  # fmt: skip


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys stand once each: the second of two would hide the first."""
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refuse)


@dataclass(frozen=True)
class Call:
    """One block of an answer: the call in it, or None where it does not hold one. `bare`: it names no arguments at all."""

    name: str | None
    arguments: Mapping[str, Any]
    bare: bool = False


@dataclass(frozen=True)
class Finding:
    """What came of one call that was made or had to be made."""

    name: str | None
    reason: str
    argument: str | None = None
    fraction: float = 0.0  # of the call that is right

    def as_evidence(self) -> dict[str, Any]:
        """For a verdict's evidence."""
        return {"name": self.name, "reason": self.reason, **({"argument": self.argument} if self.argument else {})}


class ToolCall:
    """Verifier of the kind `tool_call`: 1.0 when exactly the reference's calls are made; with `graded`, the fraction of it."""

    columns: tuple[str, ...] = ("tools", "calls")

    def __init__(self, *, graded: bool = False) -> None:
        self.graded = graded

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout."""
        return [self._judge(rollout) for rollout in rollouts]

    def close(self) -> None:
        """Nothing to end."""

    def _judge(self, rollout: Rollout) -> Verdict:
        given = {name: rollout.column("tool_call", name) for name in self.columns}
        absent = next((name for name, value in given.items() if value is None), None)
        if absent is not None:
            return not_applicable(absent)
        tools, expected = read_tools(given["tools"]), read_calls(given["calls"])
        if tools is None or expected is None:
            return Verdict(None, "reference_unusable", {"fault": "tools" if tools is None else "calls"})
        fault = reference_fault(tools, expected)
        if fault is not None:
            return Verdict(None, "reference_unusable", {"fault": fault})
        most = max(MOST_CALLS, len(expected))
        made = calls_of(rollout, most + 1)
        if not rollout.answer and not made:
            return Verdict(0.0, "no_answer", {"expected": len(expected)})
        if len(made) > most:
            return Verdict(0.0, "too_many_calls", {"expected": len(expected), "made": f"more than {most}"})
        findings = compare_calls(tools, expected, made)
        right = all(one.reason == "correct" for one in findings)
        reason = "correct" if right else _first_reason(findings)
        fraction = sum(one.fraction for one in findings) / len(findings) if findings else 1.0
        score = 1.0 if right else round(fraction, 6) if self.graded else 0.0
        return Verdict(
            score, reason, {"calls": [one.as_evidence() for one in findings], "fraction": round(fraction, 6)}
        )


def calls_of(rollout: Rollout, most: int = MOST_CALLS) -> list[Call]:
    """The first calls of a rollout, over all turns of the assistant: structured ones, then those in its text."""
    if not rollout.messages:
        return made_calls(spoken(rollout.completion), most)
    calls: list[Call] = []
    for message in rollout.messages:
        if message.get("role", "assistant") == "assistant" and len(calls) < most:
            content = message.get("content")
            calls += [_structured(one) for one in _entries(message)]
            calls += made_calls(spoken(content_text(content)), most)
    return calls[:most]


def _entries(message: Mapping[str, Any]) -> list[Any]:
    """The calls of a chat message: its `tool_calls`, the older `function_call`, and its content's parts `tool_use`."""
    content = message.get("content")
    parts = content if isinstance(content, (list, tuple)) else ()
    used = [part for part in parts if isinstance(part, Mapping) and part.get("type") in ("tool_use", "tool_call")]
    older, calls = message.get("function_call"), message.get("tool_calls") or ()
    if isinstance(calls, str):  # as a table holds them; text that is no list of calls is one that holds none
        try:
            calls = _DECODER.decode(calls)
        except (ValueError, RecursionError):
            calls = [None]
    return [*(calls if isinstance(calls, (list, tuple)) else [calls]), *([older] if older else []), *used]


def _structured(value: Any) -> Call:
    """An entry of a chat message's calls; its arguments may be JSON text, as OpenAI's are, or be called otherwise."""
    function = value.get("function", value) if isinstance(value, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    keys = ("arguments", "args", "input")
    arguments = next(filter(None, map(function.get, keys)), None) if isinstance(function, Mapping) else None
    if isinstance(name, str) and not arguments:
        return Call(name, {}, bare=arguments is None)
    if isinstance(arguments, str):
        try:
            arguments = _DECODER.decode(arguments)
        except (ValueError, RecursionError):
            return Call(None, {})
    return Call(name, arguments) if isinstance(name, str) and isinstance(arguments, Mapping) else Call(None, {})


def spoken(completion: str) -> str:
    """What follows the think block, where a think tag inside a call's arguments is a part of them."""
    if CALL_OPEN not in completion or (THINK_OPEN not in completion and THINK_CLOSE not in completion):
        return split_thinking(completion)[1]
    pieces, place, kept, blocks = list[str](), 0, 0, 0
    while (start := completion.find(CALL_OPEN, place)) >= 0 and blocks < MOST_BLOCKS:
        blocks += 1
        call, place = _read_block(completion, start + len(CALL_OPEN))
        inside = completion[start:place]
        if call.name is not None and (THINK_OPEN in inside or THINK_CLOSE in inside):
            hidden = inside.replace(THINK_OPEN, " " * len(THINK_OPEN)).replace(THINK_CLOSE, " " * len(THINK_CLOSE))
            pieces += [completion[kept:start], hidden]
            kept = place
    masked = "".join([*pieces, completion[kept:]])
    answer = split_thinking(masked)[1]
    end = len(masked.rstrip())
    return completion[end - len(answer) : end]


def made_calls(answer: str, most: int = MOST_CALLS) -> list[Call]:
    """The first calls in an answer, in order. A block that is not closed, or holds no call, is one without a name."""
    calls: list[Call] = []
    place = 0
    while len(calls) < most and (start := answer.find(CALL_OPEN, place)) >= 0:
        call, place = _read_block(answer, start + len(CALL_OPEN))
        calls.append(call)
    return calls


def compare_calls(tools: Mapping[str, Tool], expected: Sequence[ExpectedCall], given: Sequence[Call]) -> list[Finding]:
    """One finding per call that was made, then one per call that was not. All are `correct` only if all is right."""
    if not given and expected:
        return [Finding(one.name, "no_call") for one in expected]
    table = [[_compare(tools, call, one) for one in expected] for call in given]
    partner = _matching([[one.reason == "correct" for one in row] for row in table])
    # What is left over is held against the most alike: only the reasons and the graded fraction depend on it.
    likeness = sorted(
        (-found.fraction, made, wanted)
        for made, row in enumerate(table)
        for wanted, found in enumerate(row)
        if given[made].name == expected[wanted].name
    )
    for _, made, wanted in likeness:
        if made not in partner and wanted not in partner.values():
            partner[made] = wanted
    findings = [
        table[made][partner[made]] if made in partner else _unmatched(tools, call) for made, call in enumerate(given)
    ]
    missed = [one for wanted, one in enumerate(expected) if wanted not in partner.values()]
    return findings + [Finding(one.name, "missing_call") for one in missed]


def _compare(tools: Mapping[str, Tool], call: Call, wanted: ExpectedCall) -> Finding:
    """A call held against one reference call."""
    if call.name is None or call.name not in tools or call.name != wanted.name:
        return _unmatched(tools, call)
    tool = tools[call.name]
    if call.bare and tool.required:
        return Finding(None, "malformed_json")
    misfits = [one for one in tool.misfits(call.arguments) if not wanted.overrides(one, call.arguments)]
    wrong = {one.top: (one.reason, one.argument) for one in reversed(misfits)}
    for argument, value in call.arguments.items():
        if argument in wrong or wanted.accepts_for(tool, argument, value):
            continue
        if argument in wanted.arguments:
            wrong[argument] = ("wrong_value", argument)
        elif not tool.is_default(argument, value):  # what is left out means its default
            wrong[argument] = ("unknown_argument", argument)
    for argument in wanted.arguments:
        if argument not in call.arguments and argument not in wrong and not _may_leave_out(tool, wanted, argument):
            wrong[argument] = ("missing_argument", argument)
    if not wrong:
        return Finding(call.name, "correct", fraction=1.0)
    reason, where = min(wrong.values(), key=lambda one: REASONS.index(one[0]))
    looked_at = set(call.arguments) | set(wanted.arguments) | set(wrong)
    return Finding(call.name, reason, where, fraction=(1 + len(looked_at) - len(wrong)) / (1 + len(looked_at)))


def _may_leave_out(tool: Tool, wanted: ExpectedCall, argument: str) -> bool:
    """Whether a call may do without an argument: the reference says so, or wants the value that it means by default."""
    if wanted.may_omit(argument):
        return True
    values = wanted.arguments[argument]
    return argument not in tool.required and any(tool.is_default(argument, value) for value in values)


def _unmatched(tools: Mapping[str, Tool], call: Call) -> Finding:
    if call.name is None:
        return Finding(None, "malformed_json")
    return Finding(call.name[:100], "extra_call" if call.name in tools else "unknown_tool")


def _matching(fits: Sequence[Sequence[bool]]) -> dict[int, int]:
    """The most pairs (made, wanted) that fit, by augmenting paths: acceptable values of two references may overlap."""
    made_for: dict[int, int] = {}

    def place(made: int, tried: set[int]) -> bool:
        for wanted, fit in enumerate(fits[made]):
            if fit and wanted not in tried:
                tried.add(wanted)
                if wanted not in made_for or place(made_for[wanted], tried):
                    made_for[wanted] = made
                    return True
        return False

    for made in range(len(fits)):
        place(made, set())
    return {made: wanted for wanted, made in made_for.items()}


def _first_reason(findings: Sequence[Finding]) -> str:
    return min((one.reason for one in findings), key=REASONS.index)


def _read_block(answer: str, start: int) -> tuple[Call, int]:
    """The call of the block whose content begins at `start`, and where to read on."""
    nothing = Call(None, {})
    content = start + len(answer[start : start + 1000]) - len(answer[start : start + 1000].lstrip())
    try:
        value, end = _DECODER.raw_decode(answer, content)
    except (ValueError, RecursionError):
        close = answer.find(CALL_CLOSE, start)
        return nothing, len(answer) if close < 0 else close + len(CALL_CLOSE)
    close = answer.find(CALL_CLOSE, end)
    if close < 0 or answer[end:close].strip():
        return nothing, len(answer) if close < 0 else close + len(CALL_CLOSE)
    after = close + len(CALL_CLOSE)
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return nothing, after
    if set(value) == {"name"} or (set(value) == {"name", "arguments"} and value["arguments"] is None):
        return Call(value["name"], {}, bare=True), after
    if set(value) != {"name", "arguments"}:
        return nothing, after
    return (Call(value["name"], value["arguments"]) if isinstance(value["arguments"], dict) else nothing), after
