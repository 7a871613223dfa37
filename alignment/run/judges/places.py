"""Which judges a stage needs, and where on this machine they go: the last GPUs, which its own processes then do not see.

Neighbours: served.py (their servers), run/runner.py (asks).
"""

import sys
from functools import partial
from pathlib import Path

from alignment.core.errors import StageFailed
from alignment.core.machine import core_groups, visible_gpus
from alignment.core.resources import model_place
from alignment.inference.vllm.server.judge import JudgeModel, judge_command
from alignment.inference.vllm.server.place import Place, free_port, new_key
from alignment.recipe.blocks.engine import VllmServerOptions
from alignment.recipe.blocks.judges import ServedJudge
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields, rewards_of
from alignment.run.judges import double as judge_double
from alignment.run.judges.served import JudgeProcess, served_name
from alignment.run.launcher import launcher_config
from alignment.run.process_environment import environment
from alignment.run.start.hub import pinned_folder

ON_ONE_MACHINE = (
    "served on one machine, whose address the ranks of others do not reach; serve the model yourself and write its `base_url` "
    "under the reward"
)


def judges_of(recipe: Recipe, stage: StageFields) -> dict[str, ServedJudge]:
    """The served judges that a stage's rewards name."""
    named = [spec.judge for spec in rewards_of(stage) if spec.judge is not None]
    return {name: recipe.judges[name] for name in dict.fromkeys(named)}


def judge_servers(recipe: Recipe, stage: StageFields, folder: Path) -> tuple[list[JudgeProcess], dict[str, str]]:
    """The servers of a stage, not started, and what its own environment has to say so that it leaves their GPUs alone.

    folder: for their logs. Raises StageFailed where there are too few GPUs.
    """
    needed = judges_of(recipe, stage)
    if not needed:
        return [], {}
    gpus = [] if launcher_config(recipe.hardware).hides_gpus else visible_gpus()
    servers, left = [], gpus
    for name, one in needed.items():
        if one.is_double:
            servers.append(_double(recipe, name, one, folder))
            continue
        place, left = _placed(name, one.engine, left, recipe.hardware.processes) if gpus else (_all_cores(), left)
        servers.append(_server(recipe, name, one, place, folder))
    return servers, {"CUDA_VISIBLE_DEVICES": ",".join(left)} if gpus else {}


def _server(recipe: Recipe, name: str, one: ServedJudge, place: Place, folder: Path) -> JudgeProcess:
    options, served_as = one.engine, served_name(name, one)
    port = free_port(options.interface)
    folder_or_id = pinned_folder(model_place(one.model), one.revision, trust_remote_code=recipe.trust_remote_code)
    one_process = recipe.hardware.model_copy(update={"processes": 1})
    model = JudgeModel(served_as, folder_or_id, one.max_tokens, options, recipe.trust_remote_code)
    return JudgeProcess(
        name=name,
        served_as=served_as,
        command=partial(judge_command, model, place, port),
        address=f"http://{options.interface}:{port}",
        key=new_key(),
        place=place,
        log=folder / f"judge-{name}.log",
        patience_seconds=options.patience_seconds,
        restarts=one.restarts,
        inherited=environment(one_process, offline=Path(folder_or_id).is_dir()),
    )


def _double(recipe: Recipe, name: str, one: ServedJudge, folder: Path) -> JudgeProcess:
    """The server of a rule in place of a model, which needs no device."""
    served_as, interface, port = served_name(name, one), one.engine.interface, free_port(one.engine.interface)
    command = [sys.executable, "-m", judge_double.__name__, served_as, interface, str(port)]
    return JudgeProcess(
        name=name,
        served_as=served_as,
        command=lambda: command,
        address=f"http://{interface}:{port}",
        key=new_key(),
        place=_all_cores(),
        log=folder / f"judge-{name}.log",
        patience_seconds=one.engine.patience_seconds,
        restarts=one.restarts,
        inherited=environment(recipe.hardware.model_copy(update={"processes": 1}), offline=True),
    )


def _all_cores() -> Place:
    """It judges while others sample and train, on the same cores."""
    return Place(cores=tuple(core_groups(1)[0]))


def _placed(name: str, options: VllmServerOptions, gpus: list[str], processes: int) -> tuple[Place, list[str]]:
    """The last GPUs for a judge, and those that are left; shared with the stage where the recipe bounds its memory."""
    count = options.gpus_each
    if len(gpus) - count >= processes:
        return Place(gpus=tuple(gpus[-count:])), gpus[:-count]
    if options.bounds_memory and len(gpus) >= count:
        return Place(gpus=tuple(gpus[-count:])), gpus
    raise StageFailed(
        f"the judge {name} needs {count} GPU(s) beside the {processes} of hardware.processes, and {len(gpus)} are left; lower "
        f"hardware.processes, or write `gpu_memory_fraction` under judges.{name}.engine to share the last GPU with the stage"
    )
