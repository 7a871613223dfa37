"""The linter finds each planted fault and nothing else, and finds nothing in what ships."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lint_faults import ANSWER, LOSS_FAULTS, ROW_FAULTS, SOUND, TEMPLATE, TEMPLATE_FAULTS, USER, chat
from rich.console import Console
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from alignment.checks.recipe import checked
from alignment.commands.lint.inspection import Request, inspect_request
from alignment.core.errors import DataError, RecipeError
from alignment.core.resources import resource
from alignment.core.vocabulary import Mode
from alignment.data.rows import Conversation
from alignment.lint.cases import Case, read_cases, sampled
from alignment.lint.findings import Finding, Intent
from alignment.lint.linter import Inspection, inspect, refuse_errors, row_findings
from alignment.lint.page import render_page
from alignment.lint.settings import loaded_setting, setting_of, shipped_templates
from alignment.lint.template_faults import Setting
from alignment.lint.terminal import print_inspection
from alignment.lint.views import Vocabulary

# The answers of Qwen's own template (the chat_template of Qwen3's tokenizer_config.json), written down.
QWEN3_RENDERS = {
    "a tool chain": (
        [
            {"role": "user", "content": "1 + 2?"},
            {
                "role": "assistant",
                "reasoning_content": "call",
                "content": "",
                "tool_calls": [
                    {"type": "function", "function": {"name": "add", "arguments": {"a": 1, "b": 2}}},
                    {"function": {"name": "add", "arguments": '{"a": 1}'}},
                ],
            },
            {"role": "tool", "content": "3"},
            {"role": "tool", "content": "1"},
            {"role": "assistant", "reasoning_content": "done", "content": "3."},
        ],
        "<|im_start|>user\n1 + 2?<|im_end|>\n<|im_start|>assistant\n<think>\ncall\n</think>\n\n"
        '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>\n'
        '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call><|im_end|>\n'
        "<|im_start|>user\n<tool_response>\n3\n</tool_response>\n<tool_response>\n1\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\n<think>\ndone\n</think>\n\n3.<|im_end|>\n",
    ),
    "no user turn": (
        [{"role": "assistant", "reasoning_content": "hm", "content": "Hello."}],
        "<|im_start|>assistant\nHello.<|im_end|>\n",
    ),
    "content that is no text": (
        [{"role": "user", "content": [{"type": "text", "text": "1 + 2?"}]}, {"role": "assistant", "content": "3"}],
        "<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n3<|im_end|>\n",
    ),
    "history of several turns": (
        [
            {"role": "user", "content": "1 + 2?"},
            {"role": "assistant", "reasoning_content": "easy", "content": "3"},
            {"role": "user", "content": "2 + 2?"},
            {"role": "assistant", "content": "<think>\nalso\n</think>\n\n4"},
        ],
        "<|im_start|>user\n1 + 2?<|im_end|>\n<|im_start|>assistant\n3<|im_end|>\n<|im_start|>user\n2 + 2?<|im_end|>\n"
        "<|im_start|>assistant\n<think>\nalso\n</think>\n\n4<|im_end|>\n",
    ),
}


@pytest.fixture(scope="module")
def loaded() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(resource("data/base"))


@pytest.fixture
def tokenizer(loaded: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """A tokenizer of its own for each test, since some change it."""
    return copy.deepcopy(loaded)


def look(
    tokenizer: PreTrainedTokenizerBase, messages: Any, intent: Intent | None = None, mode: Mode = "thinking"
) -> Inspection:
    setting = Setting(tokenizer, Vocabulary.of(tokenizer))
    return inspect(setting, [Case(1, Conversation("planted", messages, mode))], intent or Intent(), "planted")


def faults(found: Inspection | list[Finding]) -> set[str]:
    findings = found.findings if isinstance(found, Inspection) else found
    return {finding.code for finding in findings if finding.severity != "note"}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_row_has_no_fault(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    mode: Mode = "non_thinking" if "without thinking" in name else "thinking"
    assert faults(look(tokenizer, SOUND[name], mode=mode)) == set()


@pytest.mark.parametrize("name", ROW_FAULTS)
def test_a_fault_planted_in_a_row_is_the_only_one_found(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    code, severity, messages = ROW_FAULTS[name]
    found = look(tokenizer, messages)
    assert faults(found) == {code}
    first = next(finding for finding in found.findings if finding.code == code)
    assert first.severity == severity
    assert first.row == 1
    assert first.advice


@pytest.mark.parametrize("name", ROW_FAULTS)
def test_a_fault_of_a_row_is_seen_without_a_tokenizer(name: str) -> None:
    code, _, messages = ROW_FAULTS[name]
    assert faults(row_findings(Case(1, Conversation("planted", messages, "thinking")), Intent())) == {code}


@pytest.mark.parametrize("name", TEMPLATE_FAULTS)
def test_a_fault_planted_in_a_template_is_the_only_one_found(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    code, change, messages = TEMPLATE_FAULTS[name]
    tokenizer.chat_template = change(TEMPLATE)
    assert tokenizer.chat_template != TEMPLATE, "the planted fault changes nothing"
    mode: Mode = "thinking" if any("reasoning_content" in message for message in messages) else "non_thinking"
    assert faults(look(tokenizer, messages, mode=mode)) == {code}


@pytest.mark.parametrize("name", LOSS_FAULTS)
def test_unintended_loss_is_the_only_fault_found(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    code, intent, messages = LOSS_FAULTS[name]
    mode: Mode = "thinking" if messages[-1].get("reasoning_content") else "non_thinking"
    assert faults(look(tokenizer, messages, intent, mode)) == {code}


def test_a_row_of_the_other_mode_is_reported_once(tokenizer: PreTrainedTokenizerBase) -> None:
    assert faults(look(tokenizer, chat(), mode="non_thinking")) == {"flag_contradicts"}


def test_an_empty_think_block_is_said_to_be_chosen_where_the_recipe_chose_it(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    row = [{"role": "user", "content": "1 + 2? /no_think"}, {"role": "assistant", "content": "3"}]
    chosen = frozenset({"loss_on_empty_think"})
    for loss, code in ((True, "empty_think_with_loss"), (False, "empty_think_without_loss")):
        found = look(tokenizer, row, Intent("fusion", loss_on_empty_think=loss, chosen=chosen), "non_thinking").findings
        assert [(finding.code, finding.severity) for finding in found] == [(code, "note")]
        assert "as the recipe's loss_on_empty_think says" in found[0].text


def test_two_begin_of_text_tokens_are_found(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.bos_token = "<|endoftext|>"
    tokenizer.chat_template = "<|endoftext|><|endoftext|>" + TEMPLATE
    assert faults(look(tokenizer, chat())) == {"double_bos"}


def test_a_pad_token_that_ends_turns_is_a_warning_and_masked_an_error(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.pad_token = "<|im_end|>"
    found = look(tokenizer, chat())
    assert [(finding.code, finding.severity) for finding in found.findings] == [("pad_is_end_of_turn", "warning")]
    tokenizer.chat_template = TEMPLATE_FAULTS["the end of turn left out of the loss"][1](TEMPLATE)
    found = look(tokenizer, chat())
    assert [(finding.code, finding.severity) for finding in found.findings] == [("pad_is_end_of_turn", "error")]


def test_turns_that_end_otherwise_than_engines_stop_are_found(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.eos_token = "<|endoftext|>"
    assert faults(look(tokenizer, chat())) == set(), "engines stop at the template's end of turn"
    plain = TEMPLATE.replace("<|im_end|>", "[end]")
    tokenizer.chat_template = plain
    assert "no_end_of_turn" in faults(look(tokenizer, chat()))


def test_two_templates_in_one_folder_that_render_differently_are_found(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    (tmp_path / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    same, other = (
        TEMPLATE + "{# a comment #}",
        TEMPLATE.replace("user query", "question").replace("<think>\\n'", "<t>'"),
    )
    for template, expected in ((same, set()), (other, {"templates_differ"})):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}), encoding="utf-8")
        setting = loaded_setting(tokenizer, str(tmp_path))
        assert list(shipped_templates(tmp_path)) == ["chat_template.jinja", "tokenizer_config.json"]
        assert faults(inspect(setting, [Case(1, Conversation("a", chat(), "thinking"))], Intent(), "a")) == expected


def test_a_recipes_template_that_replaces_the_models_own_is_noted(tokenizer: PreTrainedTokenizerBase) -> None:
    setting = Setting(
        tokenizer, Vocabulary.of(tokenizer), {"chat_template.jinja": TEMPLATE.replace("<think>", "<t>")}, True
    )
    found = inspect(setting, [], Intent(), "a").findings
    assert [(finding.code, finding.severity) for finding in found] == [("template_replaced", "note")]
    assert "thinking" in found[0].text


def test_declared_tools_are_rendered_and_a_template_that_does_not_read_them_is_reported(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"messages": chat(), "tools": [{"name": "add"}]}, {"messages": chat(), "tools": ["add"]}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    cases, findings = read_cases(path, 8)
    assert [one.code for one in findings] == ["not_a_conversation"], "tools that are no functions"
    read = inspect(Setting(tokenizer, Vocabulary.of(tokenizer)), cases, Intent(), "a")
    assert '<tools>\n{"type": "function", "function": {"name": "add"}}\n</tools>' in read.views[0].text
    assert "tools_not_rendered" not in faults(read.findings)
    deaf = replace(Vocabulary.of(tokenizer), template=TEMPLATE.replace("tools", "functions"))
    assert "tools_not_rendered" in faults(inspect(Setting(tokenizer, deaf), cases, Intent(), "a").findings)


@pytest.mark.parametrize("name", QWEN3_RENDERS)
def test_the_linter_renders_what_qwens_own_template_renders(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    messages, expected = QWEN3_RENDERS[name]
    (view,) = look(tokenizer, messages).views
    assert view.text == expected
    assert tokenizer.decode(view.input_ids) == expected
    assert "".join(view.piece(index) for index in range(len(view.input_ids))) == expected


def test_what_is_shown_as_trained_is_the_answer_to_the_character(tokenizer: PreTrainedTokenizerBase) -> None:
    (view,) = look(tokenizer, [USER, {**ANSWER, "content": "3 € – 日本"}]).views
    assert view.passages() == ["<think>\n1 + 2 = 3\n</think>\n\n3 € – 日本<|im_end|>"]


SHIPPED = [("recipes/tiny-thinking.yaml", None), ("recipes/tiny-offline-rl.yaml", None),
           ("recipes/smollm2-thinking.yaml", "embedded")]  # fmt: skip


@pytest.mark.parametrize(("recipe", "model"), SHIPPED)
def test_what_ships_has_no_faults(
    recipe: str, model: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    gsm8k = tmp_path / "gsm8k.jsonl"
    row = {"question": "Ann has 1 apple and buys {}. How many?", "answer": "1 + {} = <<1+{}={}>>{}\n#### {}"}
    with gsm8k.open("w", encoding="utf-8") as file:
        for more in range(6000):
            total = more + 1
            answer = row["answer"].format(more, more, total, total, total)
            file.write(json.dumps({"question": row["question"].format(more), "answer": answer}) + "\n")
    overrides = (f"data.sources.gsm8k-train.path={gsm8k}",) if model else ()
    request = Request(str(resource(recipe)), model=model, as_json=True, overrides=overrides)
    assert inspect_request(request, Console()) == 0
    for stage in json.loads(capsys.readouterr().out):
        assert [one for one in stage["findings"] if one["severity"] != "note"] == []


def test_a_file_of_conversations_is_linted_with_its_line_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, page = tmp_path / "rows.jsonl", tmp_path / "page.html"
    shared = {"conversations": [{"from": "human", "value": "1 + 2?"}, {"from": "gpt", "value": "3"}]}
    rows = [{"messages": chat()}, shared, {"messages": [USER]}, {"text": "no chat"}, {"messages": [{"role": "bot"}]}]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\nnot json\n", encoding="utf-8")
    assert inspect_request(Request(str(path), model="embedded", html=page, as_json=True), Console()) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert {(one["row"], one["code"]) for one in found["findings"] if one["severity"] == "error"} == {
        (3, "no_loss"),
        *((number, "not_a_conversation") for number in (4, 5, 6)),
    }
    assert found["rows"] == 3
    assert page.is_file()


def test_rows_that_cannot_be_read_are_a_finding_and_the_other_stages_are_looked_at(
    tmp_path: Path, recipe_of_chats: Callable[[Path], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = recipe_of_chats(tmp_path / "missing.jsonl")
    more = "  - {name: sums, kind: sft, data: tiny-cold-start, max_length: 512, trainer: {num_train_epochs: 1}}\n"
    path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
    assert inspect_request(Request(str(path), as_json=True, rows=4), Console()) == 1
    unread, sums = json.loads(capsys.readouterr().out)
    assert [one["code"] for one in unread["findings"]] == ["rows_not_read"]
    assert (sums["rows"], sums["findings"]) == (4, [])


def test_hostile_data_stays_text_in_the_page_and_in_the_terminal(tokenizer: PreTrainedTokenizerBase) -> None:
    hostile = "<script>alert(1)</script> \x1b[2J [bold]x[/bold] \u202e end"
    found = look(tokenizer, [{"role": "user", "content": hostile}, {**ANSWER, "content": [hostile]}, ANSWER])
    page = render_page([found])
    assert "<script" not in page
    assert "default-src 'none'" in page
    console = Console(record=True, width=200, file=open("/dev/null", "w", encoding="utf-8"), force_terminal=True)
    print_inspection(found, console, 3)
    shown = console.export_text()
    assert "[bold]x[/bold]" in shown
    for control in ("\x1b", "\u202e"):
        assert control not in page
        assert control not in shown


def test_errors_end_a_stage_before_it_trains_and_warnings_are_counted(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(DataError, match=r"planted, row 1: .*\[no_loss\]"):
        refuse_errors(look(tokenizer, [USER]))
    double = [{"role": "user", "content": "Listen."}, *chat()]
    assert refuse_errors(look(tokenizer, double)) == 1


def test_a_slip_of_the_policys_own_is_a_warning_that_names_the_gate(tokenizer: PreTrainedTokenizerBase) -> None:
    slip = Conversation("chain-sum/1#0", [USER, {**ANSWER, "content": "3 <think> 4"}], "thinking")
    cases = sampled([slip], 1, 0, {"chain-sum/1#0"})
    found = inspect(Setting(tokenizer, Vocabulary.of(tokenizer)), cases, Intent("fusion"), "fusion")
    assert [(one.code, one.severity) for one in found.findings] == [("think_tag_misplaced", "warning")]
    assert "gate: true" in found.findings[0].advice
    assert refuse_errors(found) == 1


def test_a_sample_keeps_the_order_and_the_places_of_its_rows() -> None:
    rows = [Conversation(str(index), chat(), "thinking") for index in range(100)]
    numbers = [case.number for case in sampled(rows, 10, seed=3)]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == 10
    assert all(case.conversation.id == str(case.number - 1) for case in sampled(rows, 10, seed=3))


def test_check_refuses_a_local_file_whose_chats_hold_faults(
    tmp_path: Path, recipe_of_chats: Callable[[Path], Path]
) -> None:
    rows = tmp_path / "chats.jsonl"
    good = {"messages": [USER, {"role": "assistant", "content": "3"}]}
    bad = {"messages": [{"role": "user", "content": "1 + 2? /no_think"}, ANSWER]}
    rows.write_text("\n".join(json.dumps(row) for row in [good] * 10), encoding="utf-8")
    assert checked(recipe_of_chats(rows), []).recipe.name == "chats"
    rows.write_text("\n".join(json.dumps(row) for row in [good] * 10 + [bad] * 2), encoding="utf-8")
    with pytest.raises(RecipeError, match=r"2 of 12 rows of `smoltalk`.*chats.jsonl:11: .*/no_think.*flag_contradicts"):
        checked(recipe_of_chats(rows), [])
    rows.write_text(json.dumps({"messages": "none"}), encoding="utf-8")
    with pytest.raises(RecipeError, match="is no list of messages"):
        checked(recipe_of_chats(rows), [])


@pytest.fixture
def recipe_of_chats(tmp_path: Path) -> Callable[[Path], Path]:
    def written(rows: Path) -> Path:
        path = tmp_path / "chats.yaml"
        path.write_text(
            "name: chats\nmodel: embedded\nhardware: {accelerate: cpu}\n"
            f"data: {{sources: {{smoltalk: {{path: '{rows}'}}}}}}\n"
            "stages:\n  - {name: imitation, kind: sft, data: [{source: smoltalk, mode: non_thinking}], max_length: 512,"
            " trainer: {num_train_epochs: 1}}\n",
            encoding="utf-8",
        )
        return path

    return written


def test_the_embedded_model_is_a_setting_without_torch_weights() -> None:
    setting = setting_of("embedded")
    assert setting.vocabulary.marks_loss
    assert setting.vocabulary.markers[:2] == ("<|im_end|>", "<|endoftext|>")
    with pytest.raises(DataError, match="there is no model folder"):
        setting_of("models/of-nobody")


def test_every_planted_fault_stands_in_the_table_of_findings() -> None:
    table = (resource("docs") / "lint.md").read_text(encoding="utf-8")
    planted = {entry[0] for entry in (*ROW_FAULTS.values(), *TEMPLATE_FAULTS.values(), *LOSS_FAULTS.values())}
    assert len(planted) >= 20
    assert [code for code in sorted(planted) if f"| `{code}` |" not in table] == []
