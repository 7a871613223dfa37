"""Check that tokens which a recipe adds are tokens, and are trained: their rows are means of others, and an adapter leaves them so.

Neighbours: ../recipe.py (runs the checks), adapters.py (the names in `lora`), run/base_model.py (adds the tokens).
"""

from collections.abc import Iterator

from alignment.checks.model.folder import ModelFolder
from alignment.recipe.blocks.lora import EMBEDDINGS
from alignment.recipe.issue import Issue
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import TrainingStage


def new_tokens(recipe: Recipe) -> Iterator[Issue]:
    """A stage that starts from the base model trains every token that the recipe adds to it, with LoRA too."""
    yield from _are_tokens(recipe.add_tokens)
    folder = ModelFolder.of(recipe.model)
    added = [token for token in recipe.add_tokens if folder.vocabulary and token not in folder.vocabulary]
    for index, stage in enumerate(recipe.stages):
        if not added or not isinstance(stage, TrainingStage) or stage.lora is None:
            continue
        whole = getattr(stage.lora, "modules_to_save", [])
        missing = [token for token in added if token not in stage.lora.train_tokens]
        if recipe.policy_before(stage.name) is not None or not missing or set(whole) & set(EMBEDDINGS):
            continue
        yield Issue(
            ("stages", index, "lora"),
            f"trains no row of {', '.join(missing)}, which `add_tokens` adds: adapters leave embeddings and head as they "
            f"are, so the model would never learn to write {'it' if len(missing) == 1 else 'them'}; write `train_tokens: "
            f"[{', '.join(repr(one) for one in missing)}]` in this block",
        )


def _are_tokens(added: list[str]) -> Iterator[Issue]:
    """Each is a text, and is added once."""
    for index, token in enumerate(added):
        if not token.strip():
            yield Issue(("add_tokens", index), f"found {token!r}, which no text would be split at; leave it out")
        elif token in added[:index]:
            yield Issue(("add_tokens", index), f"`{token}` stands here twice; leave one out")
