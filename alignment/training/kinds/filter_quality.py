"""Stage kind filter_quality: quality and safety of conversations by stated rules, and by classifiers that the recipe names.

Neighbours: data_factory/filters/{quality,personal_data,classified}.py (the checks), training/stages/checked_rows.py
(runs them).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from pydantic import Field

from alignment.recipe.blocks.classifier import Classifier
from alignment.recipe.issue import Issue
from alignment.recipe.kinds import Done, LintIntent, StageKind
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields

if TYPE_CHECKING:
    from alignment.training.context import StageContext

Rule = Literal[
    "length", "word_length", "symbols", "ellipsis_lines", "repeated_lines", "frequent_ngram", "page_remains", "cut_off",
    "damaged_characters", "personal_data", "secrets",
]  # fmt: skip


class FilterQualityStage(StageFields):
    """The fields of a filter_quality stage in a recipe."""

    rules: list[Rule] = Field(
        list(get_args(Rule)), description="The rules that rows have to pass; default: all of them."
    )
    least_words: int = Field(1, ge=0, description="Fewest words of the last answer, for the rule `length`.")
    most_words: int = Field(
        100_000, ge=1, description="Most words of the last answer and its thinking, for the rule `length`."
    )
    classifiers: list[Classifier] = Field(
        [], description="Models for sequence classification, each a check with a threshold of its own."
    )


def run(context: "StageContext") -> Done:
    """Check every row and write those that pass to output/."""
    from alignment.data_factory.filters.classified import classifier_check
    from alignment.data_factory.filters.personal_data import safety_checks
    from alignment.data_factory.filters.quality import quality_checks
    from alignment.training.stages import checked_rows

    stage: FilterQualityStage = context.stage
    checks = [*quality_checks(stage.rules, stage.least_words, stage.most_words), *safety_checks(stage.rules)]
    checks += [classifier_check(one) for one in stage.classifiers]
    checked_rows.run(context, lambda _: checks)
    return Done(0, 0)


def something_to_check(recipe: Recipe, index: int, stage: FilterQualityStage) -> Iterator[Issue]:
    """There is a rule or a classifier, and no two checks have one name."""
    names = [*stage.rules, *(one.name for one in stage.classifiers)]
    if not names:
        yield Issue(("stages", index, "rules"), "found no rule and no classifier, so nothing is checked; name some")
    for number, one in enumerate(stage.classifiers):
        if names.count(one.name) > 1:
            message = f"found `{one.name}`, which another check is called; write another name"
            yield Issue(("stages", index, "classifiers", number, "name"), message)


def known_labels(recipe: Recipe, index: int, stage: FilterQualityStage) -> Iterator[Issue]:
    """Each classifier in a folder classifies sequences, and has the label. Those of the hub are looked at when they are loaded."""
    for number, one in enumerate(stage.classifiers):
        where = ("stages", index, "classifiers", number)
        config = Path(one.model) / "config.json"
        if not config.is_file():
            if one.model.startswith(("/", "./", "../", "~/")):
                yield Issue((*where, "model"), f"there is no {config}; name the folder of a classifier")
            continue
        facts = json.loads(config.read_text(encoding="utf-8"))
        names = list(facts.get("id2label", {"0": "LABEL_0", "1": "LABEL_1"}).values())
        if "SequenceClassification" not in str(facts.get("architectures")):
            found = ", ".join(facts.get("architectures") or ["none"])
            message = f"{one.model} has the architecture {found}; name a model for sequence classification"
            yield Issue((*where, "model"), message)
        elif one.label not in names and (one.label is not None or len(names) > 1):
            yield Issue(
                (*where, "label"), f"found {one.label}, and the model has {', '.join(names)}; write one of them"
            )


def _work(stage: FilterQualityStage) -> str:
    models = f", {len(stage.classifiers)} classifiers" if stage.classifiers else ""
    return f"{len(stage.rules)} rules{models}"


KIND = StageKind(
    name="filter_quality",
    fields=FilterQualityStage,
    sentence="leaves out rows by quality and safety rules, and by classifiers ([data-factory.md](data-factory.md#quality-and-safety))",
    takes="rows",
    leaves="rows",
    files="`rows.jsonl`, `card.md`, `card.json`",
    trains=False,
    work=_work,
    run=run,
    gives=("rows",),
    passes_on=True,
    lint=lambda stage: LintIntent(),
    checks=(something_to_check, known_labels),
)
