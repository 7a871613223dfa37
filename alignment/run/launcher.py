"""What a launcher config says: where processes run, how many there are, and how weights are sharded over them.

Read from the file's contents, so that a config of your own means what it says, whatever it is called. Neighbours:
processes.py (starts by it), checks/plan.py (estimates memory by it), recipes/accelerate/ (the configs that ship).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from alignment.core.errors import RecipeError
from alignment.core.machine import visible_gpus
from alignment.core.resources import resource
from alignment.recipe.blocks.hardware import Hardware

ZERO3 = 3  # of DeepSpeed's stages
LAUNCHER = "accelerate.commands.launch"  # the module that starts ranks by such a config


@dataclass(frozen=True)
class LauncherConfig:
    """An accelerate config, as far as the toolkit has to know it."""

    path: Path
    distributed_type: str = "NO"  # accelerate's name: NO, MULTI_GPU, MULTI_CPU, DEEPSPEED, FSDP
    use_cpu: bool = False
    gpu_ids: str = "all"  # empty: none is visible
    num_machines: int = 1
    num_processes: int = 1
    zero_stage: int = 0  # of DeepSpeed; 0 without it
    fsdp_version: int = 0  # of PyTorch's FSDP; 0 without it
    keeps_gathered: bool = False  # FSDP leaves weights whole between forward and backward pass
    loads_on_first: bool = False  # FSDP has the first process load weights, and send them to the others

    @classmethod
    def read(cls, path: Path) -> "LauncherConfig":
        """Raises RecipeError for a file that is no accelerate config."""
        try:
            found = yaml.safe_load(path.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError("it is not a mapping")
            return cls(
                path=path,
                distributed_type=str(found.get("distributed_type") or "NO").upper(),
                use_cpu=bool(found.get("use_cpu", False)),
                gpu_ids=str(found["gpu_ids"]) if found.get("gpu_ids") is not None else "all",
                num_machines=int(found.get("num_machines") or 1),
                num_processes=int(found.get("num_processes") or 1),
                zero_stage=_zero_stage(found),
                **_fsdp(found),
            )
        except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
            fault = " ".join(str(error).split())
            raise RecipeError(
                f"hardware.accelerate: {path} is not a launcher config ({fault}); make one with `accelerate config`"
            ) from error

    @property
    def hides_gpus(self) -> bool:
        """Whether processes compute on a CPU even if there are GPUs."""
        return self.use_cpu or self.gpu_ids == ""

    @property
    def several_machines(self) -> bool:
        """Whether the processes run on more than one machine."""
        return self.num_machines > 1

    @property
    def is_zero3(self) -> bool:
        """Whether DeepSpeed holds weights, gradients and optimizer in shards."""
        return self.zero_stage == ZERO3

    @property
    def shards_weights(self) -> bool:
        """Whether each process holds a part of the weights (ZeRO-3, FSDP)."""
        return self.is_zero3 or self.fsdp_version > 0

    @property
    def shards_optimizer(self) -> bool:
        """Whether each process holds a part of the optimizer's state (any ZeRO stage, FSDP)."""
        return self.zero_stage > 0 or self.fsdp_version > 0

    @property
    def sharding(self) -> str:
        """In which form processes hold a training state, as a message names it; checkpoints have the same form."""
        return (
            f"ZeRO-{self.zero_stage}" if self.zero_stage else f"FSDP{self.fsdp_version}" if self.fsdp_version else "DDP"
        )

    @property
    def starts_several(self) -> bool:
        """Whether accelerate starts more than one process of a machine by it; without a type for that, it starts one."""
        return self.distributed_type not in ("NO", "MULTI_CPU")


@dataclass(frozen=True)
class Placement:
    """A machine among those of a run: its number from 0, how many there are, and where the first one's ranks are met."""

    machine: int
    machines: int
    address: str
    port: int

    def flags(self, config: LauncherConfig) -> list[str]:
        """What accelerate's launcher is given of it."""
        found = ["--num_machines", self.machines, "--machine_rank", self.machine, "--main_process_ip", self.address,
                 "--main_process_port", self.port, "--rdzv_backend", "static", "--same_network"]  # fmt: skip
        if config.zero_stage:  # each machine starts its own ranks; DeepSpeed's own launcher would want a list of hosts
            found += ["--deepspeed_multinode_launcher", "standard"]
        return [str(one) for one in found]


def launcher_config(hardware: Hardware) -> LauncherConfig:
    """The launcher config that a recipe names; auto is `gpu` on a machine with one, else `cpu`. Raises RecipeError."""
    name = hardware.accelerate
    if name == "auto":
        name = "gpu" if visible_gpus() else "cpu"
    named = resource("recipes/accelerate") / f"{name}.yaml"
    for path in (named, Path(name)):
        if path.is_file():
            return LauncherConfig.read(path)
    known = ", ".join(sorted(path.stem for path in named.parent.glob("*.yaml")))
    raise RecipeError(
        f"hardware.accelerate: there is no launcher config `{name}`; write a path or one of: auto, {known}"
    )


def _zero_stage(found: dict[str, Any]) -> int:
    """DeepSpeed's stage, from the config itself; accelerate's own default is 2."""
    if str(found.get("distributed_type")).upper() != "DEEPSPEED":
        return 0
    return int((found.get("deepspeed_config") or {}).get("zero_stage", 2))


def _fsdp(found: dict[str, Any]) -> dict[str, Any]:
    """FSDP's settings, from the config itself; accelerate's own default is version 1."""
    if str(found.get("distributed_type")).upper() != "FSDP":
        return {}
    given = {str(key).removeprefix("fsdp_"): value for key, value in (found.get("fsdp_config") or {}).items()}
    return {
        "fsdp_version": int(given.get("version", 1)),
        "keeps_gathered": given.get("reshard_after_forward") is False,
        "loads_on_first": bool(given.get("cpu_ram_efficient_loading", True)),
    }
