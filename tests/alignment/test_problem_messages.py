"""A problem's system turn, earlier exchange and tools reach the prompt, wherever a problem is asked or imitated."""

from dataclasses import replace
from typing import Any

import pytest
from test_conversations import held
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from alignment.core.errors import DataError
from alignment.core.resources import resource
from alignment.data.chat.template import render_conversation, render_preference, render_prompt
from alignment.data.generators.families import problem_key
from alignment.data.mixture import as_conversation
from alignment.data.rows import Conversation, Preference, Problem, user_turn
from alignment.data.sources.splits import split_of
from alignment.data.tables.fields import Fields, read_problem
from alignment.data.target_length import with_target_length
from alignment.evaluation.measures.conversations import Plan
from alignment.lint.cases import Case
from alignment.lint.findings import Intent
from alignment.lint.views import Vocabulary, view
from alignment.serve.command import tool_calls
from alignment.serve.requests import resolve

ADD: dict[str, Any] = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}},
}
MESSAGES = [
    {"role": "system", "content": "Be brief."},
    user_turn("What is 1 + 1?"),
    {"role": "assistant", "content": "It is two."},
    user_turn("And 2 + 2?"),
]
PROBLEM = Problem("p", MESSAGES, "4", trace="2 + 2 = 4", family="sums", tools=[ADD])
REACH = ("Be brief.", "What is 1 + 1?", "It is two.", "And 2 + 2?", '{"type": "function", "function": {"name": "add"')


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(str(resource("data/base")))


def missing(text: str) -> list[str]:
    return [piece for piece in REACH if piece not in text]


def test_they_reach_a_prompt_in_both_modes(tokenizer: PreTrainedTokenizerBase) -> None:
    for mode in ("thinking", "non_thinking"):
        for flagged in (True, False):
            ids = render_prompt(tokenizer, PROBLEM.messages, mode, flagged=flagged, tools=PROBLEM.tools)
            assert missing(tokenizer.decode(ids)) == []


def test_they_reach_what_sft_imitates_and_only_the_answer_carries_loss(tokenizer: PreTrainedTokenizerBase) -> None:
    rendered = render_conversation(tokenizer, as_conversation(PROBLEM, "thinking"))
    assert missing(tokenizer.decode(rendered.input_ids)) == []
    trained = tokenizer.decode([label for label in rendered.labels if label >= 0])
    assert trained == "<think>\n2 + 2 = 4\n</think>\n\n\\boxed{4}<|im_end|>"


def test_a_demonstration_is_imitated_with_its_calls_and_its_tool_results_carry_no_loss(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    call = {"type": "function", "function": {"name": "add", "arguments": {"a": 2}}}
    turns = [
        {"role": "assistant", "reasoning_content": "I add.", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "the result"},
        {"role": "assistant", "reasoning_content": "Read it.", "content": "4"},
    ]
    shown = as_conversation(replace(PROBLEM, demonstration=turns), "thinking")
    rendered = render_conversation(tokenizer, shown)
    trained = tokenizer.decode([label for label in rendered.labels if label >= 0])
    assert "I add." in trained and '"arguments": {"a": 2}' in trained and trained.endswith("4<|im_end|>")
    assert "the result" in tokenizer.decode(rendered.input_ids) and "the result" not in trained
    plain = as_conversation(replace(PROBLEM, demonstration=turns), "non_thinking")
    assert not any("reasoning_content" in turn for turn in plain.messages)


def test_they_reach_both_sides_of_a_preference(tokenizer: PreTrainedTokenizerBase) -> None:
    answers = [{"role": "assistant", "content": text} for text in ("4", "5")]
    sides = render_preference(tokenizer, Preference("p", MESSAGES, answers[0], answers[1], "non_thinking", tools=[ADD]))
    assert missing(tokenizer.decode(sides.prompt_ids)) == []


def test_they_reach_conversations_of_the_evaluation(tokenizer: PreTrainedTokenizerBase) -> None:
    second = Problem("q", [user_turn("And 3 + 3?")], "6")
    talks, engine = held(tokenizer, lambda _: "<think>\nhm\n</think>\n\n4", [Plan((PROBLEM, second), (None, None))])
    assert [missing(prompt) for prompt in engine.prompts] == [[], []]
    assert engine.prompts[1].count("Be brief.") == 1 and "And 3 + 3?" in engine.prompts[1]
    assert len(talks[0].turns) == 2


def test_a_history_that_is_cut_keeps_the_system_turn_and_the_tools(tokenizer: PreTrainedTokenizerBase) -> None:
    second = Problem("q", [user_turn("And 3 + 3?")], "6")
    alone = render_prompt(tokenizer, [MESSAGES[0], *second.messages], "thinking", flagged=False, tools=[ADD])
    room = len(render_prompt(tokenizer, MESSAGES, "thinking", flagged=False, tools=[ADD]))
    assert room > len(alone)
    plan = Plan((PROBLEM, second), (None, None))
    _, engine = held(tokenizer, lambda _: "<think>\nhm\n</think>\n\n4", [plan], room)
    assert engine.prompts[1] == tokenizer.decode(alone)


def test_they_reach_the_linter(tokenizer: PreTrainedTokenizerBase) -> None:
    asked = Conversation(PROBLEM.id, PROBLEM.messages, "thinking", tools=PROBLEM.tools)
    for case in (Case(1, asked, is_prompt=True), Case(1, as_conversation(PROBLEM, "thinking"))):
        seen = view(tokenizer, Vocabulary.of(tokenizer), case, Intent())
        assert missing(seen.text) == [] and missing(seen.prompt) == []


def test_they_pass_through_the_server() -> None:
    body = resolve({"messages": MESSAGES, "tools": [ADD], "tool_choice": "auto"}).body
    assert body["messages"] == MESSAGES and body["tools"] == [ADD] and body["tool_choice"] == "auto"


def test_a_table_holds_problems_as_messages_and_tools() -> None:
    fields = Fields(prompt="chat", tools="functions", answer="gold")
    answered = [*MESSAGES, {"role": "assistant", "content": "It is four."}]
    problem = read_problem("t", fields, 0, {"chat": answered, "functions": '[{"name": "add"}]', "gold": "4"})
    assert problem.messages == MESSAGES, "the last answer is not shown to who has to give it"
    assert problem.tools == [{"type": "function", "function": {"name": "add"}}] and problem.question == "And 2 + 2?"
    assert fields.given_columns == {"tools", "answer"}
    assert read_problem("t", fields, 0, {"chat": MESSAGES, "functions": None, "gold": "4"}).tools == []


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"chat": "What?", "functions": []}, "`chat` is no list of messages"),
        ({"chat": [{"role": "system", "content": "Be brief."}], "functions": []}, "holds no user turn"),
        ({"chat": MESSAGES, "functions": "add"}, "`functions` is no list of tools"),
        ({"chat": MESSAGES, "functions": [{"title": "add"}]}, "`functions` is no list of tools"),
    ],
)
def test_a_row_that_is_no_conversation_is_refused_with_its_place(row: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_problem("t", Fields(prompt="chat", tools="functions"), 3, {**row, "answer": "4"})


def test_a_problem_is_identified_by_all_its_turns_but_its_system_turn() -> None:
    one = Problem("a", [user_turn("1 + 1 ="), {"role": "assistant", "content": "2"}, user_turn("And again?")], "2")
    other = Problem("b", [user_turn("5 + 5 ="), {"role": "assistant", "content": "10"}, user_turn("And again?")], "10")
    assert problem_key(one.text) != problem_key(other.text)
    alone = Problem("c", [user_turn("1 + 1 =")], "2")
    told = replace(alone, messages=[{"role": "system", "content": "Be brief."}, *alone.messages])
    assert split_of(told.text) == split_of(alone.text) == split_of("1 + 1 =")


def test_a_target_length_is_asked_for_in_the_last_user_turn() -> None:
    asked = with_target_length(PROBLEM, 40)
    assert [turn["content"] for turn in asked.messages[:3]] == [turn["content"] for turn in MESSAGES[:3]]
    assert asked.question == "And 2 + 2?\nThink for about 40 tokens." and asked.tools == [ADD]


def test_a_server_accepts_tools_where_its_template_writes_calls(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tool_calls(str(tokenizer.chat_template)) == ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    assert tool_calls("{% for message in messages %}{{ message.content }}{% endfor %}") == []
