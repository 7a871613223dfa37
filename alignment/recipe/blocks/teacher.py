"""`teacher`: the model that a distill stage learns from, and a sample stage may sample in place of its policy.

Neighbours: training/kinds/distill.py (the stage), checks/model/teacher.py (whether it can teach the recipe's model),
training/distillation/teacher.py (loads it).
"""

from collections.abc import Mapping

from pydantic import Field, model_validator

from alignment.recipe.closed import Closed


class TeacherServer(Closed):
    """The block `server` of a teacher: a vLLM server that runs already and has the teacher's weights."""

    base_url: str = Field(description="Where it answers, such as http://127.0.0.1:8000/v1.")
    served_as: str | None = Field(None, description="The model's name there; default: the teacher's `model`.")
    api_key_env: str = Field("", description="Environment variable with the server's key; default: it wants none.")
    top_logprobs: int = Field(
        20, ge=1, description="Most likely tokens whose log-probs it gives; above 20, start it with --max-logprobs."
    )
    concurrency: int = Field(16, ge=1, description="Sequences that each process asks about at once.")
    timeout_seconds: float = Field(120, gt=0, description="Seconds that an answer may take.")
    retries: int = Field(8, ge=0, description="How often a question without an answer is asked again, ever later.")


class Teacher(Closed):
    """The block `teacher`."""

    stage: str | None = Field(None, description="The stage before whose policy teaches.")
    model: str | None = Field(None, description="A model by folder or hub id, in place of a stage's.")
    revision: str | None = Field(None, description="Commit, branch or tag of a hub model; a commit cannot move.")
    server: TeacherServer | None = Field(
        None,
        description="Of a distill stage: a server that holds `model`, of which this machine needs the tokenizer alone.",
    )

    @model_validator(mode="after")
    def _one_model(self) -> "Teacher":
        if (self.stage is None) == (self.model is None):
            raise ValueError("a teacher is a stage's or a folder's; write exactly one of `stage` and `model`")
        if self.revision is not None and self.model is None:
            raise ValueError("`revision` is of a hub model, and a stage has none; leave it out")
        if self.server is not None and self.model is None:
            raise ValueError(
                "a server holds a model, by whose tokenizer it is compared with the student; write `model`"
            )
        return self


def other_tokens(student: Mapping[str, int], teacher: Mapping[str, int], logits: tuple[int, int]) -> str | None:
    """Why two models cannot be compared token by token, or None.

    student, teacher: each token's id. logits: how many the student and the teacher give.
    """
    same = "a teacher's distribution is over the student's own tokens; name a teacher of the same family and generation"
    if student != teacher:
        apart = sorted(token for token in student.keys() | teacher.keys() if student.get(token) != teacher.get(token))
        shown = ", ".join(f"{token!r} ({_id(student, token)}, {_id(teacher, token)})" for token in apart[:3])
        return f"{len(apart)} tokens have another id or are missing in one, such as {shown}; {same}"
    if logits[0] != logits[1]:
        return (
            f"the student gives {logits[0]} logits and the teacher {logits[1]}: the tokenizers are the same, and one "
            "embedding has more rows than tokens; cut both to the same number of rows (transformers: resize_token_embeddings)"
        )
    return None


def _id(vocabulary: Mapping[str, int], token: str) -> str:
    return str(vocabulary.get(token, "missing"))


def teacher_of(stage: object) -> Teacher | None:
    """A stage's `teacher` block, or None if its kind has none."""
    found = getattr(stage, "teacher", None)
    return found if isinstance(found, Teacher) else None
