"""The simulated services of one BFCL episode, run as a program: one JSON object a line in, one out.

    python -I simulator.py FOLDER_OF_BFCL_EVAL

`begin` makes the services of a scenario twice, for the policy and for the reference. `call` calls a method with JSON arguments;
nothing is evaluated as code, other than in the leaderboard. `next` ends a user's turn: the reference's calls are made, and as in
the leaderboard's checker (multi_turn_checker.py of bfcl-eval 2026.3.23) both must be in one state, and the results of all the
policy's calls so far must hold those of the reference's calls. It imports nothing of this project: another Python may run it.
"""

import ast
import copy
import importlib
import inspect
import json
import sys
from typing import Any

PLACE = "bfcl_eval.eval_checker.multi_turn_eval.func_source_code"
MODULES = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "TwitterAPI": "posting_api",
    "VehicleControlAPI": "vehicle_control",
}
# What a simulated service may raise for arguments that it does not take.
FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    MemoryError,
)


class Services:
    """The services of one side, by class."""

    def __init__(self, scenario: dict[str, Any]) -> None:
        self.by_class: dict[str, Any] = {}
        for name in scenario["involved_classes"]:
            made = getattr(importlib.import_module(f"{PLACE}.{MODULES[name]}"), name)()
            load = getattr(made, "_load_scenario", None)  # a service without it has no state
            if load is not None:
                load(copy.deepcopy(scenario["initial_config"].get(name, {})), long_context=False)
            self.by_class[name] = made

    def call(self, name: str, positional: list[Any], named: dict[str, Any]) -> str:
        """The result as the leaderboard writes it; what a service raises is a result, too."""
        method = next((getattr(one, name) for one in self.by_class.values() if _is_public(one, name)), None)
        if method is None:
            return f"Error during execution: there is no function {name}"
        try:
            result = method(*positional, **named)
        except FAULTS as error:
            return f"Error during execution: {error}"
        if isinstance(result, str):
            return result
        try:
            return json.dumps(result) if isinstance(result, dict) else str(result)
        except (TypeError, ValueError):
            return str(result)

    def state(self) -> dict[str, dict[str, Any]]:
        """The public attributes of each service."""
        return {
            name: {key: value for key, value in vars(one).items() if not key.startswith("_")}
            for name, one in self.by_class.items()
        }


class Scenario:
    """One episode: both sides, and what went wrong first."""

    def __init__(self, scenario: dict[str, Any]) -> None:
        self._policy, self._reference = Services(scenario), Services(scenario)
        self._turns: list[list[str]] = scenario["ground_truth"]
        self._excluded = set(scenario.get("excluded_function", ()))
        self._results: list[str] = []
        self._turn, self._called, self._wrong = 0, False, ""

    def call(self, name: str, arguments: dict[str, Any]) -> str:
        """A call of the policy."""
        if name in self._excluded:
            return f"Error during execution: there is no function {name}"
        self._called = True
        result = self._policy.call(name, [], arguments)
        self._results.append(result)
        return result

    def next(self) -> str:
        """End the turn; the first reason why the episode is not right, or nothing."""
        expected = [self._reference.call(*parsed(one)) for one in self._turns[self._turn]]
        place, self._turn = f"turn {self._turn + 1}", self._turn + 1
        called, self._called = self._called, False
        if self._wrong or not expected:
            return self._wrong
        left = list(self._results)
        missing = [one for one in expected if not _taken(left, one)]
        if not called:
            self._wrong = f"{place}: no call"
        elif self._policy.state() != self._reference.state():
            self._wrong = f"{place}: another state than the reference's"
        elif missing:
            self._wrong = f"{place}: {len(missing)} results of the reference are missing"
        return self._wrong

    def score(self) -> float:
        """1 where every turn was reached and is right."""
        return float(not self._wrong and self._turn == len(self._turns))


def parsed(written: str) -> tuple[str, list[Any], dict[str, Any]]:
    """A reference's call, `cd(folder='document')`, as name, positional and named arguments; all are literals."""
    call = ast.parse(written.strip(), mode="eval").body
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise ValueError(f"{written} is no call")
    named = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
    return call.func.id, [ast.literal_eval(one) for one in call.args], named


def _is_public(service: Any, name: str) -> bool:
    return not name.startswith("_") and inspect.ismethod(getattr(service, name, None))


def _taken(results: list[str], one: str) -> bool:
    """Take one occurrence of a result; whether there was one."""
    if one not in results:
        return False
    results.remove(one)
    return True


def answered(scenario: Scenario, message: dict[str, Any]) -> Any:
    """The answer to one order."""
    if message["do"] == "call":
        return scenario.call(str(message["name"]), dict(message["arguments"]))
    return scenario.next() if message["do"] == "next" else scenario.score()


def main() -> None:
    """Answer orders until there are no more."""
    sys.path.insert(0, sys.argv[1])
    out, sys.stdout = sys.stdout, sys.stderr  # what a service prints is no answer
    scenario = Scenario(json.loads(sys.stdin.readline()))
    print(json.dumps("begun"), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(answered(scenario, json.loads(line))), file=out, flush=True)


if __name__ == "__main__":
    main()
