"""What a new thing of a kind costs, in files: where a name is written is where a newcomer has to write a second one.

CONTRIBUTING.md promises the counts. A name that has to be written in a further place breaks the promise here, before
somebody finds out by a patch that does half of its work.
"""

import re
from pathlib import Path

import pytest

from alignment.recipe.kinds import BUILT_IN
from rewards.registry import VERIFIERS

ROOT = Path(__file__).parents[2]
SOURCES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for room in ("alignment", "rewards")
    for path in (ROOT / room).rglob("*.py")
}


def files_that_write(name: str) -> set[str]:
    """The source files in which `name` stands as a string of its own."""
    quoted = re.compile(rf"""["']{re.escape(name)}["']""")
    return {file for file, text in SOURCES.items() if quoted.search(text)}


# Others are named again by what asks them: evaluation's figures, a judge's servers, the environment's own score.
@pytest.mark.parametrize("kind", ["http_verify", "repetition"])
def test_a_verifier_is_its_own_file_and_a_line_of_the_registry(kind: str) -> None:
    own = {file for file in SOURCES if file.startswith((f"rewards/kinds/{kind}.py", f"rewards/kinds/{kind}/"))}
    assert own and kind in VERIFIERS
    assert files_that_write(kind) - own == {"rewards/registry.py"}


@pytest.mark.parametrize("kind", [
    "dpo", "sample", "distill", "step_labels", "prm", "filter_queries", "filter_responses", "filter_quality",
    "deduplicate", "decontaminate",
])  # fmt: skip
def test_a_stage_kind_is_its_own_file_and_a_line_of_the_registry(kind: str) -> None:
    assert kind in BUILT_IN
    assert files_that_write(kind) == {f"alignment/training/kinds/{kind}.py", "alignment/recipe/kinds.py"}


def test_an_engine_is_its_own_folder_and_a_line_of_the_list() -> None:
    own = {file for file in SOURCES if file.startswith("alignment/inference/vllm/server/")}
    judges = {
        "alignment/recipe/blocks/judges.py",
        "alignment/checks/judges.py",
    }  # are served by this engine and no other
    assert files_that_write("vllm_server") - own - judges == {"alignment/recipe/blocks/engine.py"}


@pytest.mark.parametrize("algorithm", ["dapo", "dr_grpo", "gspo", "cispo", "rloo"])
def test_a_loss_is_its_fields_in_the_recipe_and_its_function(algorithm: str) -> None:
    assert files_that_write(algorithm) == {"alignment/recipe/blocks/algorithm.py", "alignment/training/rl/losses.py"}


def test_an_evaluations_figure_is_its_field_its_measure_and_its_column() -> None:
    """Training has a metric of the same name, in files of its own."""
    written = re.compile(r"distinct_bigrams[=:\"](?!=)")
    rooms = ("alignment/records/evaluation", "alignment/evaluation/", "alignment/report/", "alignment/commands/")
    found = {file for file, text in SOURCES.items() if file.startswith(rooms) and written.search(text)}
    assert found - {"alignment/report/alarms/writing.py"} == {
        "alignment/records/evaluation.py",
        "alignment/evaluation/outcomes.py",
        "alignment/report/render/columns.py",
    }
