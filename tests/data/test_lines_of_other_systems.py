"""U+2028, U+2029 and U+0085 end a line for some readers: not for ours, in what is sampled and when a stage is resumed."""

from dataclasses import replace
from pathlib import Path

import pytest
from own_recipe import write_lines

from alignment.checks.recipe import checked
from alignment.core.errors import DataError
from alignment.core.files import write_json_lines
from alignment.core.resources import resource
from alignment.data.rows import Conversation, read_rows
from alignment.records.rollout import RolloutRow
from alignment.records.run_folder import RunFolder
from alignment.training.context import StageContext
from alignment.training.stages import sample

BREAKS = "one\u2028two\u2029three\x85four"
RECIPE = """\
name: own
model: embedded
seed: 1
hardware: {accelerate: cpu}
stages:
  - name: pairs
    kind: sample
    data: problems.jsonl
    rollout: {engine: transformers, generations: 2, max_prompt_tokens: 128, max_completion_tokens: 8}
    rewards: [{kind: repetition}]
    accept_score: 0.0
"""


def test_separators_in_questions_and_completions_survive_sampling_and_resuming(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "problems.jsonl", [{"problem": f"{BREAKS} {n} + 3 =", "answer": str(n + 3)} for n in range(2)]
    )
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    plan, run = checked(tmp_path / "recipe.yaml", []), RunFolder(tmp_path / "run")
    context = StageContext(plan.recipe, plan.recipe.stages[0], run, run.stage(1, "pairs"), str(resource("data/base")))
    cut_off = "none of 4 completions was accepted: 4 were cut off at max_completion_tokens 8"
    for _ in range(2):  # the second time from the chunk that the first has left
        with pytest.raises(DataError, match=cut_off):
            sample.run(context, tmp_path / "output")
    (chunk,) = context.folder.checkpoints.glob("chunk-*.jsonl")
    rows = list(RolloutRow.read_lines(chunk))
    assert len(rows) == 4
    write_json_lines(
        chunk, [replace(row, text=f"{row.problem} {BREAKS}", stop_reason="end", reward=1.0) for row in rows]
    )
    sample.run(context, tmp_path / "output")
    made = [row for row in read_rows(tmp_path / "output/rows.jsonl", "conversation") if isinstance(row, Conversation)]
    assert len(made) == 2
    assert all(BREAKS in row.messages[0]["content"] and BREAKS in row.messages[-1]["content"] for row in made)
