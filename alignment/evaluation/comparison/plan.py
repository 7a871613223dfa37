"""What a comparison of two policies needs: the answers of each in each mode, of which those that are recorded are not sampled again.

Neighbours: job.py (samples what is missing), judging.py (asks the judge), commands/compare/ (makes the plan). Light.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from alignment.core.files import canonical_hash
from alignment.core.typed_json import Json
from alignment.core.vocabulary import Mode
from alignment.evaluation.identity import task_identity
from alignment.recipe.blocks.engine import WITHOUT_EFFECT
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.recipe.blocks.hardware import Hardware
from alignment.records.comparison import ANSWERS, JUDGEMENTS
from alignment.records.file_record import FileRecord
from alignment.records.policies import Policy

DECIDING = ("samples", "max_prompt_tokens", "max_completion_tokens")
KEY_SHOWN = 10  # characters of a hash in a file's name


@dataclass(frozen=True)
class AnswersWork(FileRecord):
    """The work file of the process that samples one policy's missing answers."""

    name: Annotated[str, "the stage, or the model folder's name"]
    policy: Annotated[str, "its folder"]
    settings: Annotated[Mapping[str, Json], "the recipe's `evaluations`, with the options on top"]
    files: Annotated[Mapping[str, str], "local files in place of public tasks, by task"]
    missing: Annotated[Mapping[str, str], "the file to be written, by mode"]
    trust_remote_code: Annotated[bool, "whether code that comes with the model may run"] = False


@dataclass(frozen=True)
class ComparisonPlan:
    """Two policies, asked the same questions with the same settings, and the folder that keeps what is made of them."""

    a: Policy
    b: Policy
    modes: Sequence[Mode]
    settings: Evaluations
    output: Path
    hardware: Hardware
    files: Mapping[str, str] = field(default_factory=dict)  # local files in place of public tasks
    trust_remote_code: bool = False
    offline: bool = True

    @property
    def judgements(self) -> Path:
        """The file that keeps what the judge said."""
        return self.output / JUDGEMENTS

    def answers_identity(self, policy: Policy, mode: Mode) -> Mapping[str, Json]:
        """What decides a policy's answers in a mode."""
        one = self.settings
        return {
            "policy": policy.output_hash(),
            "tasks": [task_identity(one, name, self.files) for name in one.after_each_stage],
            "mode": mode,
            "thinking_budget": one.thinking_budget.model_dump(mode="json"),
            "sampling": one.sampling[mode],
            "environment": one.environment.model_dump(mode="json"),
            "engine": one.engine.model_dump(mode="json", exclude=set(WITHOUT_EFFECT)),
            **{name: getattr(one, name) for name in DECIDING},
        }

    def answers_file(self, policy: Policy, mode: Mode) -> Path:
        """Where a policy's answers in a mode are, once they are sampled."""
        return self.output / ANSWERS / f"{canonical_hash(self.answers_identity(policy, mode))[:16]}.jsonl"

    def work(self, policy: Policy) -> AnswersWork | None:
        """The work file for what a policy has not answered yet; None where nothing is missing."""
        files = {mode: self.answers_file(policy, mode) for mode in self.modes}
        missing = {str(mode): str(path) for mode, path in files.items() if not path.exists()}
        if not missing:
            return None
        settings = self.settings.model_dump(mode="json")
        return AnswersWork(policy.name, str(policy.folder), settings, self.files, missing, self.trust_remote_code)

    def identity(self, judge: Mapping[str, Json]) -> Mapping[str, Json]:
        """What decides a comparison. judge: its model, and what decides its verdicts."""
        answers = {side: [self.answers_identity(policy, mode) for mode in self.modes] for side, policy in self.sides}
        return {**answers, "judge": judge}

    @property
    def sides(self) -> tuple[tuple[str, Policy], tuple[str, Policy]]:
        """The two policies by the letter under which the record has them."""
        return ("a", self.a), ("b", self.b)

    def record_file(self, identity: Mapping[str, Json]) -> Path:
        """Where the comparison of that identity is: another judge or other settings make another file."""
        names = [re.sub(r"[^A-Za-z0-9_.-]", "_", policy.name) for _, policy in self.sides]
        return self.output / f"{names[0]}-against-{names[1]}-{canonical_hash(identity)[:KEY_SHOWN]}.json"
