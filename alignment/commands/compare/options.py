"""The options of `alignment compare`: the two policies, what they are asked, and the judge; refuses what cannot work.

Tasks and settings are those of `alignment evaluate` for the first policy, and the second is asked the same. Neighbours:
commands/evaluate/options.py, evaluation/comparison/plan.py (the plan), comparing.py (runs it).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from alignment.commands.audit.auditing import options as named_options
from alignment.commands.evaluate.options import EvaluateOptions
from alignment.core.errors import ArtifactError, OptionError
from alignment.core.vocabulary import MODES
from alignment.evaluation.comparison.plan import ComparisonPlan
from alignment.recipe.schema import Recipe
from alignment.records.comparison import FOLDER
from alignment.records.policies import Policy, is_model_folder, named_policies, trained_stages
from alignment.records.run_folder import RunFolder
from alignment.run.start.model import StartingModel

MODEL = "model"  # the name under which a first stage's manifest has the model that it started from


@dataclass(frozen=True)
class CompareOptions:
    """The options of `alignment compare` as written."""

    asked: EvaluateOptions
    against: str | None
    judge_url: str
    judge_options: tuple[str, ...] = ()  # NAME=VALUE
    modes: Literal["both", "thinking", "non_thinking"] = "both"
    output: Path | None = None

    @property
    def belongs_to_run(self) -> bool:
        """Whether the results go into a run directory, whose report shows them."""
        return self.output is None and not is_model_folder(self.asked.path)

    def plan(self) -> ComparisonPlan:
        """The plan. Raises OptionError, ArtifactError or DataError."""
        first, second = self._named_apart(self.asked.policy, self._baseline())
        if first.output_hash() == second.output_hash():
            raise OptionError(f"{first.folder} and {second.folder} are one policy; write another --stage or --against")
        return ComparisonPlan(
            a=first,
            b=second,
            modes=MODES if self.modes == "both" else (self.modes,),
            settings=self.asked.settings,
            output=self.output or self._default_output(),
            hardware=self.asked.hardware,
            files=self.asked.task_files,
            trust_remote_code=self.asked.recipe is not None and self.asked.recipe.trust_remote_code,
            offline=self.asked.offline,
        )

    def judge(self, plan: ComparisonPlan) -> Mapping[str, Any]:
        """The options of the kind `judge`. Raises RecipeError for text that is no option."""
        given = named_options(list(self.judge_options), ["judge"])
        if "base_url" in given:
            raise OptionError("--option base_url: the judge's address is written after --judge")
        return {"base_url": self.judge_url, "judgements": str(plan.judgements), **given}

    def _default_output(self) -> Path:
        path = self.asked.path
        return path / FOLDER if self.belongs_to_run else Path("runs") / f"{FOLDER}-{path.resolve().name}"

    def _baseline(self) -> Policy:
        """The policy that the first is compared with."""
        path, against = self.asked.path, self.against
        if against is None:
            if is_model_folder(path):
                raise OptionError(f"{path} is a model folder and has no stage before it; write --against MODEL_OR_RUN")
            return _started_from(RunFolder.open(path), self.asked.policy, self.asked.recipe)
        if not is_model_folder(path) and against in trained_stages(RunFolder.open(path)):
            return named_policies(path, [against])[0]
        if Path(against).is_dir():
            return named_policies(Path(against))[0]
        known = "" if is_model_folder(path) else f", or one of {', '.join(trained_stages(RunFolder.open(path)))}"
        raise OptionError(f"--against {against}: there is no such folder{known}")

    def _named_apart(self, first: Policy, second: Policy) -> tuple[Policy, Policy]:
        """The two under different names: folders of one name get that of the folder around them too."""
        if first.name != second.name:
            return first, second
        return tuple(replace(one, name=f"{_around(one)}-{one.name}") for one in (first, second))  # type: ignore[return-value]


def _around(policy: Policy) -> str:
    return policy.folder.resolve().parent.name


def _started_from(run: RunFolder, policy: Policy, recipe: Recipe | None) -> Policy:
    """The policy that a stage started from. Raises ArtifactError where it is not in reach."""
    inputs, trained = run.find(policy.name).manifest().inputs, trained_stages(run)
    before = [name for name in trained if name in inputs]
    if before:
        return named_policies(run.path, before[-1:])[0]
    if MODEL in inputs and recipe is not None and Path(found := StartingModel(recipe, run).path).is_dir():
        return Policy(MODEL, Path(found))
    raise ArtifactError(
        f"stage {policy.name} of {run.path} started from {', '.join(inputs) or 'nothing that is recorded'}, of which no policy is "
        "within reach; write --against with a model folder or a stage"
    )
