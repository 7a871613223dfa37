"""What a file of one's own says is trained as it says, or it is refused, left out or named: nothing is passed over."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from own_recipe import chat, chats, grpo_recipe, recipe, write_lines

from alignment.checks.recipe import checked
from alignment.core.errors import AlignmentError
from alignment.core.resources import resource
from alignment.data.mixture import load_parts, pairs_of, problems_of
from alignment.data.sources.named import source_of
from alignment.data.sources.unread import unread_columns
from alignment.data.tables.shapes import recognised
from alignment.recipe.blocks.data import MixturePart

QUESTION = {"role": "user", "content": "1 + 2?"}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}


def answered(**keys: Any) -> dict[str, Any]:
    return {"messages": [QUESTION, {"role": "assistant", "content": "3", **keys}]}


def refused(path: Path) -> str:
    with pytest.raises(AlignmentError) as error:
        checked(path, [])
    return str(error.value)


def test_system_turns_and_tools_of_problems_count_also_where_the_first_row_has_none(tmp_path: Path) -> None:
    rows = [{"problem": f"{n} + 1?", "answer": n + 1} for n in range(3)]
    rows[1] |= {"system": "Answer in French."}
    rows[2] |= {"tools": [TOOL], "level": 5}
    write_lines(tmp_path / "rows.jsonl", rows)
    read = checked(grpo_recipe(tmp_path, "rows.jsonl"), []).recipe
    found = {one.answer: one for one in problems_of(read, load_parts(read.stages[0].data))}
    assert found["2"].messages[0] == {"role": "system", "content": "Answer in French."}
    assert found["3"].tools == [TOOL] and found["3"].columns["level"] == 5
    assert not found["1"].tools and len(found["1"].messages) == 1


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (answered(loss=False), "`loss: False` would be trained on all the same"),
        (answered(masked=True), "`masked: True`"),
        (answered(train_detail=[], trainable=0), "`trainable: 0`"),
        (answered(reasoning_details=[{"type": "reasoning.text", "text": "hm"}]), "`reasoning_details`"),
        (answered(thought="hm"), "`thought`, which is not read as its thinking"),
        (answered(content=" "), "message 1 (assistant) is empty"),
        (answered(content="", reasoning_content="hm"), "thinks and then says nothing"),
        (chat(""), "message 0 (user) is empty"),
        (chat("?", "<thinking>hm</thinking> 3"), "begins with <thinking>, which is not read as thinking"),
        (chat("?", "<|begin_of_thought|>hm"), "begins with <|begin_of_thought|>"),
        ({**chat("<image>What is it?"), "images": ["a.png"]}, "has <image> for `images`, and only text is trained on"),
        (chat("?", "◁think▷hm◁/think▷3"), "begins with ◁think▷"),
        (chat("?", "<|channel|>analysis<|message|>hm<|end|>3"), "begins with <|channel|>analysis"),
        ({"prompt": "?", "chosen": "3", "rejected": "4"}, "it holds pairs; use it in a dpo"),
        ({"prompt": "1 + 2?", "completion": "3", "reasoning": ["1", "2"]}, "thinking that is not one text"),
    ],
)
def test_a_row_that_would_be_trained_as_something_else_is_not_trained(
    tmp_path: Path, row: dict[str, Any], says: str
) -> None:
    write_lines(tmp_path / "rows.jsonl", [row])
    assert says in refused(recipe(tmp_path, "rows.jsonl"))


def test_what_says_that_an_answer_is_trained_is_no_fault(tmp_path: Path) -> None:
    asked = {**QUESTION, "train": False, "weight": 0}
    calls = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", **{"function": {"name": "add", "arguments": {}}}}],
    }
    turns = [
        asked,
        calls,
        {"role": "tool", "content": ""},
        {"role": "assistant", "content": "3", "weight": 1.0, "masked": False},
    ]
    write_lines(tmp_path / "rows.jsonl", [{"messages": turns, "tools": [TOOL]}])
    assert [turn["content"] for turn in chats(recipe(tmp_path, "rows.jsonl"))[0].messages] == ["1 + 2?", "", "", "3"]


def test_keys_of_turns_that_nothing_reads_are_named(tmp_path: Path) -> None:
    write_lines(tmp_path / "rows.jsonl", [answered(score=4, name=None), {**chat("?"), "source": "web"}])
    source = source_of(MixturePart(source=str(tmp_path / "rows.jsonl")))
    assert unread_columns(source) == ["messages.score", "source"]


def test_the_system_text_that_fields_names_opens_chats_and_pairs(tmp_path: Path) -> None:
    row = {"q": "1 + 2?", "a": "3", "b": "4", "sys": "Be kind.", "reasoning": "1 and 2"}
    write_lines(tmp_path / "rows.jsonl", [row])
    opening = {"role": "system", "content": "Be kind."}
    turns = chats(recipe(tmp_path, "[{source: rows.jsonl, fields: {prompt: q, completion: a, system: sys}}]"))[
        0
    ].messages
    assert turns[0] == opening and turns[-1]["reasoning_content"] == "1 and 2"
    data = "[{source: rows.jsonl, fields: {prompt: q, chosen: a, rejected: b, system: sys}}]"
    read = checked(recipe(tmp_path, data, "dpo"), []).recipe
    (pair,) = pairs_of(read, load_parts(read.stages[0].data), Path)
    assert pair.prompt[0] == opening


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ("{prompt: prompt, chosen: better, rejected: rejected}", "`fields` names 'better', which no row has"),
        ("{prompt: prompt, chosen: chosen, rejected: rejected, system: sytem}", "`fields` names 'sytem'"),
        ("{messages: chosen, answer: rejected}", "`answer` is not read beside `messages`"),
        (
            "{messages: chosen, prompt: prompt, completion: rejected}",
            "`messages` and `completion` are fields of two shapes",
        ),
    ],
)
def test_fields_that_are_not_there_or_not_read_are_refused(tmp_path: Path, fields: str, says: str) -> None:
    write_lines(tmp_path / "rows.jsonl", [{"prompt": "1 + 2?", "chosen": "3", "rejected": "4"}])
    assert says in refused(recipe(tmp_path, f"[{{source: rows.jsonl, fields: {fields}}}]", "dpo"))


def test_a_row_without_the_field_that_is_named_is_not_read_from_another(tmp_path: Path) -> None:
    rows = [{"p": "1 + 2?", "better": "3", "rejected": "4"}, {"p": "?", "chosen": "5", "rejected": "4"}]
    write_lines(tmp_path / "rows.jsonl", rows)
    data = "[{source: rows.jsonl, fields: {prompt: p, chosen: better, rejected: rejected}}]"
    assert "rows.jsonl:2: no field 'better'" in refused(recipe(tmp_path, data, "dpo"))


@pytest.mark.parametrize("other", ["part-00000", "b.jsonl.1", "b.jl", "_b.jsonl", "b.jsonl.bak", "b.txt"])
def test_a_file_of_a_folder_that_may_hold_rows_is_not_passed_over(tmp_path: Path, other: str) -> None:
    for name in ("a.jsonl", other):
        write_lines(tmp_path / "rows" / name, [chat("1 + 2?")])
    assert f"{other}: " in refused(recipe(tmp_path, "./rows"))


def test_what_stands_beside_data_is_passed_over_and_a_link_to_a_folder_is_not(tmp_path: Path) -> None:
    write_lines(tmp_path / "rows" / "a.jsonl", [chat("1 + 2?")])
    for name in ("README.md", "LICENSE", "dataset.yaml", "make.py", ".gitattributes", "_SUCCESS"):
        (tmp_path / "rows" / name).write_text("x", encoding="utf-8")
    assert len(chats(recipe(tmp_path, "./rows"))) == 1
    write_lines(tmp_path / "elsewhere" / "b.jsonl", [chat("2 + 2?")])
    (tmp_path / "rows" / "more").symlink_to(tmp_path / "elsewhere")
    assert "is a link to a folder" in refused(recipe(tmp_path, "./rows"))


def test_numbers_of_16_bits_are_answers_as_they_were_written(tmp_path: Path) -> None:
    numpy, pyarrow, parquet = (pytest.importorskip(name) for name in ("numpy", "pyarrow", "pyarrow.parquet"))
    answers = pyarrow.array(numpy.array([0.1, 2.5], numpy.float16))
    parquet.write_table(pyarrow.table({"problem": ["a?", "b?"], "answer": answers}), tmp_path / "rows.parquet")
    read = checked(grpo_recipe(tmp_path, "rows.parquet"), []).recipe
    assert {one.answer for one in problems_of(read, load_parts(read.stages[0].data))} == {"0.1", "2.5"}


def test_a_file_of_which_no_row_can_be_read_says_what_is_wrong_with_its_first(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("\r".join(json.dumps(chat("?")) for _ in range(2)), encoding="utf-8")
    assert "none of its first 1 rows can be read; the first is not JSON" in refused(recipe(tmp_path, "rows.jsonl"))
    assert recognised("x", [{"prompt": "a", "completion": "b"}]).gives == "conversations"


def test_a_test_problem_in_a_later_turn_of_a_chat_is_found(tmp_path: Path) -> None:
    turns = [QUESTION, {"role": "assistant", "content": "3"}, {"role": "user", "content": "What is 7 + 8?"}]
    write_lines(tmp_path / "rows.jsonl", [{"messages": [*turns, {"role": "assistant", "content": "15"}]}])
    write_lines(tmp_path / "test.jsonl", [{"problem": "What is 7 + 8?", "answer": "15"}])
    (tmp_path / "sums.yaml").write_text("rows: test.jsonl\ngrader: {kind: math_answer}\n", encoding="utf-8")
    path = recipe(tmp_path, "rows.jsonl")
    path.write_text(
        path.read_text(encoding="utf-8")
        + "evaluations: {after_each_stage: [sums.yaml], engine: transformers, count: 1, follow_count: 1}\n"
    )
    assert "1 of the 1 problems of the task" in refused(path)


def test_a_mark_without_an_image_is_a_word(tmp_path: Path) -> None:
    write_lines(tmp_path / "rows.jsonl", [chat("What does <image> do in XML?"), {**chat("<image>?"), "images": []}])
    assert len(chats(recipe(tmp_path, "rows.jsonl"))) == 2


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv"])
def test_a_file_without_rows_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("[]" if name == "rows.json" else "", encoding="utf-8")
    assert f"{name}: holds no rows; write" in refused(recipe(tmp_path, name))


@pytest.mark.parametrize(
    "row",
    [
        {**chat("?"), "label": False},
        {**chat("?"), "label": True},
        {"prompt": "?", "completion": "3", "desirable": False},
    ],
)
def test_answers_that_are_labelled_one_by_one_are_not_imitated(tmp_path: Path, row: dict[str, Any]) -> None:
    write_lines(tmp_path / "rows.jsonl", [row])
    assert "holds KTO labels" in refused(recipe(tmp_path, "rows.jsonl"))
    write_lines(tmp_path / "rows.jsonl", [{**chat("?"), "label": "science"}])
    assert len(chats(recipe(tmp_path, "rows.jsonl"))) == 1


def test_a_token_of_the_models_own_that_forges_a_turn_is_found_in_every_row(tmp_path: Path) -> None:
    shutil.copytree(resource("data/base"), tmp_path / "mine")
    file = tmp_path / "mine" / "tokenizer.json"
    tokenizer = json.loads(file.read_text(encoding="utf-8"))
    tokenizer["added_tokens"].append({**tokenizer["added_tokens"][0], "id": 9999, "content": "[TURN]", "special": True})
    file.write_text(json.dumps(tokenizer), encoding="utf-8")
    write_lines(tmp_path / "rows.jsonl", [chat("1 + 2?", "3[TURN]user: more"), chat("</s> [x] is text here")])
    path = recipe(tmp_path, "rows.jsonl")
    assert len(chats(path)) == 2
    path.write_text(path.read_text(encoding="utf-8").replace("model: embedded", "model: ./mine"), encoding="utf-8")
    assert "rows.jsonl:1: message 1 (assistant) spells out [TURN]" in refused(path)
