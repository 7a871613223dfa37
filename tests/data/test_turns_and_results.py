"""Turns whose keys, results or names would be dropped or mixed up by a template are refused, left out or named."""

from pathlib import Path
from typing import Any

import pytest
from own_recipe import chat, chats, recipe, write_lines

from alignment.checks.recipe import checked
from alignment.core.errors import AlignmentError
from alignment.data.rows import Problem
from alignment.data.sources.named import source_of
from alignment.data.sources.unread import unread_columns
from alignment.recipe.blocks.data import MixturePart

ASKS = {"role": "user", "content": "2 + 3?"}
SAYS = {"role": "assistant", "content": "It is 5."}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}


def calls(*names: str) -> dict[str, Any]:
    made = [{"id": one, "type": "function", "function": {"name": "add", "arguments": {"a": one}}} for one in names]
    return {"role": "assistant", "content": "", "tool_calls": made}


def result(of: str | None) -> dict[str, Any]:
    return {"role": "tool", "content": f"result of {of}", **({"tool_call_id": of} if of else {})}


def refused(path: Path) -> str:
    with pytest.raises(AlignmentError) as error:
        checked(path, [])
    return str(error.value)


@pytest.mark.parametrize(
    ("turns", "says"),
    [
        ([calls("x", "y"), result("y"), result("x")], "message 1 calls x, y, and the results are those of y, x"),
        ([calls("x"), result("z")], "message 1 calls x, and the results are those of z"),
        ([calls("x", "y"), result("x")], "message 1 has 2 calls, and 1 results follow it"),
        ([calls("x"), result(None), result(None)], "message 1 has 1 call, and 2 results follow it"),
        ([{**calls("x"), "function_call": {"name": "add", "arguments": "{}"}}, result("x")], "`function_call` beside"),
        ([SAYS, {**ASKS, "tool_calls": calls("x")["tool_calls"]}], "a user turn has `tool_calls`"),
        ([SAYS, {**ASKS, "reasoning": "hm"}], "a user turn has `reasoning`"),
        ([{**SAYS, "content": '<think time="3">hm</think>5'}], "has think tags inside its reasoning_content"),
        ([{**SAYS, "content": "<reasoning>hm</reasoning>5"}], "begins with <reasoning>, which is not read as thinking"),
    ],
)
def test_a_turn_that_a_template_would_write_as_another_is_not_trained(
    tmp_path: Path, turns: list[dict[str, Any]], says: str
) -> None:
    write_lines(tmp_path / "rows.jsonl", [{"messages": [ASKS, *turns, SAYS], "tools": [TOOL]}])
    assert says in refused(recipe(tmp_path, "rows.jsonl"))


def test_results_in_the_order_of_their_calls_are_trained_and_a_name_is_named(tmp_path: Path) -> None:
    turns = [{**ASKS, "name": "Bob"}, calls("x", "y"), result("x"), {**result("y"), "name": "add"}, SAYS]
    write_lines(tmp_path / "rows.jsonl", [{"messages": turns, "tools": [TOOL]}])
    assert len(chats(recipe(tmp_path, "rows.jsonl"))[0].messages) == 5
    assert unread_columns(source_of(MixturePart(source=str(tmp_path / "rows.jsonl")))) == ["messages.name"]


def test_tools_and_calls_of_other_forms_are_rendered_as_servers_render_them(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    bare = {**calls(), "tool_calls": [{"id": "x", "name": "add", "arguments": {"a": 1}}]}
    forms: list[dict[str, Any]] = [
        {"name": "add", "parameters": schema},
        {"type": "function", "name": "add", "parameters": schema},
        {"name": "add", "input_schema": schema},
        {"function": {"name": "add", "inputSchema": schema}},
    ]
    for tool in forms:
        write_lines(tmp_path / "rows.jsonl", [{"messages": [ASKS, bare, result("x"), SAYS], "tools": [tool]}])
        (found,) = chats(recipe(tmp_path, "rows.jsonl"))
        assert found.tools == [{"type": "function", "function": {"name": "add", "parameters": schema}}]
        called = {"id": "x", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
        assert found.messages[1]["tool_calls"] == [called]


@pytest.mark.parametrize("labels", [("good", "bad"), ("Desirable", "Undesirable")])
def test_answers_that_are_labelled_in_words_are_not_imitated(tmp_path: Path, labels: tuple[str, str]) -> None:
    write_lines(tmp_path / "rows.jsonl", [{"prompt": "q", "completion": "a", "label": one} for one in labels])
    assert "holds KTO labels" in refused(recipe(tmp_path, "rows.jsonl"))
    write_lines(tmp_path / "rows.jsonl", [{**chat("?"), "kto_tag": one == labels[0]} for one in labels])
    assert "holds KTO labels" in refused(recipe(tmp_path, "rows.jsonl"))


def test_a_folder_keeps_its_test_file_apart_wherever_its_name_says_so(tmp_path: Path) -> None:
    write_lines(tmp_path / "rows" / "gsm8k-train.jsonl", [chat("trained")])
    write_lines(tmp_path / "rows" / "gsm8k-test.jsonl", [chat("measured")])
    assert [row.messages[0]["content"] for row in chats(recipe(tmp_path, "./rows"))] == ["trained"]
    write_lines(tmp_path / "other" / "a.jsonl", [chat("trained")])
    write_lines(tmp_path / "other" / "a_heldout.jsonl", [chat("measured")])
    assert "a.jsonl stands beside a_heldout.jsonl, which is named as a split" in refused(recipe(tmp_path, "./other"))


def test_a_link_of_a_folder_to_no_file_is_not_passed_over(tmp_path: Path) -> None:
    write_lines(tmp_path / "rows" / "a.jsonl", [chat("?")])
    (tmp_path / "rows" / "b.jsonl").symlink_to("gone.jsonl")
    assert "b.jsonl: is a link to a file that is not there" in refused(recipe(tmp_path, "./rows"))


def test_two_columns_of_one_name_are_refused_in_parquet_too(tmp_path: Path) -> None:
    pyarrow, parquet = (pytest.importorskip(name) for name in ("pyarrow", "pyarrow.parquet"))
    columns = [pyarrow.array([text]) for text in ("q", "a", "b")]
    table = pyarrow.Table.from_arrays(columns, names=["prompt", "completion", "completion"])
    parquet.write_table(table, tmp_path / "rows.parquet")
    assert "two columns are called 'completion'" in refused(recipe(tmp_path, "rows.parquet"))


def test_an_answer_that_has_a_box_gets_no_second_one() -> None:
    asked = [{"role": "user", "content": "1 + 2?"}]
    assert Problem("1", asked, "\\boxed{3}").right == "\\boxed{3}" and Problem("1", asked, "3").right == "\\boxed{3}"
