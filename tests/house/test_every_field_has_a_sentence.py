"""One sentence under each field of a recipe, which is also its help text and its line in docs/recipes.md."""

import re

import pytest
from pydantic import BaseModel

from alignment.recipe import schema
from alignment.recipe.reference import sections

MODELS = list(dict.fromkeys([schema.Recipe, *(model for model, _, _ in sections())]))
FIELDS = [(model, name) for model in MODELS for name in model.model_fields]


@pytest.mark.parametrize(("model", "name"), FIELDS, ids=[f"{model.__name__}.{name}" for model, name in FIELDS])
def test_a_field_has_one_sentence(model: type[BaseModel], name: str) -> None:
    sentence = model.model_fields[name].description
    assert sentence, f"{model.__name__}.{name} has no description"
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert not re.search(r"(?<!\be\.g)(?<!\bi\.e)\. [A-Z]", sentence), "two sentences: keep the one that decides"


def test_a_recipe_is_closed() -> None:
    open_ones = [model.__name__ for model in MODELS if model.model_config.get("extra") != "forbid"]
    assert open_ones == ["EnvironmentChoice", "Reward"], "options that are checked elsewhere: against their kind"
