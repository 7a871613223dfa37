"""Makes an evaluation's rows of BFCL's files; neither is part of this repository.

    python -m alignment.rollout.environments.bfcl.rows QUESTIONS.json ANSWERS.json > rows.jsonl            (single-turn)
    python -m alignment.rollout.environments.bfcl.rows QUESTIONS.json ANSWERS.json PACKAGE > rows.jsonl    (multi-turn)

A single-turn row has `tools` and `calls`, which the reward `tool_call` compares; a multi-turn row has `tools` and a `scenario`,
which the environment `bfcl` simulates. PACKAGE: the folder with bfcl_eval, whose function docs are the tools. Neighbours:
environment.py, rewards/kinds/tool_call (judges the single-turn rows).
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alignment.rollout.environments.bfcl.simulator import MODULES

TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}  # of BFCL, in JSON schema
DOCS = Path("bfcl_eval/data/multi_turn_func_doc")
Row = dict[str, Any]


def single_turn(questions: Path, answers: Path) -> Iterator[Row]:
    """Rows whose calls the reward `tool_call` compares."""
    wanted = {one["id"]: one["ground_truth"] for one in _lines(answers)}
    for row in _lines(questions):
        calls = wanted[row["id"]]
        tools, said = json.dumps([_tool(one) for one in row["function"]]), json.dumps(calls, ensure_ascii=False)
        yield {"id": row["id"], "prompt": row["question"][0], "answer": said, "tools": tools, "calls": said}


def multi_turn(questions: Path, answers: Path, package: Path) -> Iterator[Row]:
    """Rows that the environment `bfcl` simulates."""
    wanted = {one["id"]: one["ground_truth"] for one in _lines(answers)}
    for row in _lines(questions):
        excluded, reference = row.get("excluded_function", []), wanted[row["id"]]
        offered = [tool for name in row["involved_classes"] for tool in _documented(package, name)]
        kept = {key: row[key] for key in ("initial_config", "involved_classes")}
        scenario = {"turns": row["question"], **kept, "ground_truth": reference, "excluded_function": excluded}
        yield {
            "id": row["id"],
            "prompt": row["question"][0],
            "answer": "; ".join(call for turn in reference for call in turn),
            "tools": json.dumps([_tool(one) for one in offered if one["name"] not in excluded]),
            "scenario": json.dumps(scenario, ensure_ascii=False),
        }


def _documented(package: Path, service: str) -> list[Row]:
    """The function docs of a service."""
    return list(_lines(package / DOCS / f"{MODULES[service]}.json"))


def _tool(one: Row) -> Row:
    """A function doc as a tool: its types in JSON schema's words, without what it says of results."""
    function = {"name": one["name"], "description": one["description"], "parameters": _typed(one["parameters"])}
    return {"type": "function", "function": function}


def _typed(schema: Any) -> Any:
    """A schema with JSON schema's names of types; a property that is called `type` stays."""
    if isinstance(schema, list):
        return [_typed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: TYPES.get(value, value) if key == "type" and isinstance(value, str) else _typed(value)
        for key, value in schema.items()
    }


def _lines(path: Path) -> Iterator[Row]:
    return map(json.loads, path.read_text(encoding="utf-8").splitlines())


def main() -> None:
    """Write the rows."""
    questions, answers, *package = map(Path, sys.argv[1:])
    rows = multi_turn(questions, answers, package[0]) if package else single_turn(questions, answers)
    for row in rows:
        print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main()
