"""A chat template that drops a turn, a call or a tool is refused before rows are trained on or asked as other rows."""

from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from alignment.core.errors import DataError
from alignment.core.resources import resource
from alignment.data.chat.templates import shipped, template_text
from alignment.data.chat.turns_rendered import TurnsRendered

TURN = "{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n'}}"
EVERY = f"{{% for m in messages %}}{TURN}{{% endfor %}}"
PAIRS = f"{{% for m in messages %}}{{% if m['role'] in ('user', 'assistant') %}}{TURN}{{% endif %}}{{% endfor %}}"
FIRST = "{% if messages[0]['role'] == 'system' %}{{messages[0]['content']}}{% endif %}" + PAIRS
RAISES = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" + PAIRS
TOOL = {"type": "function", "function": {"name": "addition", "parameters": {"type": "object", "properties": {}}}}
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"type": "function", "function": TOOL["function"] | {"arguments": {}}}],
}
USER, SYSTEM, TOLD = ({"role": role, "content": role[0]} for role in ("user", "system", "tool"))
ANSWER = {"role": "assistant", "content": "3"}


def with_template(template: str) -> PreTrainedTokenizerBase:
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(resource("data/base")))
    tokenizer.chat_template = template
    return tokenizer


def turns(template: str) -> TurnsRendered:
    return TurnsRendered(with_template(template))


@pytest.mark.parametrize(
    ("template", "messages", "tools", "says"),
    [
        (EVERY, [USER], [TOOL], "drops the row's `tools`"),
        (EVERY, [USER, CALL, TOLD, ANSWER], [], "drops the call of turn 1"),
        (PAIRS, [SYSTEM, USER], [], r"drops turn 0 \(system\)"),
        (FIRST, [SYSTEM, USER, ANSWER, SYSTEM, USER], [], r"drops turn 3 \(system\)"),
        (RAISES, [SYSTEM, USER, ANSWER], [], r"refuses it \(no system\)"),
    ],
)
def test_what_a_template_drops_or_refuses_is_named(
    template: str, messages: list[dict[str, Any]], tools: list[dict[str, Any]], says: str
) -> None:
    proof = turns(template)
    proof.prove("rows.jsonl/0", [USER, ANSWER])
    with pytest.raises(DataError, match=f"rows.jsonl/1: the chat template {says}"):
        proof.prove("rows.jsonl/1", messages, tools)


@pytest.mark.parametrize("name", shipped())
def test_the_shipped_templates_write_every_turn(name: str) -> None:
    proof = turns(template_text(name))
    for messages in ([SYSTEM, USER, ANSWER, SYSTEM, USER, ANSWER], [SYSTEM, USER, CALL, TOLD, ANSWER], [USER, CALL]):
        proof.prove("row", messages, [TOOL])
        proof.prove("row", messages)
        tokenizer = with_template(template_text(name))
        text = tokenizer.apply_chat_template(messages, tools=[TOOL], tokenize=False)
        assert [one["content"] for one in messages if one["content"] not in text] == []
