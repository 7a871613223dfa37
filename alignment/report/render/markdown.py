"""Report -> report.md: the page's numbers as text, for a pull request or a model card. No model answers.

Neighbours: report/document.py (the only source), report/phrases.py (how numbers read), html.py (the same with
pictures).
"""

import re
from collections.abc import Sequence
from urllib.parse import quote

from alignment.core.vocabulary import MODES
from alignment.report import phrases
from alignment.report.document import Report
from alignment.report.render import (
    budgets,
    data_cards,
    judges,
    paired_prompts,
    pairwise,
    process,
    reward_models,
    tasks,
    trials,
)
from alignment.report.render.columns import report_columns
from alignment.report.render.following import (
    CONSTRAINT_LEGEND,
    FOLLOW_LEGEND,
    cautions,
    constrained_stages,
    constraint_table,
    follow_table,
    followed_stages,
)

STAGE_HEADINGS = ("stage", "mode", "accuracy %", "95% interval", "change")

CHANGE_LEGEND = (
    "Change is in percentage points since the last evaluated stage it was made from; “not clear” means that a "
    "two-proportion z-test at 95% cannot distinguish it from chance. Intervals are Wilson's."
)


def render_markdown(report: Report) -> str:
    """The whole report as GitHub-flavoured Markdown."""
    parts = [
        f"# {cell(report.recipe)}",
        cell(report.summary),
        _facts(report),
        *_alarms(report),
        "## Stages",
        stages_table(report),
        CHANGE_LEGEND,
        *_tasks(report),
        *_target_lengths(report),
        *_cards(report),
        *_following(report),
        *_sweep(report),
        *_trials(report),
        *_process(report),
        *_reward_models(report),
        *_judges(report),
        *_rewards_over_steps(report),
        *_tasks_over_steps(report),
        *_paired_prompts(report),
        *_pairwise(report),
        "## Work",
        _work(report),
    ]
    versions = ", ".join(f"{cell(name)} {cell(version)}" for name, version in report.versions.items())
    parts += ["## Versions", versions] if versions else []
    parts += ["## Notes", "\n".join(f"- {cell(note)}" for note in report.notes)] if report.notes else []
    return "\n\n".join(parts) + "\n"


def _process(report: Report) -> list[str]:
    if report.process is None:
        return []
    tables = [table(headings, rows) for headings, rows in process.tables(report.process)]
    return ["## Process reward model", cell(process.facts(report.process)), process.LEGEND, *tables]


def _trials(report: Report) -> list[str]:
    parts: list[str] = []
    for curve in report.row_curves:
        parts += [cell(trials.row_sentence(curve)), table(trials.ROW_HEADINGS, trials.row_table(curve))]
    if parts:
        parts = ["## As few rows as will do", trials.ROW_LEGEND, *parts]
    searched: list[str] = []
    for one in report.mixtures:
        rows = [tuple(map(cell, row)) for row in trials.mixture_table(one)]
        searched += [
            f"### {cell(one.stage)}",
            *map(cell, trials.mixture_sentences(one)),
            table(trials.MIXTURE_HEADINGS, rows),
        ]
    return parts + (["## Mixture search", trials.MIXTURE_LEGEND, *searched] if searched else [])


def _reward_models(report: Report) -> list[str]:
    if not report.reward_models:
        return []
    rows = reward_models.table(report.reward_models)
    return ["## Reward models", reward_models.LEGEND, table(reward_models.HEADINGS, rows)]


def _judges(report: Report) -> list[str]:
    rows = [tuple(map(cell, row)) for row in judges.table(report.stages)]
    return ["## Judges", judges.LEGEND, table(judges.HEADINGS, rows)] if rows else []


def _rewards_over_steps(report: Report) -> list[str]:
    if not report.rewards_over_steps:
        return []
    rows = [tuple(map(cell, row)) for row in reward_models.steps_table(report.rewards_over_steps)]
    return ["## Proxy and verified rewards", reward_models.STEPS_LEGEND, table(reward_models.STEPS_HEADINGS, rows)]


def _tasks(report: Report) -> list[str]:
    rows = [tuple(map(cell, row)) for row in tasks.accuracy_table(report)]
    headings = tuple(map(cell, tasks.accuracy_headings(report)))
    return ["## Tasks", tasks.LEGEND, table(headings, rows)] if rows else []


def _tasks_over_steps(report: Report) -> list[str]:
    rows = [tuple(map(cell, row)) for row in tasks.steps_table(report.tasks_over_steps)]
    return ["## Tasks over the steps of RL", tasks.STEPS_LEGEND, table(tasks.STEPS_HEADINGS, rows)] if rows else []


def _paired_prompts(report: Report) -> list[str]:
    rows = [tuple(map(cell, row)) for row in paired_prompts.table(report.paired_shifts)]
    return ["## Paired prompts", paired_prompts.LEGEND, table(paired_prompts.HEADINGS, rows)] if rows else []


def _pairwise(report: Report) -> list[str]:
    rows = [tuple(map(cell, row)) for row in pairwise.table(report.pairwise)]
    said = [f"- {cell(text)}" for one in report.pairwise for text in one.cautions]
    parts = ["## Pairwise comparisons", pairwise.LEGEND, table(pairwise.HEADINGS, rows)] if rows else []
    return parts + (["\n".join(said)] if said else [])


def _facts(report: Report) -> str:
    facts = [
        f"model {cell(report.model)}",
        f"seed {cell(report.seed)}",
        f"total time {phrases.duration(report.seconds)}",
    ]
    for mode, final in report.final.items():
        accuracy = f"{phrases.percent(final.accuracy.value)}% [{phrases.interval(final.accuracy)}]"
        facts.append(f"final {phrases.MODE_NAMES[mode]} accuracy {accuracy}")
    return "\n".join(f"- {fact}" for fact in facts)


def _alarms(report: Report) -> list[str]:
    if not report.alarms:
        return []
    lines = [f"- **{cell(alarm.stage)}** ({alarm.level}): {cell(alarm.message)}" for alarm in report.alarms]
    return ["## Alarms", "\n".join(lines)]


def stages_table(report: Report) -> str:
    """Accuracy of every evaluated stage and mode, with its interval and its change."""
    rows, columns = [], report_columns(report)
    for stage in report.stages:
        for mode in MODES:
            found = stage.evaluations.get(mode)
            if found is None:
                continue
            change = phrases.change(stage.changes.get(mode))
            rows.append(
                (
                    cell(stage.name),
                    phrases.MODE_NAMES[mode],
                    phrases.percent(found.accuracy.value),
                    phrases.interval(found.accuracy),
                    f"**{change}**" if change.endswith(("loss", "gain")) else change,
                    *(one.text(found) for one in columns),
                )
            )
    headings = (*STAGE_HEADINGS, *(one.heading for one in columns))
    return table(headings, rows) if rows else "No stage has been evaluated yet."


def _cards(report: Report) -> list[str]:
    """The data card of each stage that has one: its tables, and where the whole card is."""
    parts = []
    for stage in report.stages:
        if stage.card is None:
            continue
        # The path is of the run's own making, but for a stage's name, which a damaged run may spell in any way.
        link = f"[The whole card]({quote(stage.card.path)})"
        before, after = data_cards.tables(stage.card.figures)
        said = phrases.card_tests(stage.card.figures)
        parts += [
            f"## Data card of {cell(stage.name)}",
            f"{cell(phrases.counted(stage.counts)) or 'No counts'}. {link}.",
        ]
        parts += [table(*_inert(*one)) for one in before]
        parts += [*([cell(said)] if said else []), table(*_inert(*after))]
    return parts


def _following(report: Report) -> list[str]:
    """Flags over several turns, and where thinking helps; each only where a stage has it."""
    parts: list[str] = []
    followed, constrained = followed_stages(report), constrained_stages(report)
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


def _target_lengths(report: Report) -> list[str]:
    rows = [tuple(map(cell, row)) for row in budgets.target_length_table(report)]
    return ["## Lengths that questions ask for", table(budgets.TARGET_LENGTH_HEADINGS, rows)] if rows else []


def _sweep(report: Report) -> list[str]:
    if report.sweep is None:
        return []
    said = budgets.rank_sentence(report.sweep)
    return ["## Thinking budget", table(*_inert(*budgets.sweep_table(report.sweep))), *([cell(said)] if said else [])]


def _work(report: Report) -> str:
    rows = [
        (
            cell(stage.name),
            cell(stage.kind),
            cell(stage.outcome),
            phrases.duration(stage.seconds),
            phrases.count(stage.steps),
            phrases.count(stage.tokens),
            f"`{phrases.short_hash(stage.output_hash)}`",
        )
        for stage in report.stages
    ]
    return table(("stage", "kind", "outcome", "time", "steps", "tokens", "output"), rows)


def table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table; the first column is left-aligned, the others right-aligned."""
    rule = "|".join([" --- ", *([" ---: "] * (len(headings) - 1))])
    return "\n".join([f"| {' | '.join(headings)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)])


def cell(value: object) -> str:
    """A value as inert text: one line, with the characters that Markdown or HTML would act on escaped."""
    return re.sub(r"[\\`*_\[\]<>|#~!$&]", lambda found: "\\" + found[0], " ".join(str(value).split()))
