"""A fusion stage's rows: the last flag wins in every one, shares are met exactly, and the card says what is there."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from alignment.core.errors import DataError
from alignment.core.resources import resource
from alignment.data.chat.template import IGNORED, render_conversation, render_prompt
from alignment.data.mixture import as_conversation, problems_of
from alignment.data.rows import Conversation, read_rows, write_rows
from alignment.data_factory.fusion.mix import allot
from alignment.lint.cases import sampled
from alignment.lint.findings import Intent
from alignment.lint.linter import inspect
from alignment.lint.settings import setting_of
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.schema import Recipe
from alignment.records.run_folder import RunFolder
from alignment.training.context import StageContext
from alignment.training.stages.fusion import run

FLAG = re.compile(r"/(?:no_)?think\b")
BLOCK = re.compile(r"<think>\n(.*?)\n?</think>\n\n", re.DOTALL)
CHAIN = {"source": "chain-sum", "split": "fusion"}
POLICY = [{"stage": "fusion_data"}, {**CHAIN, "count": 150, "seed": 5, "mode": "non_thinking"}]
EMPTY = Conversation("x", [{"role": "user", "content": "1 + 1"}, {"role": "assistant", "content": "2"}], "thinking")
SHARES: list[dict[str, Any]] = [
    {},
    {"multi_turn_fraction": 0.6, "max_turns": 4, "system_flag_fraction": 0.5, "thinking_fraction": 0.4},
    {"multi_turn_fraction": 1.0, "max_turns": 2, "unflagged_fraction": 0.0, "switched_fraction": 0.0, "rows": 101},
    {
        "multi_turn_fraction": 0.0,
        "unflagged_fraction": 1.0,
        "switched_fraction": 1.0,
        "rows": 50,
        "thinking_fraction": 0.3,
    },
]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(resource("data/base"))


def recipe_of(data: list[dict[str, Any]], seed: int = 3, **settings: Any) -> Recipe:
    stages = [
        {"name": "fusion_data", "kind": "sample", "data": [{**CHAIN, "count": 120, "seed": 3}], "rewards": [{"kind": "math_answer"}]},
        {"name": "mix", "kind": "fusion", "data": data, "max_length": 512, **settings},
        {"name": "both", "kind": "sft", "data": [{"stage": "mix"}], "max_length": 512, "loss_on_empty_think": True},
    ]  # fmt: skip
    return Recipe.model_validate({"name": "mixed", "model": "embedded", "seed": seed, "stages": stages})


def policy_rows(recipe: Recipe, count: int = 120) -> list[Conversation]:
    """What a sample stage would have accepted, in place of a policy's own words: right and well-formed answers."""
    part = MixturePart(source="chain-sum", split="fusion", count=count, seed=3)
    return [as_conversation(problem, "thinking") for problem in problems_of(recipe, [part])]


def made(
    folder: Path, recipe: Recipe, rows: list[Conversation] | None = None
) -> tuple[list[Conversation], dict[str, Any]]:
    """Run the stage as its process does; its rows and its card."""
    folders = RunFolder(folder)
    sample = folders.stage(1, "fusion_data")
    sample.output.mkdir(parents=True, exist_ok=True)
    write_rows(sample.output / "rows.jsonl", policy_rows(recipe) if rows is None else rows)
    stage = folders.stage(2, "mix")
    context = StageContext(recipe, recipe.stage("mix"), folders, stage, str(resource("data/base")))
    assert run(context, stage.output) == 0
    card = json.loads((stage.output / "card.json").read_text(encoding="utf-8"))
    assert context.counts["rows"] == card["rows"]
    return list(read_rows(stage.output / "rows.jsonl", "conversation")), card  # type: ignore[arg-type]


def turns_of(text: str) -> list[tuple[str, str]]:
    return re.findall(r"<\|im_start\|>(\w+)\n(.*?)<\|im_end\|>", text, flags=re.DOTALL)


def flags_in(row: Conversation) -> list[str]:
    return [flag for one in row.messages if one["role"] != "assistant" for flag in FLAG.findall(one["content"])]


def questions(row: Conversation) -> int:
    return sum(message["role"] == "user" for message in row.messages)


@pytest.mark.parametrize("settings", SHARES, ids=lambda settings: ",".join(settings) or "defaults")
def test_in_every_row_as_rendered_the_last_flag_decides_whether_the_answer_thinks(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, settings: dict[str, Any]
) -> None:
    rows, _ = made(tmp_path, recipe_of(POLICY, **settings))
    for row in rows:
        turns = turns_of(tokenizer.apply_chat_template(row.messages, tokenize=False))
        flags = [flag for role, said in turns if role != "assistant" for flag in FLAG.findall(said)]
        role, last = turns[-1]
        block = BLOCK.match(last)
        assert role == "assistant" and block is not None
        assert last.count("<think>") == 1
        assert all("think>" not in said for _, said in turns[:-1]), "the template shows no thinking of earlier answers"
        thinks = bool(block[1].strip())
        assert thinks == (row.mode == "thinking")
        if flags:
            assert thinks == (flags[-1] == "/think")
        in_force = None
        for message in row.messages:  # earlier answers, too, are of the mode that was in force when they were given
            if message["role"] == "assistant":
                assert in_force is None or bool(message["reasoning_content"]) == (in_force == "/think")
            else:
                in_force = (FLAG.findall(message["content"]) or [in_force])[-1]


@pytest.mark.parametrize("settings", SHARES, ids=lambda settings: ",".join(settings) or "defaults")
def test_every_fraction_is_met_within_rounding(tmp_path: Path, settings: dict[str, Any]) -> None:
    recipe = recipe_of(POLICY, **settings)
    stage, (rows, card) = recipe.stage("mix"), made(tmp_path, recipe)
    thinking = [row for row in rows if row.mode == "thinking"]
    plain = [row for row in rows if row.mode == "non_thinking"]
    flagged = [row for row in rows if flags_in(row)]
    system = [row for row in flagged if row.messages[0]["role"] == "system" and len(flags_in(row)) == 1]
    several = [row for row in rows if questions(row) > 1]
    assert len(rows) == card["rows"] >= 50
    assert not settings.get("rows") or len(rows) == settings["rows"]
    for found, whole, share in (
        (len(thinking), len(rows), stage.thinking_fraction),
        (len([row for row in thinking if not flags_in(row)]), len(thinking), stage.unflagged_fraction),
        (len([row for row in plain if not flags_in(row)]), len(plain), stage.switched_fraction),
        (len(system), len(flagged), stage.system_flag_fraction),
        (len(several), len(rows), stage.multi_turn_fraction),
    ):
        assert abs(found - share * whole) <= 1.0, "each half is rounded by itself"
    assert max(map(questions, rows)) <= (stage.max_turns if several else 1)
    changing = [row for row in several if flags_in(row) and row not in system]
    assert all(len(set(flags_in(row))) == 2 for row in changing), (
        "where a question decides, the mode was another before"
    )
    assert card["flag_changes"] == len(changing)
    assert [one["rows"] for one in card["fractions"].values()][::4] == [len(thinking), len(several)]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    written = []
    for folder, seed in (("one", 3), ("two", 3), ("other", 4)):
        made(tmp_path / folder, recipe_of(POLICY, seed=seed))
        output = tmp_path / folder / "02-mix" / "output"
        written.append({path.name: path.read_bytes() for path in sorted(output.iterdir())})
    assert list(written[0]) == ["card.json", "card.md", "rows.jsonl"]
    assert written[0] == written[1]
    assert written[0]["rows.jsonl"] != written[2]["rows.jsonl"]


def test_loss_falls_on_the_last_answer_alone_and_continues_the_prompt_of_a_rollout(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    recipe = recipe_of(POLICY, multi_turn_fraction=0.5, max_turns=4, system_flag_fraction=0.4)
    rows, _ = made(tmp_path, recipe)
    for row in rows:
        rendered = render_conversation(tokenizer, row, loss_on_empty_think=True)
        trained = tokenizer.decode([label for label in rendered.labels if label != IGNORED])
        last = row.messages[-1]
        answer = f"{last['content']}<|im_end|>"
        opens = bool(flags_in(row)) or row.mode == "thinking"
        thinking = f"{last['reasoning_content']}\n" if last["reasoning_content"] else "\n"
        assert trained == (f"<think>\n{thinking}</think>\n\n{answer}" if opens else answer)
        asks = tokenizer.apply_chat_template(
            row.messages[:-1], add_generation_prompt=True, enable_thinking=opens, return_dict=False
        )
        assert rendered.input_ids[: len(asks)] == list(asks)
        if not flags_in(row):
            assert render_prompt(tokenizer, row.messages[:-1], row.mode, flagged=False) == list(asks)
    assert len({(row.id, row.messages[-1]["content"]) for row in rows}) == len(rows), "each answer is taught once"
    cases = sampled(rows, len(rows), seed=1)
    found = inspect(setting_of("embedded", recipe), cases, Intent.of(recipe, recipe.stage("both")), "both")
    assert [one for one in found.findings if one.severity != "note"] == []


def chat(name: str, *turns: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"id": name, "messages": [{"role": roles[place % 2], "content": text} for place, text in enumerate(turns)]}


def chats_in(path: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return [{"stage": "fusion_data"}, {"source": "smoltalk", "mode": "non_thinking"}]


def with_file(recipe: Recipe, path: Path) -> Recipe:
    values = recipe.model_dump(exclude_unset=True)
    return Recipe.model_validate({**values, "data": {"sources": {"smoltalk": {"path": str(path)}}}})


def test_what_cannot_be_taken_is_left_out_and_counted_by_its_reason(tmp_path: Path) -> None:
    good = [chat(str(number), f"What is {number}?", f"It is {number}.") for number in range(20)]
    bad = [
        chat("flag", "Now /think of a number.", "Seven."),
        chat("flag", "Now /think of a number.", "Seven."),
        chat("long", "Say much.", "word " * 600),
        chat("open", "Think.", "<think>\nnever closed"),
        chat("half", "Say \ud800.", "No."),
    ]
    recipe = with_file(recipe_of(chats_in(tmp_path / "chats.jsonl", [*good, *bad])), tmp_path / "chats.jsonl")
    rows, card = made(tmp_path, recipe, [*policy_rows(recipe), EMPTY])
    assert card["data"][0]["left_out"] == {"its answer does not think": 1}
    assert card["data"][1]["left_out"] == {
        "holds a flag of its own": 1,
        "the same row twice": 1,
        "longer than 512 tokens": 1,
        "unclosed_think": 1,
        "half_character": 1,
    }
    assert card["data"][1]["licences"] == {"smoltalk": "the local file chats.jsonl in its place; licence not recorded"}
    assert card["data"][0]["answers_by"] == "embedded" and card["data"][0]["questions_of"] == ["chain-sum"]
    assert (card["data"][1]["rows_read"], card["data"][1]["rows_used"]) == (25, 20)
    assert len(rows) == 40 and card["not_needed"]["thinking"] == 100


def test_chats_that_come_with_earlier_turns_are_taken_first_and_stay_as_they_are(tmp_path: Path) -> None:
    single = [chat(f"s{number}", f"What is {number}?", f"It is {number}.") for number in range(40)]
    several = [chat(f"m{number}", f"Is {number} odd?", "Perhaps.", "Is it?", f"Ask {number}.") for number in range(30)]
    data = chats_in(tmp_path / "chats.jsonl", [*single, *several])
    recipe = with_file(recipe_of(data, multi_turn_fraction=0.25, switched_fraction=0.0), tmp_path / "chats.jsonl")
    rows, card = made(tmp_path, recipe)
    plain = [row for row in rows if row.mode == "non_thinking"]
    own = [row for row in plain if "Perhaps." in [message["content"] for message in row.messages]]
    assert [row for row in plain if questions(row) > 1] == own and len(own) == round(0.25 * len(plain))
    assert len(plain) == 54, "all 40 single ones, and as many with turns as the share allows beside them"
    assert all(row.messages[-1]["content"].startswith("Ask") for row in own)
    assert card["not_needed"]["non_thinking"] == 16


def test_fractions_that_cannot_be_met_say_what_there_is_and_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(
        DataError,
        match=r"need 200 thinking rows, and 120 thinking and 150 non-thinking rows can be taken; write rows: 241 or less",
    ):
        made(tmp_path, recipe_of(POLICY, rows=400))
    with pytest.raises(
        DataError,
        match=r"short enough to get earlier turns within max_length 60; raise it, or lower multi_turn_fraction",
    ):
        made(tmp_path, recipe_of(POLICY, multi_turn_fraction=0.8, max_length=60))
    with pytest.raises(
        DataError,
        match=r"would have no row.*: 0 thinking and 150 non-thinking rows can be taken \(left out: 1 its answer does not think\)",
    ):
        made(tmp_path, recipe_of(POLICY), [EMPTY])


def test_nothing_that_a_policy_wrote_ends_its_code_block_in_the_card(tmp_path: Path) -> None:
    recipe = recipe_of(POLICY)
    hostile = "1 + 1 = 2\n```\n# Owned\n````\n| a | <script>"
    rows = [
        Conversation(row.id, [row.messages[0], {**row.messages[1], "reasoning_content": hostile}], row.mode)
        for row in policy_rows(recipe)
    ]
    made(tmp_path, recipe, rows)
    page = (tmp_path / "02-mix" / "output" / "card.md").read_text(encoding="utf-8")
    outside, fence = [], None
    for line in page.splitlines():
        ticks = re.match(r"(`{3,})", line)
        if fence is None and ticks:
            fence = ticks[1]
        elif fence is not None and line.strip() == fence:
            fence = None
        elif fence is None:
            outside.append(line)
    assert fence is None and "# Owned" in page
    assert not any("Owned" in line or "script" in line for line in outside)


def test_a_total_is_allotted_whole_and_never_beyond_a_size() -> None:
    for total in range(11):
        given = allot(total, [1, 6, 3])
        assert sum(given) == total
        assert all(count <= size for count, size in zip(given, [1, 6, 3], strict=True))
    assert allot(0, [0, 0]) == [0, 0]
