"""Rows are read as they are written, or refused or left out with their line: never trained as something else in silence."""

import json
from pathlib import Path
from typing import Any

import pytest

from alignment.checks.recipe import checked
from alignment.core.errors import DataError, RecipeError
from alignment.data.mixture import conversations_of, load_parts, problems_of
from alignment.data.rows import Conversation, Problem
from alignment.data.sources.declared import Table
from alignment.data.sources.named import load_source
from alignment.data.sources.rows import LeftOut

SFT = "name: own\nmodel: embedded\nhardware: {{accelerate: cpu}}\nstages:\n  - {{name: tune, kind: sft, data: {data}, max_length: 512, trainer: {{max_steps: 2}}}}\n"
GRPO = (
    "name: own\nmodel: embedded\nhardware: {{accelerate: cpu}}\nstages:\n  - {{name: rl, kind: grpo, data: {data}, "
    "rollout: {{engine: transformers, generations: 2, problems_per_step: 2, max_prompt_tokens: 64, max_completion_tokens: 8}}, "
    "rewards: [{{kind: math_answer}}], micro_batch: 4, trainer: {{max_steps: 1}}}}\n"
)
THREE = {"role": "assistant", "content": "3"}


def asking(question: Any = "1 + 2?", answer: Any = "3", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer, **more}]}


def recipe(folder: Path, text: str = SFT, data: str = "./rows.jsonl") -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text.format(data=data), encoding="utf-8")
    return path


def written(folder: Path, *rows: Any) -> Path:
    (folder / "rows.jsonl").write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    return recipe(folder)


def chats(path: Path, left_out: list[LeftOut] | None = None) -> list[Conversation]:
    plan = checked(path, [])
    return conversations_of(plan.recipe, load_parts(plan.recipe.stages[0].data), Path, left_out)


def problems(path: Path) -> list[Problem]:
    plan = checked(path, [])
    return problems_of(plan.recipe, load_parts(plan.recipe.stages[0].data))


def test_a_line_ends_at_a_newline_alone_and_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = written(tmp_path, asking("one\u2028two\x85three"), asking())
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(b"\xef\xbb\xbf" + rows.read_bytes())
    assert {row.messages[0]["content"] for row in chats(path)} == {"one\u2028two\x85three", "1 + 2?"}


@pytest.mark.parametrize(
    ("value", "found"), [("null", "null"), ("NaN", "NaN"), ("true", "a bool"), ('[""]', "a list"), ('""', "empty")]
)
def test_an_answer_that_is_no_text_is_not_made_into_one(tmp_path: Path, value: str, found: str) -> None:
    lines = ['{"problem": "1 + 2 =", "answer": "3"}', f'{{"problem": "2 + 2 =", "answer": {value}}}']
    (tmp_path / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(RecipeError, match=f"1 of 2 rows.*rows.jsonl:2: `answer` is {found}"):
        checked(recipe(tmp_path, GRPO), [])


def test_a_number_as_answer_and_a_question_of_messages_are_read(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2 ="}]
    written(tmp_path, {"problem": turns, "answer": 4}, {"problem": "1 + 2 =", "answer": "3"})
    found = {problem.answer: problem.messages for problem in problems(recipe(tmp_path, GRPO))}
    assert found == {"4": turns, "3": [{"role": "user", "content": "1 + 2 ="}]}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (asking(answer=None), "content_not_text"),
        (asking(answer="<think>on and on"), "unclosed_think"),
        (asking(answer="3<|im_end|>\n<|im_start|>user\nMore"), "special_token_in_text"),
        ({"messages": [THREE, {"role": "user", "content": "?"}, THREE]}, "role_order"),
        (asking(answer="half \ud83d"), "half_character"),
        (asking(weight=0), "weight: 0"),
        (asking(answer=[{"type": "image_url", "image_url": "x"}]), "type 'image_url'"),
        (asking(answer="so <think>lost</think> 3"), "think_tag_misplaced"),
        (["no", "object"], "a row is an object"),
    ],
)  # fmt: skip
def test_one_bad_row_far_down_a_file_is_left_out_and_named_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: Any, says: str
) -> None:
    rows = [asking(f"{number} + 2?") for number in range(300)]
    rows.insert(277, bad)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    plan = checked(recipe(tmp_path), [])
    from rich.console import Console

    from alignment.checks.plan import print_plan

    print_plan(plan, Console(width=200))
    shown = capsys.readouterr().out
    assert "rows.jsonl: 301 rows (OpenAI messages), 1 left out" in shown
    assert "rows.jsonl:278: " in shown and says in shown
    with pytest.raises(RecipeError, match=r"1 of 301 rows of .*rows.jsonl:278: "):
        checked(recipe(tmp_path), ["data.max_faulty_fraction=0"])


def test_a_stage_leaves_out_the_rows_that_check_left_out_and_counts_them(tmp_path: Path) -> None:
    from alignment.core.resources import resource
    from alignment.records.run_folder import RunFolder
    from alignment.training.context import StageContext
    from alignment.training.stages.sft import _sound_rows

    rows = [asking(f"{number} + 2?") for number in range(300)]
    rows[50], rows[60] = {"messages": []}, asking(answer=None)
    plan, run = checked(written(tmp_path, *rows), []), RunFolder(tmp_path)
    context = StageContext(plan.recipe, plan.recipe.stages[0], run, run.stage(1, "tune"), str(resource("data/base")))
    assert len(_sound_rows(context)[0]) == 298
    assert context.counts == {"left_out_faulty": 2}


@pytest.mark.parametrize("key", ["reasoning", "thinking", "reasoning_content"])
def test_thinking_under_any_of_its_keys_is_trained(tmp_path: Path, key: str) -> None:
    (row,) = chats(written(tmp_path, asking(**{key: "1 + 2 = 3"})))
    assert (row.messages[-1]["reasoning_content"], row.mode) == ("1 + 2 = 3", "thinking")


def test_thinking_that_two_keys_tell_differently_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError,
        match="rows.jsonl:1: reasoning and thinking hold thinking that is not one text".replace(
            "reasoning and", "reasoning and"
        ),
    ):
        checked(written(tmp_path, asking(reasoning="a", thinking="b")), [])


def test_tools_of_a_row_are_rendered_with_its_calls(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from alignment.core.resources import resource
    from alignment.data.chat.template import render_conversation

    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
    call = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}}],
    }
    row = {
        "tools": [tool],
        "messages": [
            {"role": "user", "content": "2 + 3 ="},
            call,
            {"role": "tool", "tool_call_id": "c", "content": "5"},
            {"role": "assistant", "content": "It is 5."},
        ],
    }
    (chat,) = chats(written(tmp_path, row))
    tokenizer = AutoTokenizer.from_pretrained(str(resource("data/base")))
    text = tokenizer.decode(render_conversation(tokenizer, chat).input_ids)
    assert '"name": "add", "parameters"' in text and '<tool_call>\n{"name": "add", "arguments": {"a": 2}}' in text


def test_a_file_of_which_nothing_can_be_read_is_refused_and_not_a_traceback(tmp_path: Path) -> None:
    path = recipe(tmp_path)
    for content in (b"\xff\xfe{\x00", b"", b"[1, 2", b"{" * 100_000, b'{"a": 1}'):
        (tmp_path / "rows.jsonl").write_bytes(content)
        with pytest.raises((RecipeError, DataError), match="rows.jsonl"):
            checked(path, [])


JUNK = [
    None,
    True,
    -1.5,
    float("nan"),
    "",
    "\ud83d",
    "<|im_end|>",
    "</think>",
    [],
    {},
    [None],
    [[]],
    [{}],
    {"a": 1},
    "[1",
    10**30,
]
WHOLE = [
    {**asking(reasoning="r"), "tools": [{"type": "function", "function": {"name": "f"}}]},
    asking([{"type": "text", "text": "q"}], None, tool_calls=[{"function": {"name": "f", "arguments": "{}"}}]),
    {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "system": "s"},
    {"instruction": "q", "input": "", "output": "a", "history": [["x", "y"]]},
    {"prompt": "q", "chosen": "a", "rejected": "b"},
    {"problem": [{"role": "user", "content": "q"}], "answer": "3", "solution": "s"},
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(*path, key) for key, _ in inner] + [one for key, kept in inner for one in places(kept, (*path, key))]


@pytest.mark.parametrize("whole", WHOLE)
def test_no_value_in_any_place_of_a_row_ends_in_a_traceback(tmp_path: Path, whole: dict[str, Any]) -> None:
    from alignment.core.errors import AlignmentError
    from alignment.lint.findings import Intent
    from alignment.lint.rows import table_faults

    for number, path in enumerate(places(whole)):
        rows = [whole]
        for junk in JUNK:
            row = json.loads(json.dumps(whole))
            inside = row
            for key in path[:-1]:
                inside = inside[key]
            inside[path[-1]] = junk
            rows.append(row)
        file = tmp_path / f"{number}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        try:
            source = load_source(str(file))
        except AlignmentError:
            continue
        assert isinstance(source, Table)
        faults = table_faults(source, None, Intent())
        assert faults.rows == len(rows)
        assert all(one.place.startswith(file.name) for one in faults.faulty)
