"""Checks that every setting of a mixture part does what it says: in the kind that it is written for, and with such rows.

Neighbours: ../recipe.py (runs the checks), parts.py (whether a part's source fits its stage), data/mixture.py (reads
the settings).
"""

import itertools
import re
from collections.abc import Iterator

from alignment.checks.rows.conversations import counts_its_own, part_faults
from alignment.core.errors import DataError
from alignment.data.parts import local_table, placed_parts, problems_at_hand
from alignment.data.sources.declared import has_messages, has_pairs, row_columns
from alignment.data.sources.named import is_readable, source_of
from alignment.data.steps.mixture import has_steps
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.issue import Issue, Place
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields

OF_SOURCES = (
    "fields",
    "split",
    "configuration",
    "revision",
    "parameters",
    "seed",
    "mode",
)  # not read with `stage: NAME`
_WORD = re.compile(r"(?<![\\A-Za-z])[^\W\d_]{2,}")  # of a text, and no command of LaTeX
MOST_WORDS = 5  # of a final answer, such as `2 hours and 30 minutes`
MAX_REPLIES = 0.1  # of a part's answers: a few final answers are sentences
LOOKED_AT = 200  # problems of a part
LENGTHS = ("target_lengths", "max_review_passes", "length_matched_fraction")


def part_settings(recipe: Recipe) -> Iterator[Issue]:
    """No part has a setting that is not read, or a mode that its rows do not have."""
    for index, stage in enumerate(recipe.stages):
        for place, part in placed_parts(recipe, index):
            for name, why in _idle(stage, part):
                yield Issue((*place, name), f"has no effect: {why}; remove it")
            yield from _another_mode(recipe, stage, place, part)
            yield from _boxed_prose(recipe, stage, place, part)


def _idle(stage: StageFields, part: MixturePart) -> Iterator[tuple[str, str]]:
    """(setting, why it is not read) of a part."""
    takes, kind, written = kind_of(stage).takes, kind_of(stage).name, part.model_fields_set
    if part.stage is not None:
        yield from ((name, f"these are the rows that `{part.stage}` left") for name in OF_SOURCES if name in written)
    elif "mode" in written and takes != "rows":
        decides = "`rollout` says how many think" if takes == "problems" else "each row has the mode of its answer"
        yield "mode", f"a {kind} stage takes {takes}, and {decides}"
    if part.flag_fraction and takes != "rows":
        decides = ", and `rollout.flag_fraction` adds the flags" if takes == "problems" else ""
        yield "flag_fraction", f"a {kind} stage takes {takes}{decides}"
    if not _asks(stage, part):
        yield from ((name, "it is for problems, and these are other rows") for name in LENGTHS if getattr(part, name))


def _asks(stage: StageFields, part: MixturePart) -> bool:
    """Whether a part's rows are problems, whose questions and worked solutions can be changed."""
    if part.stage is not None:
        return kind_of(stage).takes == "problems"
    if not is_readable(part):
        return True  # reported by the check of the data's names
    source = source_of(part)
    return not (has_messages(source) or has_steps(source) or kind_of(stage).takes == "pairs")


def _another_mode(recipe: Recipe, stage: StageFields, place: Place, part: MixturePart) -> Iterator[Issue]:
    """Chats that think where the part says that they do not, or the reverse; problems without a solution to think."""
    if part.stage is not None or kind_of(stage).takes != "rows" or counts_its_own(stage) or not is_readable(part):
        return
    try:
        faults = part_faults(recipe, stage, part)
    except DataError:
        return  # reported by the check of conversations
    if faults is None or not faults.sound:
        return
    thinks = part.mode == "thinking"
    others = faults.sound - faults.thinking if thinks else faults.thinking
    if has_messages(source_of(part)):
        if others and "mode" in part.model_fields_set:
            yield Issue(
                (*place, "mode"),
                f"found {part.mode}, and {others} of {faults.sound} rows {'do not think' if thinks else 'think'}: chats are "
                "trained as they are; remove `mode`, or those rows",
            )
    elif thinks and others and not has_pairs(source_of(part)) and "answer" in row_columns(source_of(part)):
        yield Issue(
            (*place, "mode") if "mode" in part.model_fields_set else place,
            f"{others} of {faults.sound} problems have no worked solution to put into the think block; write "
            "`mode: non_thinking`, or name the field with the solution",
        )


def _boxed_prose(recipe: Recipe, stage: StageFields, place: Place, part: MixturePart) -> Iterator[Issue]:
    """Answers that are whole replies: imitated, each would stand in a box, as a final answer does."""
    if kind_of(stage).takes != "rows" or local_table(recipe, part) is None:
        return
    try:
        seen = [one for one in itertools.islice(problems_at_hand(recipe, part), LOOKED_AT) if one.answer]
    except DataError:
        return  # reported by the check of conversations
    prose = [one.answer for one in seen if not one.demonstration and _is_reply(one.answer)]
    if len(prose) > MAX_REPLIES * len(seen):
        yield Issue(
            place,
            f"{len(prose)} of {len(seen)} answers are whole replies, the first {prose[0][:60]!r}, and an answer to a problem is "
            "trained as a final answer in \\boxed{}; to train them as they stand, name them as chats, such as "
            "`fields: {prompt: question, completion: answer}`, and for worked solutions write `fields` with `answer_after`",
        )


def _is_reply(answer: str) -> bool:
    return "\\boxed{" not in answer and ("\n" in answer.strip() or len(_WORD.findall(answer)) > MOST_WORDS)
