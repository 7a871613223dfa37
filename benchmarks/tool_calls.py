r"""`tool_call` on the Berkeley leaderboard's rows: `python benchmarks/tool_calls.py --bfcl FOLDER`.

The folder holds the leaderboard's `BFCL_v4_*.json` and their `possible_answer_BFCL_v4_*.json`, both from `bfcl_eval/data`
of github.com/ShishirPatil/gorilla (Apache-2.0). gold: each row's reference, written as a model would, passes; rows whose
reference contradicts their own tools have no score, and are listed. changed: the same calls with another tool, an
argument added, dropped, or of another value or type, a call repeated or left out: refused. needless: rows in which no tool
fits accept an answer without a call and refuse one with. Bounds: 1.0 of the gold that its tools allow, 0.99 refused.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from rewards import Rollout, Verdict
from rewards.kinds.tool_call import gold_calls
from rewards.kinds.tool_call.schema import read_tools
from rewards.kinds.tool_call.values import read_calls
from rewards.kinds.tool_call.verifier import ToolCall

PARTS = ("simple_python", "multiple", "parallel", "parallel_multiple", "live_simple", "live_multiple", "live_parallel",
         "live_parallel_multiple")  # fmt: skip
WITHOUT_CALLS = ("irrelevance", "live_irrelevance")
REFUSED_BOUND = 0.99

Columns = dict[str, Any]


def rows_of(folder: Path, part: str, *, calls: bool = True) -> Iterator[tuple[str, Columns]]:
    """The name and columns of each row of a part; without `calls`, rows whose reference is that none is made."""
    wanted: dict[str, Any] = {}
    if calls:
        lines = (folder / f"possible_answer_BFCL_v4_{part}.json").read_text(encoding="utf-8").splitlines()
        wanted = {row["id"]: row["ground_truth"] for row in map(json.loads, lines)}
    for line in (folder / f"BFCL_v4_{part}.json").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield row["id"], {"tools": row["function"], "calls": wanted[row["id"]] if calls else []}


def changes(columns: Columns) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The reference's calls with one thing changed, each with what was changed."""
    tools, references = read_tools(columns["tools"]) or {}, read_calls(columns["calls"]) or []
    made = [one.gold(tools[one.name]) for one in references if one.name in tools]
    if made:
        yield "call repeated", [*made, made[0]]
        yield "call left out", made[1:]
    for place, call in enumerate(made):
        for what, other in changed_calls(call, tools[call["name"]].required):
            yield what, [*made[:place], other, *made[place + 1 :]]


def changed_calls(call: dict[str, Any], required: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """One call with another name, an argument more, one less that is required, and each of another value and type."""
    arguments = call["arguments"]
    yield "other tool", {**call, "name": call["name"] + "_"}
    yield "argument added", {**call, "arguments": {**arguments, "zzz": 1}}
    for name, value in arguments.items():
        if name in required:
            yield "argument dropped", {**call, "arguments": {key: one for key, one in arguments.items() if key != name}}
        yield "value changed", {**call, "arguments": {**arguments, name: changed(value)}}
        yield "type changed", {**call, "arguments": {**arguments, name: {"value": value}}}


def changed(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool) or value is None:
        return "neither"
    if isinstance(value, (int, float)):
        return value + 1_000_003
    return value + " zzz" if isinstance(value, str) else [*value, "zzz"] if isinstance(value, list) else {}


def written(calls: list[dict[str, Any]]) -> str:
    """Calls as Qwen writes them; a sentence where there are none."""
    return "\n".join(f"<tool_call>\n{json.dumps(one)}\n</tool_call>" for one in calls) or "None is needed."


def judged(verifier: ToolCall, columns: Columns, answer: str) -> Verdict:
    """The verdict on one answer."""
    return verifier.judge([Rollout("", answer, columns=columns)])[0]


def gold_and_changed(verifier: ToolCall, folder: Path) -> tuple[Counter[str], list[str]]:
    """Counts over all parts with calls, printed by part, and the references that do not pass with the reason."""
    counts, failed = Counter[str](), list[str]()
    for part in PARTS:
        rows, own = list(rows_of(folder, part)), Counter[str]()
        for name, columns in rows:
            verdict = judged(verifier, columns, gold_calls(columns))
            own[f"gold {verdict.score}"] += 1
            if verdict.score != 1.0:
                failed.append(
                    f"{name}: {verdict.score} {verdict.reason} {json.dumps(verdict.evidence, default=str)[:160]}"
                )
                continue
            for what, calls in changes(columns):
                own[
                    f"{what}: {'refused' if judged(verifier, columns, written(calls)).score == 0.0 else 'accepted'}"
                ] += 1
        refused = sum(count for name, count in own.items() if name.endswith("refused"))
        accepted = sum(count for name, count in own.items() if name.endswith("accepted"))
        print(
            f"{part}: {own['gold 1.0']} of {len(rows)} references pass; {refused} of {refused + accepted} changed refused"
        )
        counts += own
    return counts, failed


def without_calls(verifier: ToolCall, folder: Path) -> Counter[str]:
    """Rows in which no tool fits: an answer without a call passes, one with a call is refused."""
    counts = Counter[str]()
    for part in WITHOUT_CALLS:
        for _, columns in rows_of(folder, part, calls=False):
            counts[f"no call {judged(verifier, columns, 'None of the tools is needed.').score}"] += 1
            if columns["tools"]:
                needless = written([{"name": columns["tools"][0]["name"], "arguments": {}}])
                counts[f"needless call {judged(verifier, columns, needless).score}"] += 1
    return counts


def main(bfcl: Annotated[Path, typer.Option(help="the folder with the leaderboard's files")]) -> None:
    """Measure and print; the exit status is 1 where a bound is missed."""
    with closing(ToolCall()) as verifier:
        counts, failed = gold_and_changed(verifier, bfcl)
        needless = without_calls(verifier, bfcl)
    for line in failed:
        print(f"  no score: {line}")
    print("\n".join(f"{count:6} {name}" for name, count in sorted((counts + needless).items())))
    changed_ones = {name: count for name, count in counts.items() if not name.startswith("gold")}
    refused = sum(count for name, count in changed_ones.items() if name.endswith("refused"))
    fraction = refused / sum(changed_ones.values())
    print(
        f"{counts['gold 1.0']} of {sum(counts.values()) - sum(changed_ones.values())} references pass, {fraction:.4f} of changed refused"
    )
    wrong = counts["gold 0.0"] or needless["no call 0.0"] or needless["needless call 1.0"]
    raise typer.Exit(1 if wrong or fraction < REFUSED_BOUND else 0)


if __name__ == "__main__":
    typer.run(main)
