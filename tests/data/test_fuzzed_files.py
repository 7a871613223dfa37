"""300 fuzzed files: each is read as what it says, or its rows are refused or left out with their place; none crashes."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fuzzed_bytes import mutated
from fuzzed_shapes import FORMATS, GOOD, Mutated, Truth, all_of, said
from own_recipe import grpo_recipe, recipe

from alignment.checks.recipe import checked
from alignment.core.errors import AlignmentError
from alignment.data.mixture import conversations_of, load_parts, pairs_of, problems_of
from alignment.data.rows import Conversation, Preference, Problem
from alignment.data.sources.rows import LeftOut
from alignment.lint.findings import Intent
from alignment.lint.rows import without_faulty

FILES = 300


def as_said(turn: dict[str, Any]) -> Truth:
    """A turn that was read, in the form of the truths."""
    calls = [call["function"] for call in turn.get("tool_calls") or []]
    made = [(one["name"], json.loads(one["arguments"])["a"]) for one in calls]
    return said(turn["role"], turn["content"], turn.get("reasoning_content") or "") + tuple(
        x for one in made for x in one
    )


def as_truth(row: Conversation | Preference | Problem) -> Truth:
    """A row that a stage would train on, in the form of the truths."""
    if isinstance(row, Conversation):
        return ("chat", tuple(map(as_said, row.messages)), json.dumps(row.tools))
    if isinstance(row, Preference):
        return ("pair", tuple(map(as_said, row.prompt)), as_said(row.chosen), as_said(row.rejected))
    return ("problem", tuple(map(as_said, row.messages)), row.answer, row.trace)


def read(folder: Path, name: str, kind: str) -> tuple[list[Truth], list[LeftOut]]:
    """What `check` lets a stage train on, and what is left out. Raises AlignmentError where it is refused."""
    path = grpo_recipe(folder, name) if kind == "problem" else recipe(folder, name, "dpo" if kind == "pair" else "sft")
    plan = checked(path, ["data.max_faulty_fraction=0.95", "data.max_failing_fraction=1"])
    parts, left_out = load_parts(plan.recipe.stages[0].data), list[LeftOut]()
    rows: Any
    if kind == "problem":
        rows = problems_of(plan.recipe, parts, left_out)
    else:
        rows = (pairs_of if kind == "pair" else conversations_of)(plan.recipe, parts, Path, left_out)
    kept, faulty = without_faulty(rows, Intent.of(plan.recipe, plan.recipe.stages[0]))
    return [as_truth(row) for row in kept], [*left_out, *faulty]


def fault_of(folder: Path, file: Mutated) -> str | None:
    """What is wrong with how a mutated file is read; None if nothing is."""
    kind = GOOD[[make.__name__ for make, _ in GOOD].index(file.name.partition(".")[0])][0](0).truth[0]
    name = f"rows{file.suffix}"
    (folder / name).write_bytes(file.content)
    try:
        kept, left_out = read(folder, name, kind)
    except AlignmentError as error:
        if name not in str(error):
            return f"refused without the file's name: {error}"
        return None if file.refused or file.must_refuse else f"refused: {error}"
    if file.must_refuse:
        return f"read {len(kept)} rows of a file that is none"
    found, must, may = Counter(kept), Counter(file.must), Counter(file.may)
    if must - found:
        return f"not read: {list(must - found)[:2]}; left out: {list(map(str, left_out))[:2]}"
    if found - must - may:
        return f"trained, and not in the file: {list(found - must - may)[:2]}"
    if len(left_out) < file.gone:
        return f"{file.gone} rows are gone and {len(left_out)} were counted"
    if any(not one.why or "rows" not in one.place for one in left_out):
        return f"left out without a place: {list(map(str, left_out))}"
    return None


def faults(folder: Path, seeds: range) -> list[str]:
    found = []
    for seed in seeds:
        file = mutated(seed)
        print(seed, file.name)  # shown where a reader crashes
        inside = folder / str(seed)
        inside.mkdir()
        fault = fault_of(inside, file)
        if fault is not None:
            found.append(f"{seed}, {file.name}: {fault[:300]}")
    return found


def test_the_good_files_say_what_their_truths_say(tmp_path: Path) -> None:
    for number, (make, suffix) in enumerate(GOOD):
        rows = [make(place) for place in range(9)]
        file = Mutated(f"{make.__name__}{suffix}", suffix, FORMATS[suffix]([row.value for row in rows]), all_of(rows))
        (tmp_path / str(number)).mkdir()
        assert fault_of(tmp_path / str(number), file) is None, file.name


def test_a_tenth_of_the_fuzzed_files_are_read_right_or_left_out_with_their_place(tmp_path: Path) -> None:
    assert faults(tmp_path, range(0, FILES, 11)) == []


@pytest.mark.long
def test_300_fuzzed_files_are_read_right_or_left_out_with_their_place(tmp_path: Path) -> None:
    assert len({mutated(seed).name for seed in range(FILES)}) > 250
    assert faults(tmp_path, range(FILES)) == []
