"""The kind tool_call: what it says about each way to be wrong, its graded share, and its form against the public set."""

import json
import time
from typing import Any

import pytest

from rewards import MissingColumn, Rollout, Verdict
from rewards.kinds.tool_call.table import OSLO, PARIS, PARIS_GOLD, ROME, TOOLS, TRIP, TWO, call
from rewards.kinds.tool_call.verifier import ToolCall

# reference, answer, reason, argument, graded share
REASONS: list[tuple[Any, str, str, str | None, float]] = [
    (PARIS, PARIS_GOLD, "correct", None, 1.0),
    (PARIS, "It rains.", "no_call", None, 0.0),
    (PARIS, "<tool_call>\n{'name': 'get_weather'}\n</tool_call>", "malformed_json", None, 0.0),
    (PARIS, '<tool_call>\n{"name": "get_weather"}\n</tool_call>', "malformed_json", None, 0.0),
    (PARIS, call("get_wether", city="Paris", days=3), "unknown_tool", None, 0.0),
    (PARIS, call("get_weather", days=3), "missing_argument", "city", 0.75),
    (PARIS, call("get_weather", city="Paris"), "missing_argument", "days", 0.75),
    (PARIS, call("get_weather", city="Paris", days=3, hour=9), "unknown_argument", "hour", 0.8),
    (PARIS, call("get_weather", city="Paris", days="3"), "wrong_type", "days", 0.75),
    (PARIS, call("get_weather", city="Paris", days=4), "wrong_value", "days", 0.75),
    (PARIS, call("get_weather", city="Paris", days=3, unit="kelvin"), "wrong_value", "unit", 0.75),
    (PARIS, PARIS_GOLD + ROME, "extra_call", None, 0.5),
    (TWO, OSLO, "missing_call", None, 0.5),
    (TRIP, call("route.plan", stops=["A", 2], options={"tolls": False}), "wrong_type", "stops[1]", 0.75),
    (TRIP, call("route.plan", stops=["A", "B"], options={"tolls": 0}), "wrong_type", "options.tolls", 0.75),
    ([], "Nothing to call.", "correct", None, 1.0),
    ([], PARIS_GOLD, "extra_call", None, 0.0),
]


def judged(calls: Any, answer: str, tools: Any = TOOLS, *, graded: bool = False) -> Verdict:
    (verdict,) = ToolCall(graded=graded).judge([Rollout("q", answer, columns={"tools": tools, "calls": calls})])
    return verdict


@pytest.mark.parametrize(("calls", "answer", "reason", "argument", "share"), REASONS)
def test_what_was_wrong_is_said_per_call(
    calls: Any, answer: str, reason: str, argument: str | None, share: float
) -> None:
    verdict = judged(calls, answer)
    assert (verdict.score, verdict.reason) == (float(reason == "correct"), reason)
    if argument is not None:
        assert any(one.get("argument") == argument for one in verdict.evidence["calls"])
    assert judged(calls, answer, graded=True).score == pytest.approx(share, abs=1e-5)


def test_parallel_calls_are_matched_in_the_way_that_fits_most() -> None:
    either: list[dict[str, Any]] = [{"get_weather": {"city": ["Oslo", "Rome"]}}, {"get_weather": {"city": ["Oslo"]}}]
    assert judged(either, OSLO + ROME).score == 1.0
    assert judged(either, ROME + OSLO).score == 1.0
    assert judged(either, ROME + ROME).score == 0.0


@pytest.mark.parametrize(
    ("wanted", "given", "same"),
    [
        ("New York, NY", "new york NY", True),
        ("Mar.10,2023", "Mar. 10, 2023", True),
        ("check-in", "check in", True),
        ("1.5", "15", False),
        (".5", "5", False),
        ("1, 2", "12", False),
        ("2*3", "23", False),
        ("-5", "5", False),
        ("2023-03-10", "2023/03/10", False),
        ("...", "", False),
    ],
)
def test_text_is_compared_without_what_does_not_change_its_meaning(wanted: str, given: str, same: bool) -> None:
    calls = [{"get_weather": {"city": [wanted]}}]
    assert judged(calls, call("get_weather", city=given)).score == float(same)


def test_definitions_made_by_a_validation_library_are_understood() -> None:
    tool = {
        "name": "book",
        "parameters": {
            "type": "object",
            "$defs": {"Guest": {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}},
            "properties": {
                "guest": {"$ref": "#/$defs/Guest"},
                "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "loop": {"$ref": "#/properties/loop"},
            },
            "required": ["guest"],
        },
    }
    calls = [{"name": "book", "arguments": {"guest": {"age": 4}, "note": None}}]
    assert judged(calls, call("book", guest={"age": 4}, note=None), [tool]).score == 1.0
    assert judged(calls, call("book", guest={"age": "4"}, note=None), [tool]).reason == "wrong_type"
    assert judged(calls, call("book", guest={}, note=None), [tool]).reason == "missing_argument"
    assert judged(calls, call("book", guest={"age": 4}, note=5), [tool]).reason == "wrong_type"
    looped = judged([{"name": "book", "arguments": {"guest": {"age": 4}, "loop": 1}}], "x", [tool])
    assert looped.reason == "no_call"


@pytest.mark.parametrize("column", ["tools", "calls"])
def test_a_row_without_tools_or_reference_is_another_verifiers_row(column: str) -> None:
    """A table that mixes sources fills what a row does not have with None."""
    columns = {"tools": TOOLS, "calls": [], column: None}
    (verdict,) = ToolCall().judge([Rollout("q", PARIS_GOLD, columns=columns)])
    assert (verdict.score, verdict.applicable, verdict.evidence) == (None, False, {"column": column})
    (verdict,) = ToolCall().judge([Rollout("q", PARIS_GOLD, columns={**columns, column: "not JSON"})])
    assert (verdict.score, verdict.reason) == (None, "reference_unusable")


def test_a_row_that_cannot_be_met_is_not_a_wrong_answer() -> None:
    verdict = judged([{"get_weather": {"city": ["Paris"], "hour": [7]}}], PARIS_GOLD)
    assert (verdict.score, verdict.reason) == (None, "reference_unusable")
    assert "unknown_argument 'hour'" in verdict.evidence["fault"]
    with pytest.raises(MissingColumn, match="'calls'"):
        ToolCall().judge([Rollout("q", PARIS_GOLD, columns={"tools": TOOLS})])


def test_where_a_reference_and_its_tools_differ_in_a_type_both_ways_to_say_it_are_right() -> None:
    seven = [{"get_weather": {"city": [7]}}]
    assert judged(seven, call("get_weather", city=7)).score == 1.0
    assert judged(seven, call("get_weather", city="7")).score == 1.0
    assert judged(seven, call("get_weather", city="8")).reason == "wrong_value"


def test_a_flood_of_blocks_is_judged_at_once() -> None:
    start = time.monotonic()
    for flood in ("<tool_call>", "<tool_call>{</tool_call>", '<tool_call>{"name":' + "[" * 50, PARIS_GOLD):
        assert judged(PARIS, flood * 20_000).score == 0.0
    assert time.monotonic() - start < 2.0


def test_the_calls_of_all_turns_are_judged_together_structured_or_written() -> None:
    step = {"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}
    as_text = {"function": {"name": "get_weather", "arguments": '{"city": "Rome"}'}}
    written = call("get_weather", city="Rome")
    result, done = {"role": "tool", "content": "sunny"}, {"role": "assistant", "content": "Sunny in both."}
    for second, score in (
        ({"role": "assistant", "content": "", "tool_calls": [as_text]}, 1.0),
        ({"role": "assistant", "content": f"<think>\n{written}\n</think>\n\n{written}"}, 1.0),
        ({"role": "assistant", "content": f"<think>\n{written}\n</think>\n\nNo more."}, 0.0),
        ({"role": "assistant", "content": "", "tool_calls": [as_text, step]}, 0.0),
        (
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"function": {"name": "get_weather", "arguments": "{"}}],
            },
            0.0,
        ),
        ({"role": "assistant", "content": "", "tool_calls": ["get_weather"]}, 0.0),
        ({"role": "assistant", "content": [{"type": "text", "text": written}]}, 1.0),
        ({"role": "assistant", "content": "", "tool_calls": json.dumps([as_text])}, 1.0),
        ({"role": "assistant", "content": "", "tool_calls": "get_weather"}, 0.0),
        (
            {
                "role": "assistant",
                "content": "",
                "function_call": {"name": "get_weather", "arguments": '{"city": "Rome"}'},
            },
            1.0,
        ),
        ({"role": "assistant", "content": "", "tool_calls": [{"name": "get_weather", "args": {"city": "Rome"}}]}, 1.0),
        (
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "1", "name": "get_weather", "input": {"city": "Rome"}}],
            },
            1.0,
        ),
        (
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": written}, {"type": "text", "text": "."}],
            },
            0.0,
        ),
    ):
        turns = ({"role": "assistant", "content": "", "tool_calls": [step]}, result, second, result, done)
        judged = Rollout("?", "Sunny in both.", columns={"tools": TOOLS, "calls": TWO}, messages=turns)
        assert ToolCall().judge([judged])[0].score == score, second
