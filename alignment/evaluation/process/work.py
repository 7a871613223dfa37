"""ProcessWork: the file in which `alignment processbench` tells its process what to measure. Neighbour: job.py (reads it)."""

from collections.abc import Mapping
from dataclasses import dataclass

from alignment.core.precision import Precision
from alignment.core.typed_json import Json
from alignment.data.steps.definition import SplitBy
from alignment.recipe.blocks.process import Aggregate, StepLogprob
from alignment.recipe.blocks.scorers import ScorerEngine
from alignment.records.file_record import FileRecord


@dataclass(frozen=True)
class ProcessWork(FileRecord):
    """What is to be measured. Paths are absolute."""

    model: str
    name: str
    files: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    count: int = 256
    seed: int = 0
    threshold: float | None = None
    threshold_file: str | None = None
    threshold_rows: int = 400  # corrupted solutions of other problems, on which a threshold is chosen without a file
    aggregate: Aggregate = "minimum"
    stress: bool = True  # also score solutions that were changed without becoming more right
    engine: ScorerEngine = "transformers"
    precision: Precision = "auto"  # of the weights of what scores
    logprobs: StepLogprob | None = None  # the model is a policy, whose own log-probs are the scores
    generative: bool = False  # the model is asked whether each step is right, and its answer is the score
    steps: SplitBy = "blank_line"  # how the answers of either are split
    policy: str | None = None
    samples: int = 8
    outcome: str | None = None  # a reward model for whole answers, beside which the step scores are put
    outcome_name: str = ""
    beams: int = 0  # of a beam search by the same scores; 0 for none
    expansions: int = 4
    settings: Mapping[str, Json] | None = None  # of the evaluation that samples for best of N
    judge: Mapping[str, Json] | None = None  # in place of a model
    trust_remote_code: bool = False
