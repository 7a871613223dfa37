"""The model card of an export, README.md, made from what the run recorded and nothing else.

Losses stand in it like gains: every evaluated stage with its interval, every alarm. It names no path of the machine.
Neighbours: form_card.py and process_card.py (parts of it), report/ (the figures), data/sources/licences.py,
commands/export/exporting.py.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from alignment.core.errors import DataError
from alignment.core.vocabulary import MODES
from alignment.data.mixture import load_parts
from alignment.data.sources.declared import Table
from alignment.data.sources.licences import licences, source_name
from alignment.data.sources.named import source_of
from alignment.data.tables.hub import is_hub_id
from alignment.export.form_card import gguf_files, quantised_form
from alignment.export.process_card import ProcessModelFacts, process_opening, process_results, process_use
from alignment.recipe.kinds import find_kind
from alignment.recipe.schema import Recipe
from alignment.records.evaluation import EvaluationFigures
from alignment.records.export import GgufFile, QuantisedExport
from alignment.report import phrases
from alignment.report.document import Report, StageSection
from alignment.report.render.markdown import CHANGE_LEGEND, cell, stages_table, table

LICENCE_UNSTATED = "not stated here: that of the base model and of the data applies"


@dataclass(frozen=True)
class CardFacts:
    """What a card is made from. thinks: whether the chat template has a switch for thinking. licence: of the weights."""

    report: Report
    recipe: Recipe
    stage: str
    licence: str | None = None
    thinks: bool = False
    gguf: Sequence[GgufFile] = ()
    quantised: QuantisedExport | None = None
    process: ProcessModelFacts | None = None  # where the stage leaves a process reward model and no policy


def model_card(facts: CardFacts) -> str:
    """README.md, with the hub's metadata at its head."""
    if facts.process is not None:
        own = [
            *process_opening(facts.process),
            *process_use(facts.process),
            *process_results(facts.stage, facts.process),
        ]
    else:
        form = [] if facts.quantised is None else quantised_form(facts.quantised)
        own = [cell(facts.report.summary), *_use(facts), *form, *_results(facts)]
    parts = [
        *_opening(facts),
        *own,
        *_made(facts),
        *_data(facts),
        *_environment(facts),
    ]
    return "\n".join(_metadata(facts)) + "\n" + "\n\n".join(parts) + "\n"


def _metadata(facts: CardFacts) -> Iterator[str]:
    """The head of the card: one line for each key, each value as JSON, which YAML reads."""
    yield "---"
    yield "library_name: transformers"
    yield f"pipeline_tag: {'text-generation' if facts.process is None else 'token-classification'}"
    if facts.licence:
        yield f"license: {json.dumps(facts.licence)}"
    base = facts.recipe.model
    if is_hub_id(base) and not Path(base).exists():
        yield f"base_model: {json.dumps(base)}"
    if sets := _hub_sets(facts.recipe):
        yield f"datasets: {json.dumps(sets)}"
    forms = [] if facts.quantised is None else [facts.quantised.form, "compressed-tensors"]
    tags = ["alignment", *forms, *(["gguf"] if facts.gguf else []), *(["thinking"] if facts.thinks else [])]
    yield f"tags: {json.dumps(tags)}"
    yield "---"


def _opening(facts: CardFacts) -> Iterator[str]:
    report = facts.report
    yield f"# {cell(report.recipe)}"
    yield (
        f"The {'policy' if facts.process is None else 'process reward model'} of stage `{facts.stage}` of the recipe {cell(report.recipe)} (seed {cell(report.seed)}), which starts from "
        f"{cell(_model_name(report.model))}. Licence: {cell(facts.licence or LICENCE_UNSTATED)}."
    )


def _use(facts: CardFacts) -> Iterator[str]:
    switch = ", enable_thinking=True" if facts.thinks else ""
    yield "## Use"
    yield f"""```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(FOLDER_OR_ID)
model = AutoModelForCausalLM.from_pretrained(FOLDER_OR_ID, dtype="auto")
prompt = tokenizer.apply_chat_template(
    [{{"role": "user", "content": "..."}}], add_generation_prompt=True, return_tensors="pt", return_dict=True{switch}
)
print(tokenizer.decode(model.generate(**prompt, max_new_tokens=1024)[0]))
```"""
    if facts.thinks:
        yield "`enable_thinking=False` answers without thinking."
    yield from gguf_files(facts.gguf)


def _results(facts: CardFacts) -> Iterator[str]:
    """What every evaluated stage scored, this stage's tasks, and what is wrong: as in the run's report."""
    yield "## Results"
    yield stages_table(facts.report)
    if any(stage.evaluations for stage in facts.report.stages):
        yield CHANGE_LEGEND
    rows = [row for mode in MODES if (found := _stage(facts).evaluations.get(mode)) for row in _tasks(found)]
    if rows:
        yield f"By task, after `{facts.stage}`:"
        yield table(("task", "mode", "accuracy %", "95% interval", "answers", "not judged"), rows)
    if facts.report.alarms:
        yield "## Alarms of the run"
        yield "\n".join(f"- **{cell(one.stage)}** ({one.level}): {cell(one.message)}" for one in facts.report.alarms)


def _tasks(found: EvaluationFigures) -> Iterator[tuple[str, ...]]:
    for task in found.tasks:
        yield (
            cell(task.task),
            phrases.MODE_NAMES[found.mode],
            phrases.percent(task.accuracy.value),
            phrases.interval(task.accuracy),
            phrases.count(task.count),
            phrases.count(task.unknown),
        )


def _made(facts: CardFacts) -> Iterator[str]:
    yield "## How it was made"
    made = _ancestors(facts)
    rows = [_work(stage) for stage in facts.report.stages if stage.name in made]
    yield table(("stage", "kind", "what it does", "steps", "tokens", "time"), rows)
    left = [stage.name for stage in facts.report.stages if stage.name not in made]
    if left:
        yield f"No part of this model: {', '.join(f'`{name}`' for name in left)}."


def _work(stage: StageSection) -> tuple[str, ...]:
    kind = find_kind(stage.kind)
    return (
        cell(stage.name),
        cell(stage.kind),
        cell(kind.sentence.partition(" ([")[0]) if kind else phrases.MISSING,
        phrases.count(stage.steps),
        phrases.count(stage.tokens),
        phrases.duration(stage.seconds),
    )


def _ancestors(facts: CardFacts) -> set[str]:
    """The stage and every stage that it was made from."""
    inputs = {stage.name: stage.inputs for stage in facts.report.stages}
    found, waiting = set[str](), [facts.stage]
    while waiting:
        name = waiting.pop()
        if name in inputs and name not in found:
            found.add(name)
            waiting += list(inputs[name])
    return found


def _data(facts: CardFacts) -> Iterator[str]:
    """Every source of the stages that it was made from, with its licence."""
    made, rows, seen = _ancestors(facts), list[tuple[str, ...]](), set[tuple[str, str]]()
    for stage in facts.recipe.stages:
        if stage.name not in made:
            continue
        try:
            parts = [part for part in load_parts(stage.data) if part.source is not None]
        except DataError:
            continue  # a mixture that is no longer there; the run's report names it
        stated = licences(facts.recipe, parts)
        for part in parts:
            name = source_name(part)
            if (stage.name, name) not in seen:
                seen.add((stage.name, name))
                rows.append((cell(stage.name), cell(name), phrases.count(part.count), cell(stated[name])))
    yield "## Data"
    yield table(("stage", "source", "rows asked for", "licence"), rows)


def _hub_sets(recipe: Recipe) -> list[str]:
    found = dict[str, None]()
    for stage in recipe.stages:
        try:
            sources = [source_of(part) for part in load_parts(stage.data) if part.source is not None]
        except DataError:
            continue
        found |= {one.hub: None for one in sources if isinstance(one, Table) and one.hub}
    return list(found)


def _environment(facts: CardFacts) -> Iterator[str]:
    report = facts.report
    versions = ", ".join(f"{cell(name)} {cell(version)}" for name, version in report.versions.items())
    machine = report.hardware
    yield "## Environment"
    if machine is not None:
        devices = ", ".join(machine.devices) or "no GPU"
        yield f"{machine.cores} CPU cores, {machine.memory_gib} GiB, {cell(devices)}, {cell(machine.platform)}."
    yield versions or "Versions were not recorded."


def _stage(facts: CardFacts) -> StageSection:
    return next(stage for stage in facts.report.stages if stage.name == facts.stage)


def _model_name(model: str) -> str:
    """A model as a card names it: a local folder by its name."""
    return Path(model).name if Path(model).is_absolute() else model
