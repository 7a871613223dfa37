"""docs/recipes.md is made from the schema, and what it shows is what happens."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from alignment.checks.recipe import checked
from alignment.core.errors import RecipeError
from alignment.core.resources import resource
from alignment.recipe.closed import Closed
from alignment.recipe.reading.load import Document
from alignment.recipe.reference import COMMAND, EXAMPLE, EXAMPLE_ERRORS, OVERRIDES, reference, sections

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"


def test_the_page_is_what_the_schema_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), f"docs/recipes.md is stale; write: {COMMAND}"


def test_every_model_of_the_schema_has_a_section() -> None:
    described = {model for model, _, _ in sections()}
    assert set(_below(Closed)) - described == set()


def _below(model: type[Closed]) -> Iterator[type[Closed]]:
    for one in model.__subclasses__():
        if one.__module__.startswith("alignment."):  # and not a test's own
            yield one
        yield from _below(one)


def test_the_errors_on_the_page_are_the_ones_that_are_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("first.yaml").write_text(EXAMPLE, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        checked(Path("first.yaml"), [])
    assert f"{caught.value}\n" == EXAMPLE_ERRORS


@pytest.mark.parametrize("override", [override for override, _ in OVERRIDES])
def test_the_overrides_on_the_page_work(override: str) -> None:
    recipe = resource("recipes") / "tiny-thinking.yaml"
    changed, problems = Document(recipe, [override]).recipe()
    assert problems == []
    assert changed is not None
    assert changed != Document(recipe).recipe()[0]
