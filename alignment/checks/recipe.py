"""Runs every check of a recipe: those of its form, those of each subject, and those that each kind has for its stages.

A check is a function from a recipe to issues. An issue says where, what was found, why it cannot work and what to
write. All checks run, so that every error is shown at once. Neighbours: recipe/reading/load.py (errors of form), one
file per subject here, training/kinds/ (the checks of a kind), plan.py (what is printed if all is well).
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from alignment.checks.evaluations import evaluations
from alignment.checks.judges import judges
from alignment.checks.model.adapters import adapters
from alignment.checks.model.config import model_config
from alignment.checks.model.files import model_files
from alignment.checks.model.lora_options import lora_options
from alignment.checks.model.new_tokens import new_tokens
from alignment.checks.model.teacher import teachers
from alignment.checks.model.templates import chat_templates
from alignment.checks.own_rewards import own_rewards
from alignment.checks.rewards import idle_tasks, reward_specs
from alignment.checks.rollouts import rollouts
from alignment.checks.rows.conversations import conversations
from alignment.checks.rows.counts import row_counts
from alignment.checks.rows.generators import procedural_parameters
from alignment.checks.rows.held_out import held_out_rows
from alignment.checks.rows.lengths import sequence_lengths
from alignment.checks.rows.overlap import trained_on_the_test
from alignment.checks.rows.part_settings import part_settings
from alignment.checks.rows.parts import data_names
from alignment.checks.rows.references import references
from alignment.checks.rows.splits import split_overlap
from alignment.checks.shared_packs import shared_packs
from alignment.checks.stages import own_checks, stage_order
from alignment.checks.surroundings import surroundings, trackers
from alignment.checks.trainer import trainer_settings
from alignment.core.errors import RecipeError
from alignment.recipe.issue import Issue
from alignment.recipe.reading.load import Document
from alignment.recipe.reading.sound import sound_part
from alignment.recipe.schema import Recipe
from alignment.run.plan import RunPlan

Check = Callable[[Recipe], Iterator[Issue]]
CHECKS: tuple[Check, ...] = (
    stage_order, data_names, split_overlap, procedural_parameters, trainer_settings, own_checks, reward_specs, idle_tasks, own_rewards, judges, model_files,
    model_config, chat_templates, adapters, lora_options, new_tokens, trained_on_the_test, teachers,
    sequence_lengths, trackers, surroundings, shared_packs, rollouts, evaluations, references, conversations, part_settings, row_counts, held_out_rows,
)  # fmt: skip


def checked(path: Path, overrides: list[str]) -> RunPlan:
    """Load a recipe and run every check. Raises RecipeError with all issues, each with file and line."""
    document = Document(path, overrides)
    recipe, issues = document.recipe()
    if recipe is not None:
        issues += _found(recipe)
    elif (sound := sound_part(document.values)) is not None:
        issues += [placed for issue in _found(sound.recipe) if (placed := sound.placed(issue)) is not None]
    if issues:
        lines = list(dict.fromkeys(document.describe(issue) for issue in document.in_order(issues)))
        raise RecipeError("\n".join([*lines, f"{len(lines)} error{'s' * (len(lines) != 1)}; nothing was started"]))
    return RunPlan.load(path, overrides)


def _found(recipe: Recipe) -> list[Issue]:
    return [issue for check in CHECKS for issue in check(recipe)]
