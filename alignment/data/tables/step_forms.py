"""Readers for data sets whose steps have labels: PRM800K, Math-Shepherd, ProcessBench, VersaPRM, and this project's rows.

A file's form is told by the keys of its rows. Each reader makes a row a Stepwise, or says why it cannot. Neighbours:
data/rows.py (Stepwise), data/steps/definition.py (what a step is), files.py (file formats).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alignment.core.errors import DataError
from alignment.data.rows import Conversation, Stepwise, user_turn
from alignment.data.tables.files import FileRow, read_table

SHEPHERD_TAG = "\u043a\u0438"  # Math-Shepherd ends each step with these two Cyrillic letters, in place of the label
_FIRST_STEP = re.compile(r"\s*Step 1\s*:")
# PRM800K rates a step 1, 0 (right, but it leads nowhere) or -1; as in its paper, 0 counts as right.
_PRM800K_LABELS = {1: 1.0, 0: 1.0, -1: 0.0}


@dataclass(frozen=True)
class StepForm:
    """A form of step labels: its name, the keys that its rows have, and the reader of one row."""

    name: str
    keys: frozenset[str]
    read: Callable[[Mapping[str, Any]], Stepwise]


def prm800k(row: Mapping[str, Any]) -> Stepwise:
    """A row of PRM800K (arXiv 2305.20050): the chosen completion of each step, up to the last step that was rated.

    Where no completion was chosen, the first one that was rated wrong is taken and the row ends, as labelling did; a step
    that a human wrote in has no rating. Raises DataError for a row without a rated step.
    """
    steps: list[str] = []
    labels: list[float | None] = []
    for step in row["label"]["steps"]:
        completions, chosen = step.get("completions") or [], step.get("chosen_completion")
        wrong = next((one for one in completions if one.get("rating") == -1), None)
        picked = completions[chosen] if chosen is not None else wrong
        if picked is None or picked.get("rating") is None:
            break
        steps.append(str(picked["text"]))
        labels.append(_PRM800K_LABELS[picked["rating"]])
        if chosen is None:
            break
    if not steps:
        raise DataError("no step was rated")
    question = row["question"]
    return Stepwise("", [user_turn(question["problem"])], steps, labels, str(question.get("ground_truth_answer") or ""))


def math_shepherd(row: Mapping[str, Any]) -> Stepwise:
    """A row of Math-Shepherd (arXiv 2312.08935): `input` has a tag at the end of each step, `label` has + or - there.

    Labels after the first wrong step are its authors' estimates and stay; training leaves them out.
    """
    pieces = str(row["input"]).split(SHEPHERD_TAG)
    start = _FIRST_STEP.search(pieces[0])
    if start is None:
        raise DataError("`input` has no `Step 1:`, so question and solution cannot be told apart")
    question = pieces[0][: start.start()].strip()
    steps = [pieces[0][start.start() :].strip(), *(piece.strip() for piece in pieces[1:-1])]
    labels: list[float | None] = []
    place, text = 0, str(row["label"])
    for piece in pieces[:-1]:
        found = text[place + len(piece) : place + len(piece) + 1]
        if text[place : place + len(piece)] != piece or found not in "+-" or not found:
            raise DataError(
                f"`label` is not `input` with + or - for each {SHEPHERD_TAG}: step {len(labels) + 1} differs"
            )
        labels.append(1.0 if found == "+" else 0.0)
        place += len(piece) + 1
    return Stepwise("", [user_turn(question)], steps, labels, family=str(row.get("task") or ""))


def process_bench(row: Mapping[str, Any]) -> Stepwise:
    """A row of ProcessBench (arXiv 2412.06559): `label` is the index of the first wrong step, or -1 if all are right."""
    steps, first = [str(step) for step in row["steps"]], row["label"]
    if not isinstance(first, int) or isinstance(first, bool) or not -1 <= first < len(steps):
        raise DataError(f"`label` is {first!r}; it has to be -1 or the index of one of {len(steps)} steps")
    labels: list[float | None] = [1.0] * len(steps)
    if first >= 0:
        labels = [*[1.0] * first, 0.0, *[None] * (len(steps) - first - 1)]
    correct = row.get("final_answer_correct")
    outcome = None if correct is None else float(correct)
    return Stepwise(str(row.get("id") or ""), [user_turn(row["problem"])], steps, labels, outcome=outcome)


def versa_prm(row: Mapping[str, Any]) -> Stepwise:
    """A row of VersaPRM (arXiv 2502.06737): `chain_of_thoughts` and `labels`, 1 for a right step and 0 or -1 for a wrong one.

    Options of a multiple-choice question are added to it.
    """
    steps = [str(step) for step in row["chain_of_thoughts"]]
    question = str(row["question"])
    if row.get("options"):
        question += "\n" + "\n".join(f"{chr(65 + place)}. {text}" for place, text in enumerate(row["options"]))
    found = [_label(one) for one in row["labels"]]
    return Stepwise(
        "", [user_turn(question)], steps, found, str(row.get("answer") or ""), family=str(row.get("category") or "")
    )


def stepwise_supervision(row: Mapping[str, Any]) -> Stepwise:
    """A row of TRL's stepwise supervision form: `prompt`, `completions` (one text for each step) and `labels`."""
    prompt = row["prompt"]
    messages = [user_turn(prompt)] if isinstance(prompt, str) else [dict(one) for one in prompt]
    return Stepwise("", messages, [str(one) for one in row["completions"]], [_label(one) for one in row["labels"]])


def own(row: Mapping[str, Any]) -> Stepwise:
    """A row as this project writes it."""
    names = Stepwise.__dataclass_fields__
    return Stepwise(**{"id": "", **{key: value for key, value in row.items() if key in names}})


FORMS = (
    StepForm("this project's steps", frozenset(("prompt", "steps", "labels")), own),
    StepForm("ProcessBench", frozenset(("problem", "steps", "label")), process_bench),
    StepForm("Math-Shepherd", frozenset(("input", "label", "task")), math_shepherd),
    StepForm("PRM800K", frozenset(("question", "label")), prm800k),
    StepForm("VersaPRM", frozenset(("question", "chain_of_thoughts", "labels")), versa_prm),
    StepForm("stepwise supervision", frozenset(("prompt", "completions", "labels")), stepwise_supervision),
)


def form_of(row: object) -> StepForm | None:
    """The form of a row by its keys, or None for rows without step labels."""
    if not isinstance(row, Mapping):
        return None
    return next((form for form in FORMS if form.keys <= row.keys() and _is_of(form, row)), None)


def _is_of(form: StepForm, row: Mapping[str, Any]) -> bool:
    """Question and label alone are the keys of many tables; PRM800K's hold steps."""
    return form.read is not prm800k or (isinstance(row["label"], Mapping) and "steps" in row["label"])


def read_stepwise(row: object) -> Stepwise:
    """A row of any of the forms. Raises DataError, with the forms that are known, for a row of none of them."""
    form = form_of(row)
    if form is None or not isinstance(row, Mapping):
        keys = ", ".join(map(str, row)) if isinstance(row, Mapping) else type(row).__name__
        known = "; ".join(f"{one.name}: {', '.join(sorted(one.keys))}" for one in FORMS)
        raise DataError(f"has {keys}, and no form of step labels has these keys. Known: {known}")
    try:
        found = form.read(row)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DataError(f"is no row of {form.name}: {error!s}") from error
    if not found.steps:
        raise DataError("has no steps")
    return found


def stepwise_row(source: str, line: FileRow) -> Stepwise:
    """A row of a source's table, with an id and a family. Raises DataError as `read_stepwise`."""
    found = read_stepwise(line.value)
    return replace(found, id=found.id or f"{source}/{line.index}", family=found.family or source)


def stepwise_chat(source: str, line: FileRow) -> Conversation:
    """Such a row as a chat, to be counted, linted and shown; raises as `stepwise_row`."""
    found = stepwise_row(source, line)
    solution = {"role": "assistant", "content": "\n\n".join(found.steps)}
    return Conversation(found.id, [*found.prompt, solution], "non_thinking", found.family)


def read_steps(path: Path) -> Iterator[Stepwise | FileRow]:
    """The rows of a file; a FileRow with its fault for each that cannot be read.

    Raises DataError if not even the first row has step labels.
    """
    for line in read_table(path):
        if line.fault:
            yield line
            continue
        try:
            row = read_stepwise(line.value)
        except DataError as error:
            if line.index == 0:
                raise DataError(f"{line.place}: {error}") from error
            yield replace(line, fault=str(error))
            continue
        yield row if row.id else replace(row, id=f"{path.name}:{line.number}")


def _label(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, bool | int | float) or value != value:
        raise DataError(f"a label is {value!r}; write 1 for a right step, 0 or -1 for a wrong one, or null")
    return min(1.0, max(0.0, float(value)))
