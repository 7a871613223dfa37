"""TRL's arguments to a reward function -> Rollouts: prompts, completions as text or as messages, and the dataset's columns.

Neighbours: compose.py (judges them), contract.py (Rollout).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rewards.contract import MODES, THINK_CLOSE, THINK_OPEN, THINKING_KEYS, Rollout, content_text


def read_rollouts(
    prompts: Sequence[Any],
    completions: Sequence[Any],
    completion_ids: Sequence[Sequence[int]] | None,
    columns: Mapping[str, Any],
) -> list[Rollout]:
    """Rollouts from what TRL hands to a reward function.

    A column `completion_text` wins over `completions`: TRL decodes without special tokens, which loses think tags
    where the tokenizer calls them special. A completion of messages stays with the Rollout as such. Columns `mode`,
    `budget`, `stop_reason` and `forced` fill those fields.
    """
    rows = row_columns(columns, len(completions))
    texts = rows.get("completion_text", completions)
    rollouts = []
    for row, prompt in enumerate(prompts):
        values = {name: column[row] for name, column in rows.items()}
        mode, forced = values.get("mode"), values.get("forced")
        if mode is not None and mode not in MODES:
            raise ValueError(f"column 'mode' holds {mode!r} in row {row}; write one of: {', '.join(MODES)}")
        rollouts.append(
            Rollout(
                prompt=prompt,
                completion=completion_text(texts[row]),
                completion_ids=None if completion_ids is None else tuple(completion_ids[row]),
                mode=mode,
                budget=values.get("budget"),
                stop_reason=values.get("stop_reason"),
                forced=None if forced is None else tuple(map(bool, forced)),
                columns=values,
                messages=_messages(completions[row]),
            )
        )
    return rollouts


def _messages(completion: Any) -> tuple[Mapping[str, Any], ...]:
    """The messages of a completion that has some."""
    if completion is None or isinstance(completion, str):
        return ()
    return (completion,) if isinstance(completion, Mapping) else tuple(completion)


def completion_text(completion: Any) -> str:
    """A completion as one text; None is an empty one.

    Of messages, the last assistant turn; its `reasoning_content`, `reasoning` or `thinking`, or its parts of that type,
    become a think block.
    """
    if completion is None or isinstance(completion, str):
        return completion or ""
    if isinstance(completion, Mapping):
        completion = [completion]
    turns = [message for message in completion if message.get("role", "assistant") == "assistant"]
    if not turns:
        return ""
    content, reasoning = content_text(turns[-1].get("content")), _reasoning(turns[-1])
    return f"{THINK_OPEN}\n{reasoning}\n{THINK_CLOSE}\n\n{content}" if reasoning else content


def _reasoning(turn: Mapping[str, Any]) -> Any:
    """The thinking of a parsed message: under a key of its own, or in parts of the content; empty where there is none."""
    content, beside = turn.get("content"), next(filter(None, map(turn.get, THINKING_KEYS)), None)
    if beside is not None or not isinstance(content, (list, tuple)):
        return beside
    parts = [part for part in content if isinstance(part, Mapping) and part.get("type") in THINKING_KEYS]
    return "".join(str(part.get(part["type"]) or "") for part in parts)


def row_columns(columns: Mapping[str, Any], rows: int) -> dict[str, Sequence[Any]]:
    """The arguments that are dataset columns, arrays included; TRL also passes its trainer state and the like."""
    return {name: value for name, value in columns.items() if _is_column(value) and len(value) == rows}


def _is_column(value: Any) -> bool:
    """A list, a tuple, or what can be counted and indexed like one (an array); text and mappings are single values."""
    if isinstance(value, (list, tuple)):
        return True
    like_one = hasattr(value, "__len__") and hasattr(value, "__getitem__") and getattr(value, "shape", (0,)) != ()
    return like_one and not isinstance(value, (str, bytes, Mapping))
