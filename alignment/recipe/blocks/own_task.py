"""The fields of an evaluation task of the user's own: one YAML file says which rows are asked, how, and how they are graded.

`after_each_stage` and `--tasks` name the file by its path. Neighbours: data/sources/own_task.py (reads it),
recipe/blocks/evaluation.py.
"""

from typing import Any

from pydantic import Field, field_validator

from alignment.core.vocabulary import MODES, Mode
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.recipe.blocks.rewards import Reward
from alignment.recipe.closed import Closed
from alignment.recipe.issue import nearest

QUESTION = "{question}"
SAMPLING = ("temperature", "top_p", "top_k")


class OwnTask(Closed):
    """The contents of a task's YAML file."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][\w.-]*$", description="Name in the report; default: the file's, without its ending."
    )
    description: str = Field("a task of the user's own", description="What it measures, for readers.")
    rows: str = Field(description="A file of problems by its path from this file, or a source by name.")
    fields: dict[str, Any] = Field(
        {}, description="Where a row keeps what, in place of what is recognised: question, answer, columns."
    )
    grader: Reward = Field(
        Reward(kind="math_answer"), description="The reward that judges an answer, with its options; your own, too."
    )
    environment: EnvironmentChoice | None = Field(
        None, description="What answers the policy's turns in this task, in place of the evaluation's `environment`."
    )
    accept_score: float = Field(1.0, description="Smallest score of the grader that counts as correct.")
    prompt: str | None = Field(None, description="What is asked, with {question} and fields of the row in it.")
    system: str | None = Field(None, description="A system turn before every question, in place of the row's own.")
    modes: list[Mode] = Field(list(MODES), min_length=1, description="The modes in which it is asked.")
    count: int | None = Field(None, ge=1, description="Number of problems; default: the evaluation's.")
    samples: int | None = Field(None, ge=1, description="Completions per problem; default: the evaluation's.")
    sampling: dict[Mode, dict[str, float]] = Field(
        {}, description="Temperature, top_p and top_k by mode, in place of the evaluation's."
    )

    @field_validator("prompt")
    @classmethod
    def _asks(cls, prompt: str | None) -> str | None:
        if prompt is not None and QUESTION not in prompt:
            raise ValueError(f"`prompt` has no {QUESTION}, so every row would be asked the same; add it")
        return prompt

    @field_validator("sampling")
    @classmethod
    def _known(cls, sampling: dict[Mode, dict[str, float]]) -> dict[Mode, dict[str, float]]:
        unknown = [key for given in sampling.values() for key in given if key not in SAMPLING]
        if unknown:
            raise ValueError(f"`{unknown[0]}` is no setting of sampling; {nearest(unknown[0], SAMPLING)}")
        return sampling
