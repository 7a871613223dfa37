"""Evaluation problems whose prompt does not fit are left out and counted; no prompt is ever cut."""

from collections.abc import Iterator

import pytest

from alignment.core.errors import DataError
from alignment.core.resources import resource
from alignment.data.rows import Problem, user_turn
from alignment.evaluation.answering import Evaluator
from alignment.evaluation.job import measure_modes
from alignment.evaluation.sweep.job import Asked, answered
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.report.render.columns import COLUMNS, measured_columns

SHORT = Problem(id="short", messages=[user_turn("2 + 3 =")], answer="5", family="sums")
LONG = Problem(
    id="long", messages=[user_turn("Add up. " + "And one more. " * 60 + "2 + 3 =")], answer="5", family="sums"
)
SETTINGS = {"engine": "transformers", "max_prompt_tokens": 96, "max_completion_tokens": 4, "follow_count": 2}


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    found = Evaluator(Evaluations.model_validate(SETTINGS), str(resource("data/base")), "test")
    yield found
    found.close()


def test_a_prompt_that_is_too_long_is_left_out_and_counted_in_every_table(evaluator: Evaluator) -> None:
    measured = measure_modes(evaluator, [SHORT, LONG], seed=0)
    for record in measured.modes.values():
        assert record.figures.left_out_too_long == 1
        assert record.figures.count + record.figures.unknown == 1
        assert [sample.question for sample in record.samples] == [SHORT.question]
    (column,) = [one for one in COLUMNS if one.field == "left_out_too_long"]
    figures = [record.figures for record in measured.modes.values()]
    assert column in measured_columns(figures) and column.terminal and column.text(figures[0]) == "1"
    fitting = measure_modes(evaluator, [SHORT], seed=0).modes["thinking"].figures
    assert fitting.left_out_too_long is None and column not in measured_columns([fitting])


def test_the_prompt_that_is_asked_is_whole(evaluator: Evaluator) -> None:
    (one,) = answered(evaluator, evaluator.fitting([SHORT]), Asked("thinking"), seed=0)
    prompt = evaluator.sampler.tokenizer.decode(one.samples[0].trajectory.prompt_ids)
    assert prompt.startswith("<|im_start|>user\n2 + 3 =")


def test_an_evaluation_of_which_nothing_is_left_names_the_length_to_write(evaluator: Evaluator) -> None:
    with pytest.raises(DataError, match=r"all 1 evaluation problems .* write `max_prompt_tokens: \d+` under"):
        evaluator.fitting([LONG])
