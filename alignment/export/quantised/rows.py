"""Text to calibrate a quantised form on: conversations that the run trained on, or a source that is named.

Never rows of an evaluation, against which the form is measured. Neighbours: making.py, data/mixture.py.
"""

from pathlib import Path

from transformers import AutoTokenizer

from alignment.core.errors import DataError, OptionError
from alignment.data.chat.template import render_conversation
from alignment.data.mixture import conversations_of, load_parts
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.schema import Recipe
from alignment.records.run_folder import RunFolder

ROWS, ROW_TOKENS = 256, 2048


def calibration_rows(
    recipe: Recipe, run: RunFolder, policy: Path, stage: str, named: str | None
) -> tuple[str, list[list[int]]]:
    """`(what they are, token ids of at most ROWS rows)`; a longer row is cut.

    named: a source of conversations or problems with answers, or None for those of the last sft stage up to `stage`. Raises
    OptionError where there is none.
    """
    what, parts = _trained_on(recipe, stage) if named is None else (Path(named).name, [_source(named)])
    tokenizer = AutoTokenizer.from_pretrained(policy, trust_remote_code=recipe.trust_remote_code)
    try:
        rows = conversations_of(recipe, parts, lambda name: run.find(name).output)
        picked = [rows[place] for place in range(min(ROWS, len(rows)))]
        return what, [render_conversation(tokenizer, one).input_ids[:ROW_TOKENS] for one in picked]
    except DataError as error:
        raise OptionError(f"--calibration: {what}: {error}") from error


def _source(named: str) -> MixturePart:
    """A source by its name, or a file by its path from here."""
    return MixturePart(source=str(Path(named).resolve()) if Path(named).exists() else named)


def _trained_on(recipe: Recipe, stage: str) -> tuple[str, list[MixturePart]]:
    names = recipe.stage_names[: recipe.stage_names.index(stage) + 1]
    found = next((name for name in reversed(names) if recipe.stage(name).kind == "sft"), None)
    if found is None:
        raise OptionError(
            "this form needs text to calibrate on, and no sft stage of the run has any; write --calibration with a source of "
            "conversations, such as ./chats.jsonl"
        )
    return f"rows of the stage {found}", load_parts(recipe.stage(found).data)
