"""Faults in the order of a row's turns, its flags and its mode.

One function per fault. Neighbours: text_faults.py, tool_faults.py, linter.py (the table).
"""

from collections.abc import Iterator

from alignment.data.chat.modes import FLAGS, flagged_mode
from alignment.lint.cases import Case, assistant_turns, last_query, split_turn
from alignment.lint.findings import Finding, Intent
from alignment.lint.tool_faults import has_calls


def role_order(case: Case, intent: Intent) -> Iterator[Finding]:
    """An assistant turn first, or one role twice in a row: no prompt of a rollout looks like that."""
    messages = case.messages
    roles = [message["role"] for message in messages]
    spoken = [role for role in roles if role != "system"]
    if spoken and spoken[0] == "assistant":
        yield Finding(
            "role_order",
            "error",
            case.number,
            "the first turn is an assistant turn, which answers nothing",
            "begin with a user turn, or remove the first turn",
        )
    for index in range(1, len(messages)):
        role = roles[index]
        if role != roles[index - 1] or role not in ("user", "assistant"):
            continue
        if role == "assistant" and has_calls(messages[index - 1]):
            continue  # reported as tool_calls_torn
        yield Finding(
            "role_order",
            "error" if role == "assistant" else "warning",
            case.number,
            f"messages {index - 1} and {index} are both {role} turns",
            "join them into one turn, or restore the missing turn between them",
        )


def flag_contradicts(case: Case, intent: Intent) -> Iterator[Finding]:
    """A flag or mode that the answer contradicts: the policy would unlearn the switch."""
    asked = flagged_mode(case.messages)
    if case.is_prompt:
        if asked is not None:
            yield Finding(
                "flag_contradicts",
                "warning",
                case.number,
                f"the problem holds {FLAGS[asked]}, whatever mode its rollout is in",
                "remove the flag from the data; `thinking_fraction` and `flag_fraction` set modes and flags",
            )
        return
    answers = [index for index in assistant_turns(case.messages) if index > last_query(case.messages)]
    if not answers:
        return
    thinks = any(split_turn(case.messages[index])[0].strip() for index in answers)
    mode = case.conversation.mode
    if asked is not None and thinks != (asked == "thinking"):
        yield Finding(
            "flag_contradicts",
            "error" if thinks else "warning",
            case.number,
            f"the last flag is {FLAGS[asked]}, and the answer {'thinks' if thinks else 'does not think'}",
            f"write {FLAGS['thinking' if thinks else 'non_thinking']}, or "
            + ("empty the thinking" if thinks else "remove the flag"),
        )
    elif asked is None and thinks and mode == "non_thinking":
        yield Finding(
            "flag_contradicts",
            "error",
            case.number,
            "the row says mode: non_thinking, and its answer thinks",
            "write mode: thinking, or empty the thinking",
        )


def no_answer_to_imitate(case: Case, intent: Intent) -> Iterator[Finding]:
    """No assistant turn that could carry loss: none at all, or none after the last question."""
    messages = case.messages
    if case.is_prompt or not all(isinstance(one.get("content"), str) for one in messages if one["role"] == "user"):
        return  # the template skips such a question; reported as content_not_text
    answers = assistant_turns(messages)
    if not intent.loss_on_history:
        answers = [index for index in answers if index > last_query(messages)]
    if not answers:
        asks = any(message["role"] == "user" for message in messages)
        yield Finding(
            "no_loss",
            "error",
            case.number,
            f"no token of it carries loss: {'no assistant turn follows the last question' if asks else 'there is no question'}",
            "end the row with the assistant turn to train on" if asks else "begin the row with the question",
        )
