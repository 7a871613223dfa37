"""The chat template renders what Qwen3's own renders, and loss falls only where it was chosen to fall."""

from importlib.resources import files

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from alignment.core.errors import DataError
from alignment.core.resources import resource
from alignment.data.chat.template import IGNORED, render_conversation, render_preference, render_prompt
from alignment.data.rows import Conversation, Preference

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
CALL = {"type": "function", "function": {"name": "add", "arguments": {"a": 1, "b": 2}}}
USER = {"role": "user", "content": "What is 1 + 2?"}
CHATS = {
    "one turn": [USER],
    "thinking answer": [USER, {"role": "assistant", "reasoning_content": "1 + 2 = 3", "content": "3"}],
    "thinking inside the content": [USER, {"role": "assistant", "content": "<think>\n1 + 2 = 3\n</think>\n\n3"}],
    "answer without thinking": [USER, {"role": "assistant", "content": "3"}],
    "history loses its thinking": [
        USER,
        {"role": "assistant", "reasoning_content": "easy", "content": "3"},
        {"role": "user", "content": "And 2 + 2?"},
        {"role": "assistant", "reasoning_content": "also easy", "content": "4"},
    ],
    "system prompt": [{"role": "system", "content": "Be brief."}, USER],
    "a later system turn": [USER, {"role": "system", "content": "Now be long."}, {"role": "assistant", "content": "3"}],
    "tool chain": [
        USER,
        {"role": "assistant", "reasoning_content": "call it", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "3"},
        {"role": "tool", "content": "three"},
        {"role": "assistant", "reasoning_content": "done", "content": "It is 3."},
    ],
    "two calls beside text": [USER, {"role": "assistant", "content": "Both:", "tool_calls": [CALL, CALL]}],
    "arguments as text": [
        USER,
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "add", "arguments": '{"a": 1}'}}]},
    ],
    "tool response as a user turn": [
        USER,
        {"role": "assistant", "reasoning_content": "wait", "content": "calling"},
        {"role": "user", "content": "<tool_response>\n3\n</tool_response>"},
        {"role": "assistant", "reasoning_content": "got it", "content": "3"},
    ],
    "no user turn": [{"role": "assistant", "reasoning_content": "hm", "content": "Hello."}],
    "content that is not text": [{"role": "user", "content": [{"type": "text", "text": "1 + 2?"}]}],
    "newlines around thinking": [USER, {"role": "assistant", "reasoning_content": "\n\nhm\n\n", "content": "\n\n3"}],
}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(resource("data/base"))


@pytest.mark.parametrize("name", CHATS)
@pytest.mark.parametrize("tools", [None, [TOOL]])
@pytest.mark.parametrize("enable_thinking", [None, True, False])
def test_the_template_renders_byte_for_byte_like_qwen3s_own(
    tokenizer: PreTrainedTokenizerBase, name: str, tools: list | None, enable_thinking: bool | None
) -> None:
    theirs = (files("trl") / "chat_templates" / "qwen3.jinja").read_text(encoding="utf-8")
    extra = {} if enable_thinking is None else {"enable_thinking": enable_thinking}
    for prompt in (False, True):
        settings = {"tokenize": False, "tools": tools, "add_generation_prompt": prompt, **extra}
        ours = tokenizer.apply_chat_template(CHATS[name], **settings)
        assert ours == tokenizer.apply_chat_template(CHATS[name], chat_template=theirs, **settings)


def trained_text(tokenizer: PreTrainedTokenizerBase, conversation: Conversation, **settings: bool) -> str:
    rendered = render_conversation(tokenizer, conversation, **settings)
    assert len(rendered.input_ids) == len(rendered.labels)
    return tokenizer.decode([label for label in rendered.labels if label != IGNORED])


def answer(thinking: str, content: str = "\\boxed{3}") -> dict[str, str]:
    return {"role": "assistant", "reasoning_content": thinking, "content": content}


def test_only_the_answer_and_its_thinking_carry_loss(tokenizer: PreTrainedTokenizerBase) -> None:
    row = Conversation("a", [USER, answer("1 + 2 = 3")], "thinking")
    assert trained_text(tokenizer, row) == "<think>\n1 + 2 = 3\n</think>\n\n\\boxed{3}<|im_end|>"


def test_an_empty_think_block_carries_no_loss_by_default(tokenizer: PreTrainedTokenizerBase) -> None:
    flagged = {"role": "user", "content": "What is 1 + 2? /no_think"}
    for question in (USER, flagged):
        row = Conversation("a", [question, answer("")], "non_thinking")
        assert trained_text(tokenizer, row) == "\\boxed{3}<|im_end|>"


def test_a_chosen_empty_think_block_carries_loss_only_where_the_flag_asks_for_it(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    flagged = Conversation("a", [{"role": "user", "content": "1 + 2? /no_think"}, answer("")], "non_thinking")
    plain = Conversation("b", [USER, answer("")], "non_thinking")
    assert trained_text(tokenizer, flagged, loss_on_empty_think=True).startswith("<think>\n\n</think>\n\n\\boxed")
    assert trained_text(tokenizer, plain, loss_on_empty_think=True) == "\\boxed{3}<|im_end|>"


def test_history_carries_loss_only_when_it_was_chosen(tokenizer: PreTrainedTokenizerBase) -> None:
    row = Conversation("a", [USER, answer("x", "first"), USER, answer("y", "second")], "thinking")
    assert "first" not in trained_text(tokenizer, row)
    assert "first" in trained_text(tokenizer, row, loss_on_history=True)


def test_a_row_without_an_answer_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(DataError, match="no token that carries loss"):
        render_conversation(tokenizer, Conversation("a", [USER], "thinking"))


def test_training_continues_the_very_prompt_that_rollouts_start_from(tokenizer: PreTrainedTokenizerBase) -> None:
    for mode, thinking in (("thinking", "1 + 2 = 3"), ("non_thinking", "")):
        row = render_conversation(tokenizer, Conversation("a", [USER, answer(thinking)], mode))
        prompt = render_prompt(tokenizer, [USER], mode, flagged=False)
        assert row.input_ids[: len(prompt)] == prompt


def test_the_hard_switch_writes_the_empty_block_and_the_flag_does_not(tokenizer: PreTrainedTokenizerBase) -> None:
    hard = tokenizer.decode(render_prompt(tokenizer, [USER], "non_thinking", flagged=False))
    soft = tokenizer.decode(render_prompt(tokenizer, [USER], "non_thinking", flagged=True))
    assert hard.endswith("<think>\n\n</think>\n\n")
    assert soft.endswith("/no_think<|im_end|>\n<|im_start|>assistant\n")


def test_both_sides_of_a_preference_continue_its_prompt(tokenizer: PreTrainedTokenizerBase) -> None:
    pair = Preference("a", [USER], answer("1 + 2 = 3"), answer("1 + 2 = 4", "\\boxed{4}"), "thinking")
    rendered = render_preference(tokenizer, pair)
    assert rendered.prompt_ids == render_prompt(tokenizer, [USER], "thinking", flagged=False)
    assert tokenizer.decode(rendered.chosen_ids) == "<think>\n1 + 2 = 3\n</think>\n\n\\boxed{3}<|im_end|>"
    assert tokenizer.decode(rendered.rejected_ids).endswith("\\boxed{4}<|im_end|>")
