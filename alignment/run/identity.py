"""The identity of a stage: everything that decides its result, so that a finished stage is reused only if it is the same.

Neighbours: plan.py (compares identities), records/manifest.py (keeps one), data/mixture.py (describes a part of the
data).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from alignment.core.files import content_hash, file_hash
from alignment.core.resources import model_place
from alignment.data.chat.templates import template_identity
from alignment.data.mixture import load_parts
from alignment.data.part_identity import describe_part
from alignment.data.sources.declared import Table, local_path
from alignment.data.sources.named import is_own, load_source, source_of
from alignment.data.tables.files import table_hash
from alignment.recipe.blocks import engine
from alignment.recipe.blocks.algorithm import AlgorithmFields
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.blocks.teacher import teacher_of
from alignment.recipe.learning_rate import default_learning_rate
from alignment.recipe.own.code import LM_EVAL
from alignment.recipe.own.function import source_file
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields, held_out_of, rewards_of, rollout_of, tests_of
from alignment.run.judges.served import served_name
from rewards.own.loading import code_files, own_name
from rewards.own.loading import is_own as is_own_code

# Settings that may change between two starts of a stage, because they cannot change its result.
JUDGE_WITHOUT_EFFECT = (
    "timeout_seconds", "concurrency", "retries", "patience_seconds", "judgements", "max_tokens_total", "max_cost",
    "price_per_million_input", "price_per_million_output", "api_key_env", "agreement",
)  # fmt: skip
WITHOUT_EFFECT = ("save_every_steps", "max_logprob_gap", *engine.WITHOUT_EFFECT)


def stage_identity(recipe: Recipe, stage: StageFields, inputs: dict[str, str]) -> dict[str, Any]:
    """The resolved settings of a stage, its seed, the declarations and local files of its data, and its inputs' hashes."""
    parts, rate = load_parts(stage.data), default_learning_rate(stage)
    return {
        "stage": _known_by_content(_without_effectless(stage.model_dump(mode="json", exclude={"data", "held_out"}))),
        **({} if rate is None else {"learning_rate": rate}),
        "seed": recipe.seed,
        "chat_template": None if recipe.chat_template is None else template_identity(recipe.chat_template),
        "data": [_as_read(recipe, describe_part(part)) for part in parts],
        **_measured(stage),
        **_judges(recipe, stage),
        **_compared(recipe, stage),
        "files": {
            **dict(_local_files(recipe, (part.source for part in parts if part.source and not is_own(part.source)))),
            **_own_code(stage),
            **_own_classifiers(stage),
            **_teacher(stage),
        },
        "inputs": inputs,
    }


def _measured(stage: StageFields) -> dict[str, Any]:
    """How rows are held out, where a stage does so: they are not trained on, and may decide which checkpoint is kept."""
    held = held_out_of(stage)
    if held is None:
        return {}
    parts = load_parts(held.data) if held.data is not None else []
    written = held.model_dump(mode="json", exclude={"data"} if parts else set())
    return {"held_out": {**written, **({"data": [describe_part(part) for part in parts]} if parts else {})}}


def _compared(recipe: Recipe, stage: StageFields) -> dict[str, Any]:
    """The tests with which a stage compares its rows, where it does so: other tests leave other rows out."""
    asked, settings = tests_of(stage), recipe.evaluations
    if asked is None:
        return {}
    names = asked or settings.after_each_stage
    parameters = {name: settings.parameters[name] for name in names if name in settings.parameters}
    drawn = {"count": settings.count, "seed": settings.seed, "parameters": parameters}
    # Own files are known by their contents, wherever they lie.
    described = [describe_part(MixturePart(source=name)) for name in names if not name.startswith(LM_EVAL)]
    return {"tests": {"sources": [_as_read(recipe, one) for one in described], **drawn,
                      "files": dict(_local_files(recipe, (name for name in names if not is_own(name))))}}  # fmt: skip


def _as_read(recipe: Recipe, described: dict[str, Any]) -> dict[str, Any]:
    """A part of the data, without the public set where a local file is read in its place."""
    source, path = described["source"], recipe.data.path_of(described["part"]["source"])
    if source is None or path is None:
        return described
    here = {"hub": None, "revision": None, "configuration": None, "file": path.name}
    return {**described, "source": {**source, **{key: value for key, value in here.items() if key in source}}}


def hub_sources(recipe: Recipe) -> list[str]:
    """The sources of a recipe that are downloaded from the hub, for training and evaluation."""
    parts = [part for stage in recipe.stages for part in load_parts(stage.data) if part.source]
    measured = [held.data for stage in recipe.stages if (held := held_out_of(stage)) and held.data is not None]
    parts += [part for data in measured for part in load_parts(data) if part.source]
    parts += [MixturePart(source=name) for name in recipe.evaluations.after_each_stage]
    found = dict[str, None]()
    for part in parts:
        name, source = str(part.source), source_of(part)
        if isinstance(source, Table) and local_path(source, recipe.data.path_of(name)) is None:
            found[name] = None
    return list(found)


def _local_files(recipe: Recipe, sources: Iterable[str]) -> Iterator[tuple[str, str]]:
    """`(source, SHA-256)` of each source that is a file on this machine."""
    for name in sources:
        source = load_source(name)
        if isinstance(source, Table) and (path := local_path(source, recipe.data.path_of(name))):
            yield name, table_hash(path)


def _own_code(stage: StageFields) -> dict[str, str]:
    """SHA-256 of the files of the user's own code that the stage names, in its algorithm, its rewards or its environment.

    Changed code is another input.
    """
    algorithm, rollout = getattr(stage, "algorithm", None), rollout_of(stage)
    names = algorithm.own_functions if isinstance(algorithm, AlgorithmFields) else []
    found = {name: file_hash(path) for name in names if (path := source_file(name)) is not None}
    kinds = [spec.kind for spec in rewards_of(stage)] + ([rollout.environment.kind] if rollout is not None else [])
    for kind in filter(is_own_code, kinds):
        found |= code_files(kind)
    return found


def _own_classifiers(stage: StageFields) -> dict[str, str]:
    """A hash of each folder with a classifier that the stage names; one of the hub is known by its id and revision."""
    folders = {Path(one.model) for one in getattr(stage, "classifiers", []) if Path(one.model).is_dir()}
    return {folder.name: content_hash(folder) for folder in sorted(folders)}


def _teacher(stage: StageFields) -> dict[str, str]:
    """SHA-256 of the teacher's folder, where it is one of this machine; a stage's is among the inputs."""
    found = teacher_of(stage)
    if found is None or found.model is None:
        return {}
    folder = Path(model_place(found.model))
    return {"teacher": content_hash(folder)} if folder.is_dir() else {}


def _known_by_content(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with own code, classifiers and a teacher without their folders, which may be renamed: their hashes stand in `files`."""
    settings = {**settings, **({"rewards": _judged_alike(settings["rewards"])} if settings.get("rewards") else {})}
    settings = {**settings, **({"scorers": _scored_alike(settings["scorers"])} if settings.get("scorers") else {})}
    if isinstance(settings.get("method"), dict):
        settings["method"] = _labelled_alike(settings["method"])
    blocks = [*(settings.get("rewards") or []), (settings.get("rollout") or {}).get("environment") or {}]
    for block in blocks:
        if is_own_code(block.get("kind")):
            block["kind"] = own_name(block["kind"]).short
    for block in settings.get("classifiers") or []:
        block["model"] = Path(block["model"]).name if Path(block["model"]).is_dir() else block["model"]
    teacher = settings.get("teacher") or {}
    if Path(teacher.get("model") or "").is_absolute():
        teacher["model"] = Path(teacher["model"]).name
    if teacher.get("server"):  # the rest is where it is and how it is asked
        teacher["server"] = {"top_logprobs": teacher["server"]["top_logprobs"]}
    return settings


def _scored_alike(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Scorers without the memory that they may take, and without the engine that was the only one."""
    return [
        {
            name: one
            for name, one in block.items()
            if name != "gpu_memory_fraction" and (name, one) != ("engine", "transformers")
        }
        for block in blocks
    ]


def _judged_alike(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rewards without what changes no verdict of a judge, and without keys that are left out."""
    kept = [
        {name: one for name, one in block.items() if name not in ("judge", "agreement", "tasks") or one}
        for block in blocks
    ]
    kept = [{**block, "skill": Path(block["skill"]).name} if block.get("skill") else block for block in kept]
    return [
        {name: one for name, one in block.items() if block.get("kind") != "judge" or name not in JUDGE_WITHOUT_EFFECT}
        for block in kept
    ]


def _labelled_alike(method: dict[str, Any]) -> dict[str, Any]:
    """A method of step labels without what changes no answer of its judge."""
    if "of" in method:
        return {**method, "of": [_labelled_alike(one) for one in method["of"]]}
    judged = method.get("type") == "llm_judge"
    return {name: one for name, one in method.items() if not (judged and name in JUDGE_WITHOUT_EFFECT)}


def _judges(recipe: Recipe, stage: StageFields) -> dict[str, Any]:
    """The models of the served judges that a stage's rewards name, and the skills by which they judge, by their content."""
    named = {spec.judge: recipe.judges[spec.judge] for spec in rewards_of(stage) if spec.judge in recipe.judges}
    known = {
        name: {"model": served_name(str(name), one), "dtype": one.engine.dtype, "max_tokens": one.max_tokens}
        for name, one in named.items()
    }
    skills = {
        Path(folder).name: content_hash(Path(folder))
        for spec in rewards_of(stage)
        if isinstance(folder := (spec.model_extra or {}).get("skill"), str) and Path(folder).is_dir()
    }
    return {**({"judges": known} if known else {}), **({"skills": skills} if skills else {})}


def _without_effectless(settings: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in settings.items():
        if key not in WITHOUT_EFFECT:
            kept[key] = _without_effectless(value) if isinstance(value, dict) else value
    return kept
