"""Runs in a worker process of the pool: describes a reward of one's own, and judges batches with it.

`describe` takes a name; `judging` is called once with the name and its options, and what it returns takes a batch of
rows. Everything that the code raises is caught here and becomes words with the file and line. Neighbours: signature.py,
loading.py, verifier.py (the other side).
"""

import asyncio
import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rewards.contract import Rollout, Verdict
from rewards.kind import Kind
from rewards.own.loading import OwnCodeError, folder_of, load, own_name, where
from rewards.own.signature import GIVEN, TRAINERS, Judges
from rewards.own.signature import describe as described

LONGEST_TEXT = 300  # characters of what is said of a value
Scored = list[tuple[float | None, str, Mapping[str, Any]]]  # score, reason, evidence


def describe(name: str) -> dict[str, Any]:
    """What a reward takes, or why it is none: `{"refused": words}`."""
    folder = folder_of(name)
    try:
        found = load(name)
    except OwnCodeError as error:
        return {"refused": str(error)}
    except Exception as error:  # noqa: BLE001  code of the user's own may raise anything
        return {"refused": f"{where(error, folder)}; it cannot be imported before this is fixed"}
    try:
        return described(found)
    except OwnCodeError as error:
        return {"refused": f"{own_name(name).short}: {error}"}
    except (TypeError, ValueError) as error:  # a callable without a signature
        return {"refused": f"{own_name(name).short}: its signature cannot be read ({error}); write a plain function"}


def judging(argument: str) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    """The function that judges batches, from JSON of `{"name", "reads", "options"}`. Raises OwnCodeError."""
    asked = json.loads(argument)
    found = load(asked["name"])
    if isinstance(found, Kind):
        found = found.verifier
    folder = folder_of(asked["name"])
    if isinstance(found, type):
        found = found(**asked["options"])
    verdicts = _verifier(found) if isinstance(found, Judges) else _function(found, asked["reads"], asked["options"])

    def judge(rows: list[dict[str, Any]]) -> dict[str, Any]:
        try:
            returned = verdicts(rows)
        except Exception as error:  # noqa: BLE001  so may this
            return {"fault": "raised", "detail": where(error, folder)[:LONGEST_TEXT]}
        return _checked(returned, len(rows))

    return judge


def _verifier(found: Any) -> Callable[[list[dict[str, Any]]], Any]:
    def verdicts(rows: list[dict[str, Any]]) -> Any:
        return found.judge([_rollout(row) for row in rows])

    return verdicts


def _rollout(row: dict[str, Any]) -> Rollout:
    forced, ids = row["forced"], row["completion_ids"]
    return Rollout(
        **{
            **row,
            "completion_ids": None if ids is None else tuple(ids),
            "forced": None if forced is None else tuple(forced),
            "messages": tuple(row["messages"]),
        }
    )


def _function(
    found: Callable[..., Any], reads: str, options: Mapping[str, Any]
) -> Callable[[list[dict[str, Any]]], Any]:
    parameters = inspect.signature(found).parameters
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters.values())

    def scores(rows: list[dict[str, Any]]) -> Any:
        given = {name: value for name, value in _arguments(rows, reads).items() if takes_all or name in parameters}
        returned = found(**{**given, **options})
        return asyncio.run(_awaited(returned)) if inspect.isawaitable(returned) else returned

    return scores


async def _awaited(coming: Any) -> Any:
    return await coming


def _arguments(rows: list[dict[str, Any]], reads: str) -> dict[str, Any]:
    """What TRL's trainer hands over: lists with one value a row, by name."""
    names = list(dict.fromkeys(name for row in rows for name in row["columns"]))
    columns = {name: [row["columns"].get(name) for row in rows] for name in names if name not in (*GIVEN, *TRAINERS)}
    as_text = reads == "text"
    return {
        **columns,
        "prompts": [_text_of(row["prompt"]) if as_text else _messages_of(row["prompt"]) for row in rows],
        "completions": [row["completion"] if as_text else _turns_of(row) for row in rows],
        "completion_ids": [row["completion_ids"] for row in rows],
    }


def _text_of(prompt: Any) -> str:
    """The text of the last user turn."""
    if isinstance(prompt, str):
        return prompt
    asked = [one.get("content") or "" for one in prompt if one.get("role") == "user"]
    return str(asked[-1]) if asked else ""


def _messages_of(prompt: Any) -> Any:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def _turns_of(row: dict[str, Any]) -> list[Any]:
    """A completion as TRL gives it to a chat: one message with the whole text; of several turns, all of them."""
    if len(row["messages"]) > 1:
        return list(row["messages"])
    return [{"role": "assistant", "content": row["completion"]}]


def _checked(returned: Any, rows: int) -> dict[str, Any]:
    """What was returned as `{"scored": [...]}`, or what is wrong with it as a whole."""
    listed = returned.tolist() if hasattr(returned, "tolist") else returned
    if not isinstance(listed, Sequence) or isinstance(listed, str | bytes | bytearray):
        return {"fault": "wrong_type", "detail": f"it returned {_shown(returned)}, and a list of numbers is needed"}
    if len(listed) != rows:
        return {"fault": "wrong_length", "detail": f"it returned {len(listed)} scores for {rows} completions"}
    return {"scored": [_score(value) for value in listed]}


def _score(value: Any) -> tuple[float | None, str, Mapping[str, Any]]:
    if isinstance(value, Verdict):
        return None if value.score is None else float(value.score), str(value.reason), _json(value.evidence)
    if value is None:
        return None, "returned_none", {}
    if isinstance(value, str) or not hasattr(value, "__float__"):
        return None, "not_a_number", {"detail": f"it returned {_shown(value)} as a score"}
    try:
        score = float(value)
    except (TypeError, ValueError) as error:
        return None, "not_a_number", {"detail": f"it returned {_shown(value)} as a score ({error})"}
    if not math.isfinite(score):
        return None, "not_finite", {"detail": f"it returned {score} as a score"}
    return score, "scored", {}


def _json(evidence: Mapping[str, Any]) -> dict[str, Any]:
    return dict(json.loads(json.dumps(dict(evidence), default=str)))


def _shown(value: Any) -> str:
    return f"a {type(value).__name__} ({repr(value)[:80]})"
