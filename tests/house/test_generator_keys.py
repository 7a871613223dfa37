"""The parameters that `check` allows are those of the installed reasoning-gym, so that an upgrade fails here first."""

import dataclasses
import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from alignment.checks.rows import generators as generator_keys
from alignment.checks.rows.generators import OWNED, parameter_faults, parameter_names
from alignment.data.generators.families import FAMILIES
from alignment.data.sources.declared import Procedural, source_names
from alignment.data.sources.named import load_source

GENERATED = [name for name, family in FAMILIES.items() if family.generator is not None]


@pytest.mark.parametrize("family", GENERATED)
def test_the_parameters_read_from_the_source_are_those_of_the_imported_class(family: str) -> None:
    from reasoning_gym.factory import DATASETS

    _, config = DATASETS[FAMILIES[family].generator]
    assert parameter_names(family) == {field.name for field in dataclasses.fields(config)}
    assert set(OWNED) <= {field.name for field in dataclasses.fields(config)}


@pytest.mark.parametrize("name", source_names())
def test_the_parameters_of_a_source_that_ships_are_its_familys(name: str) -> None:
    source = load_source(name)
    if isinstance(source, Procedural):
        assert parameter_names(source.family)
        assert list(parameter_faults(source.family, source.parameters)) == []


@pytest.mark.parametrize("text", ["class (", "x = 1", "class C:\n    a: int = 1\n", "register_dataset(1, 2, C)\n"])
def test_a_source_that_cannot_be_read_is_not_judged_by(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "arithmetic").mkdir()
    (tmp_path / "arithmetic" / "chain_sum.py").write_text(text, encoding="utf-8")
    spec = ModuleSpec("reasoning_gym", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name == "reasoning_gym" else None)
    generator_keys._fields.cache_clear()
    try:
        assert parameter_names("chain_sum") is None
        assert parameter_names("products") is None
        assert list(parameter_faults("chain_sum", {"max_term": 3})) == []
    finally:
        generator_keys._fields.cache_clear()
