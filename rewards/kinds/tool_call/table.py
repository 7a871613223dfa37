"""The table of `tool_call`: single, parallel and no calls; each way to be wrong; and answers made to be let through."""

import json
from typing import Any

from rewards.kind import Group, Row

WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city"],
    },
}
ROUTE = {
    "name": "route.plan",
    "description": "A route through stops.",
    "parameters": {
        "type": "dict",
        "properties": {
            "stops": {"type": "array", "items": {"type": "string"}},
            "limit": {"type": "float"},
            "options": {"type": "dict", "properties": {"tolls": {"type": "boolean"}, "by": {"type": "string"}}},
        },
        "required": ["stops"],
    },
}
TOOLS = [{"type": "function", "function": WEATHER}, {"type": "function", "function": ROUTE}]

PARIS: list[dict[str, Any]] = [
    {"get_weather": {"city": ["Paris", "Paris, France"], "days": [3], "unit": ["", "celsius"]}}
]
TWO: list[dict[str, Any]] = [
    {"name": "get_weather", "arguments": {"city": "Oslo"}},
    {"name": "get_weather", "arguments": {"city": "Rome"}},
]
TRIP: list[dict[str, Any]] = [
    {"route.plan": {"stops": [["A", "B"]], "limit": [2.5, ""], "options": [{"tolls": [False], "by": ["car", ""]}, ""]}}
]


# What references say against their own tools: another type, more than an object declares, no value at all.
HOTEL = [
    {
        "name": "hotel",
        "parameters": {
            "type": "object",
            "properties": {
                "rooms": {"type": "string", "enum": ["1", "2"]},
                "pets": {"type": "string", "enum": ["True", "False"]},
                "data": {"type": "object", "properties": {"key": {"type": "string"}}},
                "notes": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["notes"],
        },
    }
]
BOOKED = [{"hotel": {"rooms": [2], "pets": [True, ""], "data": [{"name": ["Ann"]}, ""], "notes": []}}]


def call(name: str, **arguments: Any) -> str:
    """A call as Qwen writes it."""
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def _row(group: Group, calls: Any, completion: str, score: float | None, tools: Any = TOOLS) -> Row:
    return Row(group, completion, score, {"tools": tools, "calls": calls})


FORECAST = {
    "name": "forecast",
    "parameters": {
        "type": "object",
        "properties": {
            "place": {"description": "Where."},
            "days": {"type": "integer", "default": 3},
            "unit": {"type": "string", "enum": ["celsius"], "default": "celsius"},
        },
        "required": ["place"],
    },
}
NOW = {"name": "now", "parameters": {"type": "object", "properties": {}}}
MORE_TOOLS = [FORECAST, NOW, NOW]  # one is listed twice
OSLO_FORECAST: list[dict[str, Any]] = [{"forecast": {"place": ["Oslo", None], "unit": ["", "N/A", "celsius"]}}]
FILE: list[dict[str, Any]] = [{"name": "forecast", "arguments": {"place": "main.py"}}]
TAGGED: list[dict[str, Any]] = [{"name": "forecast", "arguments": {"place": "</think>"}}]
LOCALE: list[dict[str, Any]] = [{"name": "forecast", "arguments": {"place": "en-US"}}]
SCALE = [{"name": "scale", "parameters": {"type": "object", "properties": {"by": {"type": None, "default": 1.0}}}}]
FINDS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CITY: list[dict[str, Any]] = [{"name": "find", "arguments": {"city": "Oslo"}}]
SCALED: list[dict[str, Any]] = [{"name": "scale", "arguments": {}}]
CALL_NOW: list[dict[str, Any]] = [{"name": "now", "arguments": {}}]


def _more(group: Group, calls: Any, completion: str, score: float | None) -> Row:
    return _row(group, calls, completion, score, MORE_TOOLS)


PARIS_GOLD = call("get_weather", city="Paris", days=3)
OSLO, ROME = call("get_weather", city="Oslo"), call("get_weather", city="Rome")

ROWS: tuple[Row, ...] = (
    _row("gold", PARIS, PARIS_GOLD, 1.0),
    _row("gold", PARIS, f"<think>\n{ROME}\n</think>\n\nI look it up.\n{PARIS_GOLD}", 1.0),
    _row("gold", PARIS, call("get_weather", unit="celsius", days=3, city="paris,  France"), 1.0),
    _row("gold", json.dumps(PARIS), PARIS_GOLD, 1.0, json.dumps(TOOLS)),
    _row("gold", PARIS, call("get_weather", city="Paris", days=3.0), 1.0),
    _row("gold", TWO, f"{OSLO}\n{ROME}", 1.0),
    _row("gold", TWO, f"{ROME}\n{OSLO}", 1.0),
    _row("gold", TRIP, call("route.plan", stops=["A", "B"], options={"tolls": False}), 1.0),
    _row("gold", TRIP, call("route.plan", stops=["a", "b"], limit=2.5, options={"by": "car", "tolls": False}), 1.0),
    _row("gold", [], "No tool of mine can do that.", 1.0),
    _row("gold", [], "A call would be written {\"name\": ...}, but none is needed.", 1.0),
    _row("near_miss", PARIS, call("get_weather", city="Paris", days=4), 0.0),
    _row("near_miss", PARIS, call("get_weather", city="Paris", days="3"), 0.0),
    _row("near_miss", PARIS, call("get_weather", city="Paris", days=True), 0.0),
    _row("near_miss", PARIS, call("get_weather", days=3), 0.0),
    _row("near_miss", PARIS, call("get_weather", city="Paris"), 0.0),
    _row("near_miss", PARIS, call("get_weather", city="Paris", days=3, unit="fahrenheit"), 0.0),
    _row("near_miss", PARIS, call("get_weather", city="Paris", days=3, hour=9), 0.0),
    _row("near_miss", PARIS, call("weather", city="Paris", days=3), 0.0),
    _row("near_miss", PARIS, f"{PARIS_GOLD}\n{PARIS_GOLD}", 0.0),
    _row("near_miss", PARIS, f"{PARIS_GOLD}\n{ROME}", 0.0),
    _row("near_miss", TWO, OSLO, 0.0),
    _row("near_miss", TWO, f"{OSLO}\n{OSLO}", 0.0),
    _row("near_miss", TRIP, call("route.plan", stops=["B", "A"], options={"tolls": False}), 0.0),
    _row("near_miss", TRIP, call("route.plan", stops=["A", "B"], options={"tolls": True}), 0.0),
    _row("near_miss", [], f"I try.\n{PARIS_GOLD}", 0.0),
    _row("garbage", PARIS, "", 0.0),
    _row("garbage", PARIS, "It is sunny in Paris.", 0.0),
    _row("garbage", PARIS, "<tool_call>\nget_weather(city='Paris', days=3)\n</tool_call>", 0.0),
    _row("garbage", PARIS, PARIS_GOLD.removesuffix("\n</tool_call>"), 0.0),
    _row("garbage", PARIS, PARIS_GOLD.removeprefix("<tool_call>\n"), 0.0),
    _row("garbage", [], "<think>\nNo tool fits", 0.0),
    _row("unjudgeable", PARIS, PARIS_GOLD, None, []),
    _row("unjudgeable", PARIS, PARIS_GOLD, None, "not JSON"),
    _row("unjudgeable", PARIS, PARIS_GOLD, None, [{"name": "get_weather"}, {"name": "get_weather"}]),
    _row("unjudgeable", None, PARIS_GOLD, None),
    _row("unjudgeable", [{"get_wether": {"city": ["Paris"]}}], PARIS_GOLD, None),
    _row("unjudgeable", [{"get_weather": {"days": [3]}}], PARIS_GOLD, None),  # without what its own tool requires
    _row("gold", BOOKED, call("hotel", rooms=2, pets=True), 1.0, HOTEL),
    _row("gold", BOOKED, call("hotel", rooms="2", pets="True", notes=[]), 1.0, HOTEL),
    _row("gold", BOOKED, call("hotel", rooms=2, data={"name": "Ann"}), 1.0, HOTEL),
    _row("near_miss", BOOKED, call("hotel", rooms="1"), 0.0, HOTEL),
    _row("near_miss", BOOKED, call("hotel", rooms=2, pets="False"), 0.0, HOTEL),
    _row("near_miss", BOOKED, call("hotel", rooms=2, data={"name": "Bob"}), 0.0, HOTEL),
    _row("near_miss", BOOKED, call("hotel", rooms=2, notes=["late"]), 0.0, HOTEL),
    _row("garbage", BOOKED, call("hotel", rooms=[2]), 0.0, HOTEL),
    _row("unjudgeable", [{"hotel": {"floor": [3], "notes": []}}], call("hotel", floor=3), None, HOTEL),
    _more("gold", OSLO_FORECAST, call("forecast", place="Oslo"), 1.0),
    _more("gold", OSLO_FORECAST, call("forecast", place="Oslo", days=3), 1.0),  # what it means where it is left out
    _more("gold", OSLO_FORECAST, call("forecast", place="Oslo", unit="N/A"), 1.0),  # which the enum forgot
    _more("gold", OSLO_FORECAST, call("forecast", place=None), 1.0),
    _more("gold", FILE, call("forecast", place="main.py"), 1.0),
    _more("gold", TAGGED, call("forecast", place="</think>"), 1.0),
    _more("gold", CALL_NOW, "<tool_call>\n{\"name\": \"now\"}\n</tool_call>", 1.0),
    _row("gold", [], "No tool fits.", 1.0, []),
    _row("gold", "[]", "No tool fits.", 1.0, "[]"),
    _more("near_miss", OSLO_FORECAST, call("forecast", place="Oslo", days=4), 0.0),
    _more("near_miss", OSLO_FORECAST, call("forecast", place="Oslo", unit="kelvin"), 0.0),
    _more("near_miss", FILE, call("forecast", place="mainpy"), 0.0),
    _more("near_miss", FILE, call("forecast", place="Main.py"), 0.0),
    _more("near_miss", CALL_NOW, call("now", zone="utc"), 0.0),
    _more("near_miss", TAGGED, "<think>\n" + call("forecast", place="</think>"), 0.0),
    _more("gold", CALL_NOW, "<tool_call>\n{\"name\": \"now\", \"arguments\": null}\n</tool_call>", 1.0),
    _more("gold", [{"name": "now"}], "<tool_call>\n{\"name\": \"now\"}\n</tool_call>", 1.0),
    _more("gold", LOCALE, call("forecast", place="en-US"), 1.0),
    _row("gold", SCALED, "<tool_call>\n{\"name\": \"scale\"}\n</tool_call>", 1.0, SCALE),  # nothing is required
    _row("gold", SCALED, call("scale", by=1), 1.0, SCALE),  # the default 1.0, written as a whole number
    _row("gold", CITY, call("find", city="Oslo"), 1.0, [{"name": "find", "input_schema": FINDS}]),
    _row("gold", CITY, call("find", city="Oslo"), 1.0, [{"name": "find", "inputSchema": FINDS}]),
    _row("near_miss", CITY, call("find", city=3), 0.0, [{"name": "find", "input_schema": FINDS}]),
    _row("near_miss", SCALED, call("scale", by=2), 0.0, SCALE),
    _row("near_miss", SCALED, call("scale", by=True), 0.0, SCALE),
    _more("near_miss", FILE, "<tool_call>\n{\"name\": \"forecast\"}\n</tool_call>", 0.0),
    _more("near_miss", LOCALE, call("forecast", place="enus"), 0.0),
    _row("garbage", [], PARIS_GOLD, 0.0, []),
    _row("adversarial", PARIS, f"<think>\n{PARIS_GOLD}\n</think>\n\nIt is sunny.", 0.0),
    _row("adversarial", PARIS, "\n".join(call("get_weather", city="Paris", days=day) for day in range(10)), 0.0),
    _row("adversarial", PARIS, PARIS_GOLD.replace('"days": 3', '"days": 4, "days": 3'), 0.0),
    _row("adversarial", PARIS, PARIS_GOLD.replace("3", "NaN"), 0.0),
    _row("adversarial", PARIS, PARIS_GOLD.replace("3", "3e999"), 0.0),
    _row("adversarial", PARIS, call("get_weather", city=["Paris", "Paris, France"], days=3), 0.0),
    _row("adversarial", PARIS, "<tool_call>\n" + '{"name":' * 20_000, 0.0),
    _row("adversarial", PARIS, "<tool_call>" * 50_000, 0.0),
    _row("adversarial", PARIS, "<tool_call>{</tool_call>" * 5_000, 0.0),
    _row("adversarial", [], "", 0.0),
    _row("adversarial", [], "<tool_call>", 0.0),
)  # fmt: skip
