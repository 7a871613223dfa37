"""What a budget sweep keeps of every problem: outcomes/KEY.jsonl beside points.jsonl, one line a problem.

A point's figures are means; whoever wants to know which problems a budget helped needs each one's. Light. Neighbours:
sweep.py (writes them), adaptive_fit.py (learns from them).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from alignment.core.errors import ArtifactError

FOLDER = "outcomes"


@dataclass(frozen=True)
class ProblemOutcome:
    """One problem at one point; every list has one entry for each sample.

    problem is problem_key of its question. correct is None where the grader could not judge. groups numbers equal
    answers alike, None is no answer; with one sample there is nothing to compare, and it is None too.
    """

    problem: str
    prompt_tokens: int
    correct: list[bool | None]
    thinking_tokens: list[int]
    answer_tokens: list[int]
    groups: list[int | None]


def outcomes_file(output: Path, key: str) -> Path:
    """Where the outcomes of the point with this key are, in a sweep's folder."""
    return output / FOLDER / f"{key[:16]}.jsonl"


def write_outcomes(output: Path, key: str, outcomes: Sequence[ProblemOutcome]) -> None:
    """Write a point's outcomes, whole or not at all. Raises ArtifactError if that cannot be done."""
    path = outcomes_file(output, key)
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text("".join(json.dumps(asdict(one)) + "\n" for one in outcomes), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror or error})") from error


def read_outcomes(path: Path) -> list[ProblemOutcome]:
    """The outcomes of one point. Raises ArtifactError if they are missing or not what a sweep writes."""
    try:
        return [ProblemOutcome(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise ArtifactError(
            f"{path}: cannot be read ({error.strerror or error}); points of earlier versions have no outcomes: measure "
            "them with `alignment budget ... --output` into a new folder"
        ) from error
    except (ValueError, TypeError) as error:
        raise ArtifactError(f"{path}: this is not what `alignment budget` writes ({error})") from error
