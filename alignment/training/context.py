"""What every stage kind starts from: where it reads and writes, its policy and tokenizer, its trainer settings.

Neighbours: main.py makes the context and finishes the stage, policy.py loads and saves, callbacks.py records.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from alignment.core.errors import ArtifactError
from alignment.core.files import read_json, read_json_lines, write_json, write_json_lines
from alignment.core.resources import model_place
from alignment.data.sources.rows import LeftOut
from alignment.inference.sampler import Sampler
from alignment.inference.start import BESIDE_TRAINER, WHOLE_DEVICE, Serving, serve
from alignment.recipe.blocks.teacher import Teacher
from alignment.recipe.kinds import kind_of
from alignment.recipe.learning_rate import default_learning_rate
from alignment.recipe.schema import Recipe
from alignment.records.adapter import base_of
from alignment.records.run_folder import RunFolder, StageFolder
from alignment.rollout.sampler import TrajectorySampler
from alignment.training.launched import is_deepspeed, is_fsdp, reduce_by_gloo
from alignment.training.sharded import shard_on_cpu

SEAL = "sealed.json"
LEFT_OUT_SHOWN = 20  # rows in the log


@dataclass(frozen=True)
class StageContext:
    """One stage about to run in this process (one of `processes` ranks)."""

    recipe: Recipe
    stage: Any  # the stage's own class from schema.py; each kind's run() names it
    run: RunFolder
    folder: StageFolder
    policy_path: str  # what the stage starts from: a folder with safetensors, or a hub id
    rank: int = 0
    processes: int = 1
    counts: dict[str, Any] = field(default_factory=dict)  # rows seen and left out; goes into the manifest
    at_end: ExitStack = field(default_factory=ExitStack)  # what to close when training ends, however it does

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, which writes files."""
        return self.rank == 0

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer of the policy that the stage starts from."""
        return AutoTokenizer.from_pretrained(self.policy_path, trust_remote_code=self.recipe.trust_remote_code)

    def sampler(self, adapter: Any = None) -> Sampler:
        """This stage's policy in an engine beside the trainer; for stages that have a `rollout` block.

        adapter: PEFT's settings of the trained adapter, if its weights alone will be sent, to an engine with its base.
        """
        rollout, trains = self.stage.rollout, kind_of(self.stage).trains
        continued = adapter is not None and self.stage.lora.adapter == "continue"
        serving = Serving(
            engine=rollout.engine,
            max_prompt_tokens=rollout.max_prompt_tokens,
            max_completion_tokens=rollout.max_completion_tokens,
            stop_text=rollout.thinking_budget.stop_text,
            gpu_memory_fraction=BESIDE_TRAINER if trains else WHOLE_DEVICE,
            every_device=not trains,
            trust_remote_code=self.recipe.trust_remote_code,
            weights_change=trains,
            adapter=adapter,
            base=base_of(Path(self.policy_path)) if continued else None,
        )
        return serve(self.policy_path, serving, self.processes)

    def trajectory_sampler(self, adapter: Any = None) -> TrajectorySampler:
        """This stage's policy in its environment; the engine is `sampler()`'s."""
        rollout = self.stage.rollout
        return TrajectorySampler(self.sampler(adapter), rollout.environment, rollout.max_completion_tokens)

    def artifact(self, stage_name: str) -> Path:
        """The output folder of an earlier stage."""
        return self.run.find(stage_name).output

    def teacher_path(self) -> str:
        """The folder or hub id of the stage's teacher; for stages that have a `teacher` block."""
        chosen: Teacher = self.stage.teacher
        if chosen.stage is not None:
            return str(self.artifact(chosen.stage))
        return model_place(str(chosen.model))

    def leave_out(self, rows: Sequence[LeftOut]) -> None:
        """Count rows that cannot be used, and name the first of them in the log."""
        self.counts["left_out_faulty"] = self.counts.get("left_out_faulty", 0) + len(rows)
        if rows and self.is_main:
            print(f"{self.stage.name}: {len(rows)} rows cannot be used and are left out", flush=True)
            for one in rows[:LEFT_OUT_SHOWN]:
                print(f"  {one}", flush=True)

    def trainer_settings(self) -> dict[str, Any]:
        """What every TRL config gets; the recipe's `trainer:` keys come on top."""
        on_gpu = torch.cuda.is_available()
        if is_deepspeed() and not on_gpu:
            reduce_by_gloo()
        return {
            "output_dir": str(self.folder.checkpoints),
            "seed": self.recipe.seed,
            "data_seed": self.recipe.seed,
            "report_to": self.recipe.report_to or "none",
            "project": self.recipe.name,
            "run_name": f"{self.run.path.name}/{self.stage.name}",
            "save_strategy": "steps",
            "save_steps": self.stage.save_every_steps,
            "save_total_limit": 2,
            "logging_steps": 1,
            "logging_nan_inf_filter": False,  # it would write the mean of earlier losses in place of NaN
            "disable_tqdm": True,
            "remove_unused_columns": False,
            "trust_remote_code": self.recipe.trust_remote_code,
            "use_cpu": not on_gpu,
            "bf16": on_gpu,
            "ddp_timeout": round(60 * self.recipe.hardware.timeout_minutes),
            "gradient_checkpointing": on_gpu,  # on a CPU memory is not what is short
            **({"accelerator_config": shard_on_cpu()} if is_fsdp() and not on_gpu else {}),
            "dataloader_pin_memory": on_gpu,
            **({} if (rate := default_learning_rate(self.stage)) is None else {"learning_rate": rate}),
            **self.stage.trainer,
        }

    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint that training can resume from; one cut short by a kill is passed over."""
        found = [path for path in self.folder.checkpoints.glob("checkpoint-*") if is_sealed(path)]
        return max((path for path in found if not ends_within_epoch(path)), key=step_of, default=None)

    def drop_lines_after(self, step: int) -> None:
        """Cut metrics and rollouts back to the step that training goes on from, so that no step stands twice."""
        for path in (self.folder.metrics, self.folder.rollouts):
            if path.exists():
                write_json_lines(path, [line for line in read_json_lines(path) if line["step"] <= step])


def seal(checkpoint: Path) -> None:
    """Mark a checkpoint as whole by listing its files and their sizes; written last."""
    sizes = {str(path.relative_to(checkpoint)): path.stat().st_size for path in checkpoint.rglob("*") if path.is_file()}
    write_json(checkpoint / SEAL, sizes)


def is_sealed(checkpoint: Path) -> bool:
    """Whether every file that the seal lists is there with its size."""
    try:
        sizes = read_json(checkpoint / SEAL)
    except ArtifactError:
        return False
    return all(
        (checkpoint / name).is_file() and (checkpoint / name).stat().st_size == size for name, size in sizes.items()
    )


def ends_within_epoch(checkpoint: Path) -> bool:
    """Whether a checkpoint is of the last step, and that is within an epoch: transformers would take one step more."""
    state = read_json(checkpoint / "trainer_state.json")
    epoch = float(state["epoch"] or 0.0)
    return state["global_step"] >= state["max_steps"] and abs(epoch - round(epoch)) > 1e-6


def step_of(checkpoint: Path) -> int:
    """The optimizer step at which a checkpoint was written."""
    return int(checkpoint.name.rsplit("-", 1)[1])
