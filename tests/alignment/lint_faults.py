"""Sound rows, and the faults that test_lint.py plants: in a row, in a template, in what is meant to carry loss."""

from collections.abc import Callable
from typing import Any

from alignment.core.resources import resource
from alignment.lint.findings import Intent, Severity
from alignment.recipe.blocks.sampling import QWEN3_STOP_TEXT

Messages = list[dict[str, Any]]
TEMPLATE = (resource("data/base") / "chat_template.jinja").read_text(encoding="utf-8")
USER = {"role": "user", "content": "What is 1 + 2?"}
ANSWER = {"role": "assistant", "reasoning_content": "1 + 2 = 3", "content": "It is 3."}
PLAIN = {"role": "assistant", "content": "It is 3."}
CALL = {"function": {"name": "add", "arguments": {"a": 1, "b": 2}}}
CALLING = {"role": "assistant", "reasoning_content": "call it", "content": "", "tool_calls": [CALL]}
RESULT = {"role": "tool", "content": "three"}


def chat() -> Messages:
    return [USER, ANSWER]


def said(content: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": content}


def calling(*arguments: Any) -> dict[str, Any]:
    return {**CALLING, "tool_calls": [{"function": {"name": "add", "arguments": one}} for one in arguments]}


SOUND: dict[str, Messages] = {
    "thinking": chat(),
    "without thinking": [USER, PLAIN],
    "thinking inline": [USER, said("<think>\n1 + 2 = 3\n</think>\n\nIt is 3.", "assistant")],
    "thinking opened by the prompt": [USER, said("1 + 2 = 3\n</think>\n\nIt is 3.", "assistant")],
    "asked by flag": [said("What is 1 + 2? /think"), ANSWER],
    "asked by flag without thinking": [said("What is 1 + 2? /no_think"), PLAIN],
    "a flag overruled": [said("1 + 1? /no_think"), PLAIN, said("1 + 2? /think"), ANSWER],
    "history": [USER, ANSWER, said("And 2 + 2?"), {**ANSWER, "reasoning_content": "2 + 2 = 4", "content": "4"}],
    "an earlier answer in the words of the last": [USER, ANSWER, said("And 2 + 1?"), ANSWER],
    "a system turn": [said("Be brief.", "system"), USER, ANSWER],
    "a tool chain": [USER, CALLING, RESULT, ANSWER],
    "parallel calls": [USER, calling({"a": 1}, '{"b": 2}'), RESULT, said("four", "tool"), ANSWER],
    "a tool response as a user turn": [USER, CALLING, said("<tool_response>\n3\n</tool_response>"), ANSWER],
    "arguments with quotation marks": [USER, calling({"text": 'he said "\\"'}), RESULT, ANSWER],
    "the same words in question and answer": [said("It is 3."), ANSWER],
}

# What is planted: the code, its gravity, the messages. None of it needs a tokenizer to be seen.
ROW_FAULTS: dict[str, tuple[str, Severity, Messages]] = {
    "a list as content": ("content_not_text", "error", [said([{"type": "text", "text": "1 + 2?"}]), ANSWER]),
    "no content": ("content_not_text", "error", [USER, {"role": "assistant", "reasoning_content": "hm"}]),
    "thinking in a list": ("content_not_text", "error", [USER, {**ANSWER, "reasoning_content": ["a", "b"]}]),
    "a role that no template knows": ("not_a_conversation", "error", [USER, said("Hello.", "narrator")]),
    "a turn that is no object": ("not_a_conversation", "error", [USER, "It is 3."]),  # type: ignore[list-item]
    "the assistant first": ("role_order", "error", [said("Hello.", "assistant"), USER, ANSWER]),
    "two questions": ("role_order", "warning", [said("Listen."), USER, ANSWER]),
    "two answers": ("role_order", "error", [USER, ANSWER, ANSWER]),
    "no_think that thinks": ("flag_contradicts", "error", [said("1 + 2? /no_think"), ANSWER]),
    "think that does not": ("flag_contradicts", "warning", [said("1 + 2? /think"), PLAIN]),
    "a flag in the system turn": ("flag_contradicts", "error", [said("/no_think", "system"), USER, ANSWER]),
    "no answer": ("no_loss", "error", [USER]),
    "a question last": ("no_loss", "error", [USER, ANSWER, said("And 2 + 2?")]),
    "an answer cut while thinking": ("unclosed_think", "error", [USER, said("<think>\n1 + 2 =", "assistant")]),
    "two think blocks": (
        "think_tag_misplaced",
        "error",
        [USER, said("<think>\na\n</think>\nb\n<think>\nc\n</think>\nd", "assistant")],
    ),
    "text before the block": (
        "think_tag_misplaced",
        "error",
        [USER, said("Well. <think>\na\n</think>\n\nb", "assistant")],
    ),
    "a block beside the thinking": (
        "think_tag_misplaced",
        "error",
        [USER, {**ANSWER, "content": "<think>\na\n</think>\n\nb"}],
    ),
    "a tag inside the thinking": ("think_tag_misplaced", "error", [USER, {**ANSWER, "reasoning_content": "a<think>b"}]),
    "a tag in the question": ("think_tag_in_prompt", "warning", [said("What does </think> do?"), ANSWER]),
    "a turn typed by the user": (
        "special_token_in_text",
        "error",
        [said("Hi<|im_end|>\n<|im_start|>assistant\nSure."), ANSWER],
    ),
    "an end typed in the answer": ("special_token_in_text", "error", [USER, {**ANSWER, "content": "3<|im_end|>"}]),
    "a response with text outside": (
        "tool_response_outside",
        "error",
        [USER, CALLING, said("Result: <tool_response>3</tool_response>"), ANSWER],
    ),
    "a response wrapped twice": (
        "tool_response_outside",
        "error",
        [USER, CALLING, said("<tool_response>\n3\n</tool_response>", "tool"), ANSWER],
    ),
    "a response to nothing": ("tool_response_without_call", "error", [USER, RESULT, ANSWER]),
    "parallel calls torn apart": ("tool_calls_torn", "error", [USER, CALLING, CALLING, RESULT, RESULT, ANSWER]),
    "a call without its result": ("tool_results_astray", "error", [USER, calling({"a": 1}, {"b": 2}), RESULT, ANSWER]),
    "a result of no call": ("tool_results_astray", "error", [USER, CALLING, RESULT, RESULT, ANSWER]),
    "arguments encoded twice": (
        "tool_arguments_encoded_twice",
        "error",
        [USER, calling('"{\\"a\\": 1}"'), RESULT, ANSWER],
    ),
    "arguments that are no JSON": ("tool_arguments_encoded_twice", "error", [USER, calling("a=1"), RESULT, ANSWER]),
}

QUESTION = "{{- '<|im_start|>' ~ message.role ~ '\\n' ~ content ~ '<|im_end|>\\n' -}}"
HEADER = "{{- '<|im_start|>assistant\\n' -}}\n        {%- if not after_query"
ENDED = "~ turn.calls ~ '<|im_end|>' -%}"
HISTORY = [USER, ANSWER, said("And 2 + 2?"), {**ANSWER, "reasoning_content": "2 + 2 = 4", "content": "It is 4."}]


def changed(*replacements: tuple[str, str]) -> Callable[[str], str]:
    def change(template: str) -> str:
        for old, new in replacements:
            template = template.replace(old, new)
        return template

    return change


# What is planted: the code, how the template is changed, and a row in which it shows. Only training passes train_history.
TEMPLATE_FAULTS: dict[str, tuple[str, Callable[[str], str], Messages]] = {
    "history thinking kept in training": (
        "history_thinking",
        changed(("loop.index0 > last.query -%}", "loop.index0 > last.query or train_history is defined -%}")),
        HISTORY,
    ),
    "history thinking kept in rollouts": (
        "history_thinking",
        changed(("loop.index0 > last.query -%}", "loop.index0 > last.query or train_history is not defined -%}")),
        HISTORY,
    ),
    "a generation prompt that no turn begins with": (
        "prompt_mismatch",
        changed(("enable_thinking is false else '' -}}", "enable_thinking is false else 'Well, ' -}}")),
        chat(),
    ),
    "thinking that is not written": (
        "thinking_not_rendered",
        changed(("~ turn.thinking.strip('\\n') ~", "~ 'hm' ~")),
        chat(),
    ),
    "loss on the question": (
        "loss_on_prompt",
        changed((QUESTION, "{%- generation -%}" + QUESTION + "{%- endgeneration -%}")),
        chat(),
    ),
    "loss on the header": (
        "loss_on_prompt",
        changed((HEADER, HEADER.replace("{{- '<|im_start|>assistant\\n' -}}", "{%- generation -%}{{- '<|im_start|>assistant\\n' -}}{%- endgeneration -%}"))),
        chat(),
    ),
    "loss on the empty block unasked": (
        "empty_think_with_loss",
        changed(("elif empty and not train_empty_think", "elif false")),
        [USER, PLAIN],
    ),
    "the end of turn left out of the loss": (
        "end_of_turn_without_loss",
        changed((ENDED, "~ turn.calls -%}"), ("        {{- '\\n' -}}\n", "        {{- '<|im_end|>\\n' -}}\n")),
        chat(),
    ),
    "loss on nothing": ("no_loss", changed(("{%- if not after_query and not train_history -%}", "{%- if true -%}")), chat()),
    "no generation markers": (
        "no_generation_markers",
        changed(("{%- generation -%}", ""), ("{%- endgeneration -%}", "")),
        chat(),
    ),
    "tool responses outside their tags": (
        "tool_response_outside",
        changed(("'\\n<tool_response>\\n' ~ content ~ '\\n</tool_response>'", "'\\n' ~ content ~ '<tool_response>'")),
        [USER, CALLING, RESULT, ANSWER],
    ),
    "tool responses left out": (
        "tool_response_outside",
        changed(("'\\n<tool_response>\\n' ~ content ~ '\\n</tool_response>'", "''")),
        [USER, CALLING, RESULT, ANSWER],
    ),
    "calls left out": ("tool_calls_torn", changed((" ~ call_json(call.function or call)", "")), [USER, CALLING, RESULT, ANSWER]),
    "arguments encoded again": (
        "tool_arguments_encoded_twice",
        changed(("call.arguments if call.arguments is string else call.arguments | tojson", "call.arguments | tojson")),
        [USER, calling('{"a": 1}'), RESULT, ANSWER],
    ),
    "a template that refuses": (
        "template_refuses",
        changed(("{%- set opening", "{{- raise_exception('roles must alternate') -}}{%- set opening")),
        chat(),
    ),
}  # fmt: skip

FORCED = {**ANSWER, "reasoning_content": "1 + 2 is" + QWEN3_STOP_TEXT.split("\n</think>")[0]}
FLAGGED = [said("1 + 2? /no_think"), PLAIN]

# What is planted: the code, what the recipe means, and a row in which it goes wrong.
LOSS_FAULTS: dict[str, tuple[str, Intent, Messages]] = {
    "history trained without its thinking": ("history_thinking", Intent(loss_on_history=True), HISTORY),
    "what a budget wrote": ("loss_on_forced_text", Intent(), [USER, FORCED]),
    "what this recipe's budget writes": (
        "loss_on_forced_text",
        Intent(forced_texts=("\n\nTime is up, so here it is.\n</think>\n\n",)),
        [USER, {**ANSWER, "reasoning_content": "1 + 2 is\n\nTime is up, so here it is."}],
    ),
    "a block under no_think that is never taught": ("empty_think_without_loss", Intent(stage="fusion"), FLAGGED),
    "a row above the limit": ("too_long", Intent(max_length=16), chat()),
}
