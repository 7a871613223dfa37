"""docs/stages.md says of every kind what the kind declares, and its worked example is a file that the tests run."""

import re
from dataclasses import fields
from pathlib import Path

from alignment.recipe.kinds import StageKind, kinds

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "stages.md").read_text(encoding="utf-8")


def test_the_table_is_what_the_kinds_declare() -> None:
    rows = [f"| `{kind.name}` | {kind.takes} | {kind.sentence} | {kind.files} |" for kind in kinds()]
    first = PAGE.splitlines().index("| kind | takes | does | leaves |")
    assert PAGE.splitlines()[first + 2 : first + 2 + len(rows) + 1] == [*rows, ""], "write these rows into the page"


def test_every_field_of_a_declaration_is_explained() -> None:
    explained = PAGE.partition("| field of `StageKind` |")[2].partition("\n\n")[0]
    names = re.findall(r"`(\w+)`(?=[^|]*\|[^|]*\|$)", explained, re.MULTILINE)
    assert sorted(names) == sorted(field.name for field in fields(StageKind))


def test_the_worked_example_is_the_toy_kind_that_is_tested() -> None:
    example = (REPOSITORY / "tests" / "plugin" / "toy_kinds" / "shorten.py").read_text(encoding="utf-8")
    assert f"```python\n{example}```" in PAGE
