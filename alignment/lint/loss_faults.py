"""Faults that only a rendered row shows: misplaced loss, and what the template did to history, tool turns and turn ends.

One function per fault. Neighbours: views.py, template_faults.py (faults of every row), linter.py (the table).
"""

import json
import re
from collections.abc import Iterator

from alignment.data.chat.modes import flagged_mode
from alignment.lint.cases import assistant_turns, last_query, split_turn
from alignment.lint.findings import Finding, Intent, shown
from alignment.lint.tool_faults import calls_of
from alignment.lint.views import View, answers_in

_READS_TOOLS = re.compile(r"\btools\b")
_EMPTY_BLOCK = re.compile(r"<think>\s*</think>\s*")
_HEADER = re.compile(r"<\|im_start\|>\w+\n")


def history_thinking(view: View, intent: Intent) -> Iterator[Finding]:
    """Thinking of earlier turns that is kept in training and stripped in rollouts, or the reverse; or trained without it."""
    messages, answers = view.case.messages, assistant_turns(view.case.messages)
    if not answers or view.case.is_prompt:
        return
    query = last_query(messages)
    trained, asked = answers_in(view.text, len(answers)), answers_in(view.prompt, len(answers))
    for index, turn, prompted in zip(answers[:-1], trained, asked, strict=False):
        thinking, answer = (part.strip() for part in split_turn(messages[index]))
        if not thinking:
            continue
        # Searched in its own turn only: short thinking or answers may also occur in others.
        in_training = thinking in view.text[turn.start : turn.end]
        in_rollouts = thinking in view.prompt[prompted.start : prompted.end]
        if in_training != in_rollouts:
            where, other = ("training", "rollouts") if in_training else ("rollouts", "training")
            yield Finding(
                "history_thinking",
                "error",
                view.number,
                f"the thinking of message {index} is kept in {where} and stripped in {other}",
                "use one template for both that decides by the last question alone, as chat_template: qwen3 does",
            )
            return
        learned = any(answer and answer in passage for passage in view.passages(turn.start, turn.end))
        if not in_training and index <= query and learned:
            yield Finding(
                "history_thinking",
                "warning" if "loss_on_history" in intent.chosen else "error",
                view.number,
                f"message {index} carries loss, and its thinking was stripped: the policy learns to answer without it",
                "set loss_on_history: false, or make a separate row of each turn",
            )
            return
    if not view.text.startswith(view.prompt):
        yield Finding(
            "prompt_mismatch",
            "error",
            view.number,
            f"the training text does not continue the prompt of a rollout, which ends with {shown(view.prompt[-40:])}",
            "make the template's generation prompt a prefix of the assistant turn that it renders",
        )


def thinking_not_rendered(view: View, intent: Intent) -> Iterator[Finding]:
    """Thinking of the last answers that the template does not write: the policy would learn to answer without it."""
    messages = view.case.messages
    for index in [] if view.case.is_prompt else assistant_turns(messages):
        thinking = split_turn(messages[index])[0].strip()
        if index > last_query(messages) and thinking and thinking not in view.text:
            yield Finding(
                "thinking_not_rendered",
                "error",
                view.number,
                f"the thinking of message {index} is not in the rendered text: the chat template drops it",
                "write a `chat_template` that renders reasoning_content, such as those of data/templates/",
            )
            return


def loss_on_prompt(view: View, intent: Intent) -> Iterator[Finding]:
    """Loss on tokens that the policy never samples: turns of other roles, and the header of its own."""
    for turn in view.turns():
        header = _HEADER.match(view.text, turn.start)
        end = header.end() if header and turn.role == "assistant" else turn.end
        if view.carries_loss(turn.start, end):
            what = "the header of an assistant turn" if turn.role == "assistant" else f"a {turn.role} turn"
            yield _loss_on_prompt(view, f"{what} carries loss: {shown(view.text[turn.start : end])}")
            return
    if view.turns():
        return
    for index, message in enumerate(view.case.messages):
        content = message.get("content")
        if message["role"] in ("user", "system") and isinstance(content, str) and len(content.strip()) > 2:
            answers = "".join(str(other.get("content")) for other in view.case.messages if other is not message)
            if content.strip() not in answers and any(content.strip() in passage for passage in view.passages()):
                yield _loss_on_prompt(view, f"message {index} ({message['role']}) carries loss: {shown(content)}")
                return


def _loss_on_prompt(view: View, fault: str) -> Finding:
    advice = "put {% generation %} in the template around the assistant's text and its end-of-turn token alone"
    return Finding("loss_on_prompt", "error", view.number, fault, advice)


def loss_on_forced_text(view: View, intent: Intent) -> Iterator[Finding]:
    """Loss on the stop text of a thinking budget: the policy would learn to write it itself."""
    passages = view.passages()
    for phrase in intent.forced_phrases():
        if any(phrase in passage for passage in passages):
            yield Finding(
                "loss_on_forced_text",
                "error",
                view.number,
                f"the stop text of a thinking budget carries loss: {shown(phrase)}",
                "leave out rows whose thinking was cut by a budget, or sample them without one",
            )
            return


def empty_think(view: View, intent: Intent) -> Iterator[Finding]:
    """An empty think block, with or without loss, and whether the recipe sets that explicitly."""
    blocks = list(_EMPTY_BLOCK.finditer(view.text)) if not view.case.is_prompt and view.vocabulary.marks_loss else []
    if not blocks:
        return
    flagged = flagged_mode(view.case.messages) == "non_thinking"
    chosen = "loss_on_empty_think" in intent.chosen
    if any(view.carries_loss(block.start(), block.start() + len("<think>")) for block in blocks):
        meant = intent.loss_on_empty_think and flagged
        yield Finding(
            "empty_think_with_loss",
            "note" if meant else "warning",
            view.number,
            "its empty think block carries loss, "
            + (
                "as the recipe's loss_on_empty_think says"
                if meant
                else "though the recipe does not say so: the template marks it"
            ),
            "" if meant else "use chat_template: qwen3, in which loss_on_empty_think decides it",
        )
        return
    unchosen = flagged and intent.stage is not None and not chosen
    if unchosen:
        why = "though under /no_think the policy has to write it; this is the default, and the recipe does not set it"
    elif flagged:
        why = "as the recipe's loss_on_empty_think says" if chosen else "which is the default"
    else:
        why = "since the template's switch writes it in rows without a flag"
    yield Finding(
        "empty_think_without_loss",
        "warning" if unchosen else "note",
        view.number,
        f"its empty think block carries no loss, {why}",
        "write loss_on_empty_think: true to train it, or false to keep this on purpose" if unchosen else "",
    )


def end_of_turn_without_loss(view: View, intent: Intent) -> Iterator[Finding]:
    """An answer whose end-of-turn token carries no loss: the policy never learns to stop."""
    index = unfinished(view)
    if index is None:
        return
    following = view.input_ids[index + 1] if index + 1 < len(view.input_ids) else None
    if following is not None and following == view.vocabulary.pad_id:
        return  # reported as pad_is_end_of_turn
    yield Finding(
        "end_of_turn_without_loss",
        "error",
        view.number,
        f"the loss ends with {shown(view.piece(index))} and leaves the end-of-turn token out, so the policy never learns to stop",
        "put {% endgeneration %} in the template after the end-of-turn token",
    )


def unfinished(view: View) -> int | None:
    """Index of the last token with loss in the first turn whose end-of-turn token has none; None if all turns are fine."""
    turns = [turn.end for turn in view.turns() if turn.role == "assistant"] or [len(view.text) + 1]
    ends = view.vocabulary.turn_end_ids
    begun, last = 0, None
    for end in turns:
        inside = [i for i in range(len(view.spans)) if view.trained[i] and begun <= view.spans[i][0] < end]
        begun = end
        if inside and not any(view.input_ids[i] in ends for i in inside[-2:]):
            last = inside[-1]
            break
    return last


def no_loss(view: View, intent: Intent) -> Iterator[Finding]:
    """A row in which no token carries loss, though its messages look right."""
    if view.vocabulary.marks_loss and not view.case.is_prompt and not view.trained_tokens:
        yield Finding(
            "no_loss",
            "error",
            view.number,
            "no token of it carries loss",
            "make sure the template's {% generation %} block is reached for this row's last turn",
        )


def double_bos(view: View, intent: Intent) -> Iterator[Finding]:
    """Two begin-of-text tokens at the start, which the model has never seen in pretraining."""
    bos = view.vocabulary.bos_id
    if bos is not None and view.input_ids[:2] == [bos, bos]:
        yield Finding(
            "double_bos",
            "error",
            view.number,
            "it begins with two begin-of-text tokens",
            "remove the token from the data, or one of the two from the template",
        )


def too_long(view: View, intent: Intent) -> Iterator[Finding]:
    """A row above the length limit, which stages leave out. Says what a trainer that truncates would lose."""
    limit, length = intent.max_length, len(view.input_ids)
    if limit is None or length <= limit:
        return
    lost = sum(view.trained[limit:])
    cut = view.text[view.spans[limit][0] :]
    whole = "its answer, " if "</think>" in cut else ""
    loses = (
        ""
        if view.case.is_prompt
        else f"; truncated there, it would lose {whole}{lost} tokens with loss and its end of turn"
    )
    yield Finding(
        "too_long",
        "warning",
        view.number,
        f"it has {length:,} tokens, {length - limit:,} more than {limit:,}, and is left out{loses}, from {shown(cut)} on",
        f"raise {'max_prompt_tokens' if view.case.is_prompt else 'max_length'} to {length}, or remove such rows from the data",
    )


def tool_turns_in_text(view: View, intent: Intent) -> Iterator[Finding]:
    """Tool turns that the template gets wrong: responses lost or outside their tags, calls lost or encoded twice."""
    wraps = "<tool_response>" in view.vocabulary.template
    for index, message in enumerate(view.case.messages):
        content = message.get("content")
        if message["role"] == "tool" and isinstance(content, str):
            inside = re.search(rf"<tool_response>\s*{re.escape(content.strip())}\s*</tool_response>", view.text)
            if content.strip() not in view.text or (wraps and not inside):
                what = "is not in the rendered text" if content.strip() not in view.text else "stands outside its tags"
                yield _tool_fault(view, "tool_response_outside", f"the tool response of message {index} {what}")
        for call in calls_of(message):
            arguments, name = call.get("arguments"), str(call["name"])
            if name not in view.text:
                yield _tool_fault(view, "tool_calls_torn", f"the call of {shown(name)} is not in the rendered text")
            elif isinstance(arguments, str) and arguments not in view.text and json.dumps(arguments) in view.text:
                yield _tool_fault(
                    view, "tool_arguments_encoded_twice", f"the template encodes the arguments of {shown(name)} again"
                )


def _tool_fault(view: View, code: str, fault: str) -> Finding:
    advice = "use chat_template: qwen3, which renders tool turns as Qwen3 does"
    return Finding(code, "error", view.number, fault, advice)


def tools_not_rendered(view: View, intent: Intent) -> Iterator[Finding]:
    """Functions declared beside the messages that the chat template does not write into the prompt."""
    if view.case.has_tools and not _READS_TOOLS.search(view.vocabulary.template):
        yield Finding(
            "tools_not_rendered",
            "warning",
            view.number,
            "the row declares `tools`, and the chat template does not read them, so the policy never sees them",
            "write chat_template: qwen3 in the recipe, or the declarations into the system turn",
        )
