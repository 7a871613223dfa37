"""Document -> report.md: the page's numbers as text, for a pull request or a model card. No model answers.

Neighbours: document.py (the only source), phrases.py (how numbers read), html.py (the same with pictures).
"""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from alignment.report.record import MODES
from alignment.report.render import phrases
from alignment.report.render.following import (
    CONSTRAINT_LEGEND,
    FOLLOW_LEGEND,
    cautions,
    constrained_stages,
    constraint_table,
    follow_table,
    followed_stages,
)

STAGE_HEADINGS = (
    "stage",
    "mode",
    "accuracy %",
    "95% interval",
    "change",
    "think-follow %",
    "thinking tokens",
    "answer tokens",
    "format %",
    "truncated %",
)
SWEEP_HEADINGS = ("stage", "task", "budget", "accuracy %", "95% interval", "thinking tokens", "answer tokens",
                  "finished by itself %", "majority %", "best of as many %, upper bound")  # fmt: skip
TOLD_HEADINGS = ("stage", "told", "thinking tokens", "adherence error %", "95% interval", "accuracy %")
BUDGET_HEADINGS = ("budget", "accuracy %", "95% interval", "thinking tokens", "answer tokens", "forced %")
CARD_SHARE_HEADINGS = ("share of", "asked %", "made %", "rows")
CARD_PART_HEADINGS = ("data", "licence", "read", "left out", "used")

CHANGE_LEGEND = (
    "Change is in percentage points since the last evaluated stage it was made from; “not clear” means that a "
    "two-proportion z-test at 95% cannot tell it from chance. Intervals are Wilson's."
)


def render_markdown(document: dict[str, Any]) -> str:
    """The whole report as GitHub-flavoured Markdown."""
    parts = [
        f"# {cell(document['recipe'])}",
        cell(document["summary"]),
        _facts(document),
        *_alarms(document),
        "## Stages",
        _stages(document),
        CHANGE_LEGEND,
        *_told(document),
        *_cards(document),
        *_following(document),
        *_budget(document),
        *_sweep(document),
        "## Work",
        _work(document),
    ]
    versions = ", ".join(f"{cell(name)} {cell(version)}" for name, version in document["versions"].items())
    parts += ["## Versions", versions] if versions else []
    parts += ["## Notes", "\n".join(f"- {cell(note)}" for note in document["notes"])] if document["notes"] else []
    return "\n\n".join(parts) + "\n"


def _facts(document: dict[str, Any]) -> str:
    facts = [
        f"model {cell(document['model'])}",
        f"seed {cell(document['seed'])}",
        f"total time {phrases.duration(document['seconds'])}",
    ]
    for mode, final in document["final"].items():
        accuracy = (
            f"{phrases.percent(final['accuracy'])}% [{phrases.interval(final['accuracy_low'], final['accuracy_high'])}]"
        )
        facts.append(f"final {phrases.MODE_NAMES[mode]} accuracy {accuracy}")
    return "\n".join(f"- {fact}" for fact in facts)


def _alarms(document: dict[str, Any]) -> list[str]:
    if not document["alarms"]:
        return []
    lines = [
        f"- **{cell(alarm['stage'])}** ({alarm['level']}): {cell(alarm['message'])}" for alarm in document["alarms"]
    ]
    return ["## Alarms", "\n".join(lines)]


def _stages(document: dict[str, Any]) -> str:
    rows = []
    for stage in document["stages"]:
        for mode in MODES:
            found = stage["evaluations"].get(mode)
            if found is None:
                continue
            change = phrases.change(stage["changes"].get(mode))
            rows.append(
                (
                    cell(stage["name"]),
                    phrases.MODE_NAMES[mode],
                    phrases.percent(found["accuracy"]),
                    phrases.interval(found["accuracy_low"], found["accuracy_high"]),
                    f"**{change}**" if change.endswith(("loss", "gain")) else change,
                    phrases.percent(found["think_follow"]),
                    phrases.count(found["mean_thinking_tokens"]),
                    phrases.count(found["mean_answer_tokens"]),
                    phrases.percent(found["format"]),
                    phrases.percent(found["truncated_fraction"]),
                )
            )
    return table(STAGE_HEADINGS, rows) if rows else "No stage has been evaluated yet."


def _cards(document: dict[str, Any]) -> list[str]:
    """The data card of each fusion stage: its shares and sources, and where the whole of it is."""
    parts = []
    for stage in document["stages"]:
        if stage["card"] is None:
            continue
        shares = [tuple(map(cell, phrases.card_fraction(share))) for share in stage["card"]["shares"]]
        data = [tuple(map(cell, phrases.card_part(part))) for part in stage["card"]["data"]]
        # The path is of the run's own making, but for a stage's name, which a damaged run may spell in any way.
        path = quote(stage["card"]["path"])
        parts += [
            f"## Data card of {cell(stage['name'])}",
            f"{cell(phrases.counted(stage['counts'])) or 'No counts'}. [The whole card]({path}).",
            table(CARD_SHARE_HEADINGS, shares),
            table(CARD_PART_HEADINGS, data),
        ]
    return parts


def _following(document: dict[str, Any]) -> list[str]:
    """Flags over several turns, and where thinking helps; each only where a stage has it."""
    parts: list[str] = []
    followed, constrained = followed_stages(document), constrained_stages(document)
    if followed:
        headings, rows = follow_table(followed)
        parts += ["## Think-follow over several turns", table(*_inert(headings, rows)), FOLLOW_LEGEND]
    if constrained:
        headings, rows = constraint_table(constrained)
        parts += ["## Where thinking helps and where it hurts", table(*_inert(headings, rows)), CONSTRAINT_LEGEND]
        said = [f"- {cell(caution)}" for caution in cautions(constrained)]
        parts += ["\n".join(said)] if said else []
    return parts


def _inert(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    return tuple(map(cell, headings)), [tuple(map(cell, row)) for row in rows]


def _budget(document: dict[str, Any]) -> list[str]:
    if not document["budget"]:
        return []
    rows = [
        (
            "no limit" if point["budget"] is None else phrases.count(point["budget"]),
            phrases.percent(point["accuracy"]),
            phrases.interval(point["accuracy_low"], point["accuracy_high"]),
            phrases.count(point["mean_thinking_tokens"]),
            phrases.count(point["mean_answer_tokens"]),
            phrases.percent(point["forced_fraction"]),
        )
        for point in document["budget"]
    ]
    rank = document["budget_spearman"]
    said = "" if rank is None else f"Spearman's rank correlation of budget and accuracy: {rank:.2f}."
    return [f"## Thinking budget, after {cell(document['budget_stage'])}", table(BUDGET_HEADINGS, rows), said]


def _told(document: dict[str, Any]) -> list[str]:
    rows = [
        (
            cell(stage["name"]),
            phrases.count(point["budget"]),
            phrases.count(point["mean_thinking_tokens"]),
            phrases.percent(point["adherence_error"]),
            phrases.interval(point["adherence_error_low"], point["adherence_error_high"]),
            phrases.percent(point["accuracy"]),
        )
        for stage in document["stages"]
        for point in stage["evaluations"].get("thinking", {}).get("target_lengths", [])
    ]
    return ["## Budgets that questions ask for", table(TOLD_HEADINGS, rows)] if rows else []


def _sweep(document: dict[str, Any]) -> list[str]:
    if document["sweep"] is None:
        return []
    knees = {(one["stage"], one["task"], one["budget"]) for one in document["sweep"]["knees"]}
    rows = []
    for point in document["sweep"]["points"]:
        place = (point["stage"], point["task"], point["budget"])
        budget = "no thinking" if point["budget"] is None else phrases.count(point["budget"])
        vote = point["votes"][-1] if point["votes"] else None
        rows.append(
            (
                *map(cell, place[:2]),
                f"{budget} (knee)" if place in knees else budget,
                phrases.percent(point["accuracy"]),
                phrases.interval(point["accuracy_low"], point["accuracy_high"]),
                phrases.count(point["mean_thinking_tokens"]),
                phrases.count(point["mean_answer_tokens"]),
                phrases.percent(point["finished_fraction"]),
                f"{phrases.percent(vote['majority'])} of {vote['votes']}" if vote else phrases.MISSING,
                phrases.percent(vote["best_of_upper_bound"]) if vote else phrases.MISSING,
            )
        )
    return ["## Test-time compute", table(SWEEP_HEADINGS, rows)]


def _work(document: dict[str, Any]) -> str:
    rows = [
        (
            cell(stage["name"]),
            cell(stage["kind"]),
            cell(stage["outcome"]),
            phrases.duration(stage["seconds"]),
            phrases.count(stage["steps"]),
            phrases.count(stage["tokens"]),
            f"`{phrases.short_hash(stage['output_hash'])}`",
        )
        for stage in document["stages"]
    ]
    return table(("stage", "kind", "outcome", "time", "steps", "tokens", "output"), rows)


def table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table; the first column is left-aligned, the others right-aligned."""
    rule = "|".join([" --- ", *([" ---: "] * (len(headings) - 1))])
    return "\n".join([f"| {' | '.join(headings)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)])


def cell(value: object) -> str:
    """A value as inert text: one line, with the characters that Markdown or HTML would act on escaped."""
    return re.sub(r"[\\`*_\[\]<>|#~!$&]", lambda found: "\\" + found[0], " ".join(str(value).split()))
