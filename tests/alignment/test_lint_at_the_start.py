"""An sft stage holds a sample of its rows against the linter before it loads a model."""

from pathlib import Path

import pytest

from alignment.core.errors import DataError
from alignment.core.resources import resource
from alignment.data.rows import Conversation
from alignment.recipe.schema import Recipe
from alignment.records.run_folder import RunFolder

QUESTION = {"role": "user", "content": "What is 1 + 2? /no_think"}
STAGE = {"name": "imitation", "kind": "sft", "data": "tiny-cold-start"}


def test_a_stage_refuses_rows_with_errors_and_records_how_many_warnings_there_were(tmp_path: Path) -> None:
    from alignment.training.context import StageContext
    from alignment.training.stages.sft import _lint

    recipe = Recipe.model_validate({"name": "rows", "model": "embedded", "stages": [STAGE]})
    run = RunFolder(tmp_path)
    context = StageContext(recipe, recipe.stages[0], run, run.stage(1, "imitation"), str(resource("data/base")))
    plain = Conversation("plain", [QUESTION, {"role": "assistant", "content": "3"}], "non_thinking")
    _lint(context, context.tokenizer(), [plain])
    assert context.counts == {"lint_rows": 1, "lint_warnings": 1}, "nobody chose whether the empty block is learned"
    thinks = {"role": "assistant", "reasoning_content": "1 + 2 = 3", "content": "3"}
    contradicts = Conversation("contradicts", [QUESTION, thinks], "thinking")
    with pytest.raises(DataError, match=r"imitation: contradicts, row 2: .*\[flag_contradicts\]"):
        _lint(context, context.tokenizer(), [plain, contradicts])
