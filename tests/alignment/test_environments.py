"""Environments: what tools answer, that wrong calls are answered in words, and how kinds are found."""

import json
from pathlib import Path
from typing import Any

import pytest

from alignment.core.errors import RecipeError
from alignment.core.resources import resource
from alignment.data.rows import Problem, user_turn
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.rollout.environments.arithmetic import ArithmeticRefused, evaluate
from alignment.rollout.environments.calls import as_message, calls_in
from alignment.rollout.environments.executors import MAX_KEYS
from alignment.rollout.environments.registry import environment_faults, environment_names, open_environments
from alignment.rollout.environments.tools import MOST_CALLS, ToolConversation
from rewards import machine_fault

PROBLEM = Problem("p", [user_turn("What is 12345 * 678?")], "8369910")
ISOLATED = machine_fault({"kind": "python_tests"}) is None


def call(name: str, **arguments: Any) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def conversation(*tools: str, **options: Any) -> ToolConversation:
    opened = open_environments(EnvironmentChoice.model_validate({"kind": "tools", "tools": list(tools), **options}))
    environment = opened.new()
    assert isinstance(environment, ToolConversation)
    environment.reset(PROBLEM)
    return environment


def results(environment: ToolConversation, text: str) -> list[str]:
    said = environment.step(as_message(text))
    assert {one["role"] for one in said} <= {"tool"}
    return [one["content"] for one in said]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("12345 * 678", "8369910"),
        ("2 + 3 * 4", "14"),
        ("(2 + 3) * 4", "20"),
        ("10 - 4 - 3", "3"),
        ("-3 ** 2", "-9"),
        ("2 ** -1", "0.5"),
        ("2 ^ 10", "1024"),
        ("7 // 2 + 7 % 4", "6"),
        ("1 / 3", "0.3333333333"),
        ("0.1 + 0.2", "0.3"),
        ("--5", "5"),
    ],
)
def test_arithmetic_has_its_value(expression: str, value: str) -> None:
    assert evaluate(expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        "", "1 +", "1 2", "(1", "1)", "1 / 0", "5 % 0", "0 ** -1", "__import__('os')", "1e9", "9 ** 9 ** 9 ** 9",
        "9**64**9", "2 ** 0.5", "1" * 61, "1" * 201, "(" * 150 + "1", "-" * 150 + "1", "1 if 1 else 2", "a", "9**64*9",
    ],
)  # fmt: skip
def test_what_has_no_value_is_refused_at_once(expression: str) -> None:
    with pytest.raises(ArithmeticRefused):
        evaluate(expression)


def test_each_call_of_a_turn_is_answered_in_order_and_a_turn_without_a_call_ends_it() -> None:
    environment = conversation("calculator")
    both = f"{call('calculator', expression='2 * 3')}\n{call('calculator', expression='2 + 3')}"
    assert results(environment, f"<think>\nboth\n</think>\n\n{both}") == ["6", "5"]
    assert environment.step(as_message("It is 6.")) == []
    assert environment.step(as_message(f"<think>\n{call('calculator', expression='1')}\n</think>\n\n6")) == [], (
        "a call that is only thought of is none"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<tool_call>\ncalculator(1)\n</tool_call>", "no call"),
        ('<tool_call>\n{"name": "calculator", "arguments": {"expression": "1"}}', "no call"),
        ('<tool_call>\n{"name": "calculator", "name": "x", "arguments": {}}\n</tool_call>', "no call"),
        ("<tool_call>\n" + "[" * 5000 + "\n</tool_call>", "no call"),
        (call("shell", command="rm -rf /"), "there is no tool 'shell'"),
        (call("calculator"), "missing argument 'expression'"),
        (call("calculator", expression=5), "wrong type 'expression'"),
        (call("calculator", expression="1", precision=3), "unknown argument 'precision'"),
        (call("calculator", expression="1 / 0"), "division by zero"),
    ],
)
def test_a_wrong_call_is_answered_in_words_and_does_not_crash(text: str, says: str) -> None:
    (said,) = results(conversation("calculator"), text)
    assert said.startswith("error: ") and says in said


def test_calls_without_end_are_answered_up_to_a_limit() -> None:
    found = results(conversation("calculator"), call("calculator", expression="1") * 40)
    assert found[:MOST_CALLS] == ["1"] * MOST_CALLS and all("more than" in one for one in found[MOST_CALLS:])


def test_a_store_keeps_values_for_its_rollout_alone_and_is_bounded() -> None:
    opened = open_environments(EnvironmentChoice.model_validate({"kind": "tools", "tools": ["store"]}))
    one, other = opened.new(), opened.new()
    for environment in (one, other):
        environment.reset(PROBLEM)
    assert one.step(as_message(call("store_set", key="a", value="1")))[0]["content"] == "ok"
    assert one.step(as_message(call("store_get", key="a")))[0]["content"] == "1"
    assert "nothing is kept" in other.step(as_message(call("store_get", key="a")))[0]["content"]
    for number in range(MAX_KEYS - 1):
        assert one.step(as_message(call("store_set", key=str(number), value="")))[0]["content"] == "ok"
    assert "are the most" in one.step(as_message(call("store_set", key="one more", value="")))[0]["content"]
    assert "more than" in one.step(as_message(call("store_set", key="a", value="x" * 5000)))[0]["content"]


def test_a_long_result_is_cut() -> None:
    (said,) = results(conversation("calculator", result_characters=5), call("calculator", expression="10 ** 20"))
    assert said == "10000 …"


@pytest.mark.skipif(not ISOLATED, reason="nothing on this machine isolates programs")
def test_programs_run_in_the_sandbox_and_what_goes_wrong_is_reported() -> None:
    environment = conversation("python", timeout_seconds=2.0)
    assert results(environment, call("python", code="print(12345 * 678)")) == ["8369910"]
    assert results(environment, call("python", code="x = 1")) == ["(nothing was printed)"]
    assert results(environment, call("python", code="print(x)")) == [
        "error: crashed: NameError: name 'x' is not defined"
    ]
    assert "timed out" in results(environment, call("python", code="while True: pass"))[0]
    assert "syntax error" in results(environment, call("python", code="1 +"))[0]
    assert (
        "error"
        in results(environment, call("python", code="import socket; socket.socket().connect(('1.1.1.1', 80))"))[0]
    )
    assert "characters" in results(environment, call("python", code="#" * 30_000))[0]


def test_a_problems_own_tool_is_offered_and_a_call_of_it_ends_the_rollout_to_be_judged() -> None:
    opened = open_environments(EnvironmentChoice.model_validate({"kind": "tools"}))
    environment = opened.new()
    weather = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
    short = {"name": "calculator", "parameters": {"properties": {"expression": {"type": "string"}}}}
    opening = environment.reset(Problem("p", [user_turn("?")], "", tools=[weather, short]))
    assert opening.tools == [weather, short], "the problem's own schema of the calculator is shown, once"
    assert environment.step(as_message(call("weather", city="Oslo"))) == []
    assert environment.step(as_message(call("calculator", expression="1 + 1")))[0]["content"] == "2"
    assert "missing argument" in environment.step(as_message(call("calculator")))[0]["content"]


def test_a_turn_is_read_as_a_message_with_structured_calls() -> None:
    made = as_message(f"<think>\nI compute.\n</think>\n\nLet me see.\n{call('calculator', expression='1')}")
    assert (made["reasoning_content"], made["content"]) == ("I compute.", "Let me see.")
    assert made["tool_calls"][0]["function"] == {"name": "calculator", "arguments": {"expression": "1"}}
    torn = f"{call('calculator', expression='1')}\n<tool_call>\noops\n</tool_call>"
    assert as_message(torn) == {"role": "assistant", "content": torn}, "what is malformed stays as it was written"
    assert [one.name for one in calls_in(as_message(torn))] == ["calculator", None]


def test_kinds_are_found_by_name_and_their_options_are_checked() -> None:
    assert {"single_turn", "tools"} <= set(environment_names())
    assert environment_faults(EnvironmentChoice()) == []
    for written, says in (
        ({"kind": "maze"}, "there is no environment `maze`"),
        ({"kind": "tools", "tools": ["shell"]}, "tools.0"),
        (
            {"kind": "tools", "results": 5},
            "it takes: kind, max_turns, tools, offered, result_characters, timeout_seconds",
        ),
        ({"kind": "single_turn", "tools": []}, "tools"),
    ):
        (problem,) = environment_faults(EnvironmentChoice.model_validate(written))
        assert says in problem
    with pytest.raises(RecipeError):
        open_environments(EnvironmentChoice(kind="maze"))


def test_another_packages_environment_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "maze_package.py").write_text(
        "from alignment.rollout.environments.protocol import EnvironmentKind\n"
        "from alignment.rollout.environments.single_turn import NoOptions, SingleTurn\n"
        'KIND = EnvironmentKind("maze", NoOptions, lambda options: SingleTurn())\n'
        'OTHER = EnvironmentKind("labyrinth", NoOptions, lambda options: SingleTurn())\n',
        encoding="utf-8",
    )
    information = tmp_path / "maze_package-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: maze-package\nVersion: 1.0\n", encoding="utf-8")
    (information / "entry_points.txt").write_text(
        "[alignment.environments]\nmaze = maze_package:KIND\nwrong = maze_package:OTHER\ngone = no_such_module:KIND\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert environment_faults(EnvironmentChoice(kind="maze")) == []
    assert open_environments(EnvironmentChoice(kind="maze")).new().reset(PROBLEM).messages == PROBLEM.messages
    (wrong,) = environment_faults(EnvironmentChoice(kind="wrong"))
    assert "maze_package:OTHER of the package maze-package" in wrong
    (gone,) = environment_faults(EnvironmentChoice(kind="gone"))
    assert "cannot be loaded" in gone and "maze-package" in gone


def test_the_environment_that_the_documentation_shows_works_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (resource("docs") / "rollouts.md").read_text(encoding="utf-8")
    code = next(one for one in page.split("```python\n")[1:] if "KIND =" in one).split("```", 1)[0]
    (tmp_path / "their_maze.py").write_text(code, encoding="utf-8")
    information = tmp_path / "their_maze-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: their-maze\nVersion: 1.0\n", encoding="utf-8")
    (information / "entry_points.txt").write_text(
        "[alignment.environments]\nmaze = their_maze:KIND\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    choice = EnvironmentChoice.model_validate({"kind": "maze", "size": 2})
    assert environment_faults(choice) == []
    assert (
        "it takes: kind, max_turns, size"
        in environment_faults(EnvironmentChoice.model_validate({"kind": "maze", "width": 2}))[0]
    )
    environment = open_environments(choice).new()
    assert environment.reset(PROBLEM).messages[-1]["content"] == "Which way?"
    assert environment.step(as_message("left")) == [{"role": "user", "content": "A wall. Which way?"}]
    assert environment.step(as_message("right")) == []
