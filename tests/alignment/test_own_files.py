"""Files of one's own: recognised by their keys, in every format, by a path from the recipe, with the hash in the identity."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from alignment.checks.plan import print_plan
from alignment.checks.recipe import checked
from alignment.commands.data.showing import show_file
from alignment.core.errors import RecipeError
from alignment.data.mixture import conversations_of, load_parts, pairs_of
from alignment.data.rows import Conversation
from alignment.lint.cases import read_cases
from alignment.run.identity import stage_identity

QUESTION, ANSWER = "What is 1 + 2?", "3"
CHAT = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]
PARTS = [{"type": "text", "text": "What is "}, {"type": "text", "text": "1 + 2?"}]
SHAPES: dict[str, dict[str, Any]] = {
    "OpenAI messages": {"messages": [{"role": "user", "content": PARTS}, CHAT[1]]},
    "ShareGPT": {"conversations": [{"from": "human", "value": QUESTION}, {"from": "gpt", "value": ANSWER}]},
    "Alpaca": {"instruction": QUESTION, "input": "", "output": ANSWER},
    "prompt and completion": {"prompt": QUESTION, "completion": ANSWER},
    "prompt and completion ": {"prompt": CHAT[:1], "completion": CHAT[1:]},
}
PAIRS = [
    {"prompt": QUESTION, "chosen": "3", "rejected": "4"},
    {"prompt": CHAT[:1], "chosen": CHAT[1], "rejected": {**CHAT[1], "content": "4"}},
    {"chosen": CHAT, "rejected": [CHAT[0], {**CHAT[1], "content": "4"}]},
]


def recipe(folder: Path, data: str, kind: str = "sft") -> Path:
    path = folder / "recipe.yaml"
    path.write_text(
        "name: own\nmodel: embedded\nhardware: {accelerate: cpu}\nstages:\n"
        f"  - {{name: tune, kind: {kind}, data: {data}, max_length: 512, trainer: {{max_steps: 2}}}}\n",
        encoding="utf-8",
    )
    return path


def chats(path: Path) -> list[Conversation]:
    plan = checked(path, [])
    return conversations_of(plan.recipe, load_parts(plan.recipe.stages[0].data), Path)


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_recognised_and_said_aloud_and_lint_reads_what_training_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(lines([SHAPES[name]]), encoding="utf-8")
    path = recipe(tmp_path, "rows.jsonl")
    (row,) = chats(path)
    assert row.messages == CHAT
    cases, findings = read_cases(rows, 8)
    assert [case.messages for case in cases] == [CHAT] and findings == []
    print_plan(checked(path, []), Console(width=200))
    assert f"rows.jsonl: 1 rows ({name.strip()}" in capsys.readouterr().out


def as_csv(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["prompt", "completion"])
        writer.writeheader()
        writer.writerows([{"prompt": f"{number}\nplus 2?", "completion": number + 2} for number in range(3)])


def as_parquet(path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    rows = [{"prompt": f"{number}\nplus 2?", "completion": str(number + 2)} for number in range(3)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


ROWS = [{"prompt": f"{number}\nplus 2?", "completion": str(number + 2)} for number in range(3)]
FORMATS: dict[str, Callable[[Path], Any]] = {
    "rows.json": lambda path: path.write_text(json.dumps(ROWS, indent=1), encoding="utf-8"),
    "rows.jsonl.gz": lambda path: path.write_bytes(gzip.compress(lines(ROWS).encode())),
    "rows.csv": as_csv,
    "rows.parquet": as_parquet,
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_holds_the_same_rows(tmp_path: Path, name: str) -> None:
    FORMATS[name](tmp_path / name)
    found = {row.messages[0]["content"]: row.messages[1]["content"] for row in chats(recipe(tmp_path, name))}
    assert found == {row["prompt"]: row["completion"] for row in ROWS}


def test_a_folder_of_files_is_one_table(tmp_path: Path) -> None:
    (tmp_path / "chats").mkdir()
    as_csv(tmp_path / "chats" / "a.csv")
    (tmp_path / "chats" / "b.jsonl").write_text(lines([{"messages": CHAT}]), encoding="utf-8")
    assert len(chats(recipe(tmp_path, "./chats"))) == 4


def test_fields_name_what_nothing_recognises(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(lines([{"frage": QUESTION, "antwort": ANSWER}]), encoding="utf-8")
    with pytest.raises(RecipeError, match="the first row has frage, antwort, which is no shape that is known"):
        checked(recipe(tmp_path, "rows.jsonl"), [])
    path = recipe(tmp_path, "[{source: rows.jsonl, fields: {prompt: frage, completion: antwort}}]")
    assert [row.messages for row in chats(path)] == [CHAT]


def test_a_source_declared_beside_the_recipe_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows.jsonl").write_text(lines([{"dialog": CHAT}]), encoding="utf-8")
    (tmp_path / "own.yaml").write_text(
        "{id: own, description: mine, licence: mine, kind: table, file: rows.jsonl, fields: {messages: dialog}}",
        encoding="utf-8",
    )
    monkeypatch.chdir("/")
    assert [row.messages for row in chats(recipe(tmp_path, "[{source: ./own.yaml}]"))] == [CHAT]


@pytest.mark.parametrize("pair", PAIRS)
def test_pairs_of_ones_own_are_read_for_dpo_in_every_form(tmp_path: Path, pair: dict[str, Any]) -> None:
    (tmp_path / "rows.jsonl").write_text(lines([pair]), encoding="utf-8")
    plan = checked(recipe(tmp_path, "rows.jsonl", "dpo"), [])
    (found,) = pairs_of(plan.recipe, load_parts(plan.recipe.stages[0].data), Path)
    assert (found.prompt, found.chosen["content"], found.rejected["content"]) == (CHAT[:1], "3", "4")
    with pytest.raises(RecipeError, match="has no answers to train on"):
        checked(recipe(tmp_path, "rows.jsonl"), [])


def test_a_stage_is_another_when_its_file_changed_and_the_same_when_its_folder_was_renamed(tmp_path: Path) -> None:
    def identity(folder: Path) -> dict[str, Any]:
        plan = checked(folder / "recipe.yaml", [])
        return stage_identity(plan.recipe, plan.recipe.stages[0], {})

    first = tmp_path / "first"
    first.mkdir()
    (first / "rows.jsonl").write_text(lines([{"messages": CHAT}]), encoding="utf-8")
    recipe(first, "rows.jsonl")
    before = identity(first)
    second = first.rename(tmp_path / "second")
    assert identity(second) == before
    (second / "rows.jsonl").write_text(lines([{"messages": CHAT}] * 2), encoding="utf-8")
    assert identity(second) != before


def test_alignment_data_shows_what_is_read_and_what_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.jsonl"
    bad = {"messages": [CHAT[0], {"role": "assistant", "content": None}]}
    file.write_text(lines([{"messages": CHAT}, bad]) + "not json\n", encoding="utf-8")
    show_file(str(file), "embedded", 5, Console(width=200))
    shown = capsys.readouterr().out
    assert "OpenAI messages, read as conversations, for sft and fusion" in shown
    assert "3 rows: 1 can be used, 2 are left out" in shown
    assert "rows.jsonl:2: the content of message 1" in shown and "rows.jsonl:3: is not JSON" in shown
    assert f"<|im_start|>user\n{QUESTION}<|im_end|>" in shown
    assert "tokens of a row: median" in shown and "characters of a row: median 15," in shown


def test_two_files_of_one_name_in_a_stage_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rows.jsonl").write_text(lines([{"messages": CHAT}]), encoding="utf-8")
    with pytest.raises(RecipeError, match="are both called `rows.jsonl`; rename one of them"):
        checked(recipe(tmp_path, "[{source: ./a/rows.jsonl}, {source: ./b/rows.jsonl}]"), [])
