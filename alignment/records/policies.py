"""Policies named on the command line: a model folder, or stages of a run.

`alignment chat` talks to one, `alignment serve` serves one, `alignment budget` measures several. Neighbours:
records/run_folder.py (what a stage leaves), inference/start.py (starts an engine on the folder).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alignment.core.errors import ArtifactError
from alignment.core.files import content_hash
from alignment.recipe.blocks.sampling import ThinkingBudget
from alignment.recipe.kinds import find_kind
from alignment.records.adapter import ADAPTER_CONFIG
from alignment.records.run_folder import RunFolder, StageFolder

ALL = "all"


@dataclass(frozen=True)
class Policy:
    """A policy: its name in output, and its folder. recorded_hash is None outside a run."""

    name: str
    folder: Path
    recorded_hash: str | None = None

    def output_hash(self) -> str:
        """What the manifest records, or SHA-256 over the files of a folder that has none."""
        if self.recorded_hash is not None:
            return self.recorded_hash
        return content_hash(self.folder)


def is_model_folder(path: Path) -> bool:
    """Whether a path is a model folder, and not a run."""
    return (path / "config.json").is_file()


def named_policies(path: Path, stages: Sequence[str] = ()) -> list[Policy]:
    """The policy of a model folder, or those of a run's stages (default: the last trained one).

    The one name `all` means every trained stage, in the order of the run. Raises ArtifactError if there is no such
    thing, or if a stage's files are damaged.
    """
    if is_model_folder(path):
        if stages:
            raise ArtifactError(f"{path} is a model folder and has no stages; leave out --stage, or give a run")
        return [Policy(path.resolve().name, path)]
    if (path / ADAPTER_CONFIG).is_file():
        raise ArtifactError(
            f"{path} is an adapter in PEFT's form, without config and tokenizer; write `alignment merge {path} --into FOLDER` "
            "and name that folder"
        )
    run = RunFolder.open(path)
    trained = trained_stages(run)
    if not trained and (not stages or ALL in stages):
        raise ArtifactError(f"{path} has no trained stage yet; `alignment run` makes the first one")
    if not stages:
        return [_of_stage(run, trained[-1])]
    return [_of_stage(run, name) for name in (trained if ALL in stages else dict.fromkeys(stages))]


def thinking_budget(path: Path) -> ThinkingBudget:
    """The thinking budget of a run's evaluations, or the defaults for a model folder."""
    import yaml

    recipe = path / "recipe.yaml"
    found = yaml.safe_load(recipe.read_text(encoding="utf-8")) if recipe.is_file() else {}
    return ThinkingBudget.model_validate(found.get("evaluations", {}).get("thinking_budget", {}))


def trained_stages(run: RunFolder) -> list[str]:
    """The finished stages of a run that leave a policy, in order."""
    names = [folder.name[3:] for folder in sorted(run.path.glob("[0-9][0-9]-*")) if "." not in folder.name]
    finished = [name for name in names if run.find(name).finished]
    return [name for name in finished if _leaves_policy(run.find(name))]


def _of_stage(run: RunFolder, name: str) -> Policy:
    folder = run.find(name)
    manifest = folder.verified_manifest()
    if not _leaves_policy(folder):
        known = ", ".join(trained_stages(run)) or "none yet"
        raise ArtifactError(f"stage {name} ({manifest.kind}) leaves no policy; write one of: {known}")
    return Policy(name, folder.output, manifest.output_hash)


def leaves_process_model(folder: StageFolder) -> bool:
    """Whether a finished stage leaves a process reward model."""
    kind = find_kind(folder.manifest().kind) if folder.finished else None
    return kind is not None and kind.leaves == "process_model"


def _leaves_policy(folder: StageFolder) -> bool:
    """Whether a stage leaves a policy; of a kind that is not installed here, what it has left says it."""
    kind = find_kind(folder.manifest().kind)
    return (folder.output / "config.json").is_file() if kind is None else kind.leaves_policy
