"""The cells of the kill matrix: every training kind, whole weights and adapters, within and over several epochs.

Neighbours: kill_matrix.py (runs them), test_kill_everywhere.py (says which are ordinary and which are long).
"""

from dataclasses import dataclass, replace
from typing import Any

Fields = dict[str, Any]
NEW: Fields = {"rank": 4, "alpha": 8}
CONTINUE: Fields = {**NEW, "adapter": "continue"}
BEFORE: Fields = {
    "name": "before", "kind": "sft", "data": [{"source": "chats.jsonl"}], "max_length": 128, "packing": False, "lora": NEW,
    "trainer": {"max_steps": 3, "per_device_train_batch_size": 4, "learning_rate": 1.0e-2},
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """The stages of a recipe, of which the last is killed. steps: after which checkpoints; None: after each."""

    name: str
    stages: tuple[Fields, ...]
    steps: tuple[int, ...] | None = None
    sigkill: int | None = None  # after which checkpoint it is killed in earnest

    @property
    def stage(self) -> str:
        """The name of the stage that is killed."""
        return str(self.stages[-1]["name"])

    def resumes(self, step: int) -> bool:
        """Whether the run is resumed from the checkpoint of this step."""
        return self.steps is None or step in self.steps


def _sft(trainer: Fields | None = None, **fields: Any) -> Fields:
    """Ten rows in batches of three: four steps an epoch."""
    chosen = {"num_train_epochs": 1, "per_device_train_batch_size": 3, "learning_rate": 1.0e-2, **(trainer or {})}
    return {"name": "killed", "kind": "sft", "data": [{"source": "chats.jsonl"}], "max_length": 128, "packing": False,
            "save_every_steps": 1, "trainer": chosen, **fields}  # fmt: skip


def _dpo(trainer: Fields | None = None, **fields: Any) -> Fields:
    """Ten pairs in batches of three: four steps an epoch."""
    chosen = {"num_train_epochs": 1, "per_device_train_batch_size": 3, "learning_rate": 1.0e-2, **(trainer or {})}
    return {"name": "killed", "kind": "dpo", "data": [{"source": "pairs.jsonl"}], "max_length": 128,
            "save_every_steps": 1, "trainer": chosen, **fields}  # fmt: skip


def _grpo(beta: float = 0.0, trainer: Fields | None = None, rollout: Fields | None = None, **fields: Any) -> Fields:
    """Ten problems, three a step: three steps an epoch."""
    sampled = {"engine": "transformers", "generations": 4, "problems_per_step": 3, "max_prompt_tokens": 64,
               "max_completion_tokens": 24, **(rollout or {})}  # fmt: skip
    return {"name": "killed", "kind": "grpo", "data": [{"source": "problems.jsonl"}], "rollout": sampled,
            "rewards": [REWARD], "algorithm": {"type": "grpo", "beta": beta},
            "micro_batch": 6, "save_every_steps": 1,
            "trainer": {"max_steps": 7, "learning_rate": 1.0e-2, **(trainer or {})}, **fields}  # fmt: skip


REWARD: Fields = {"kind": "length", "form": "overlong", "max_tokens": 32, "cache_tokens": 32}  # differs within a group
SAMPLE: Fields = {
    "name": "killed", "kind": "sample", "data": [{"source": "problems.jsonl"}],
    "rollout": {"engine": "transformers", "generations": 4, "max_prompt_tokens": 64, "max_completion_tokens": 24},
    "rewards": [REWARD], "accept_score": -10.0,
}  # fmt: skip


STEP_LABELS: Fields = {
    **SAMPLE, "kind": "step_labels", "rewards": [{"kind": "repetition", "ngram_size": 1, "threshold": 0.0}], "steps": "line",
    "method": {"type": "monte_carlo", "completions": 2},
}  # fmt: skip
del STEP_LABELS["accept_score"]


def _prm(trainer: Fields | None = None, **fields: Any) -> Fields:
    """Ten solutions in batches of three: four steps an epoch, the head alone in the first half."""
    chosen = {"num_train_epochs": 1, "per_device_train_batch_size": 3, "learning_rate": 1.0e-2, **(trainer or {})}
    return {"name": "killed", "kind": "prm", "data": [{"source": "steps.jsonl"}], "max_length": 128,
            "save_every_steps": 1, "trainer": chosen, **fields}  # fmt: skip


def _distill(trainer: Fields | None = None, **fields: Any) -> Fields:
    """Ten problems, three a step, twice each: three steps an epoch. The teacher is the wider model beside the student."""
    sampled = {"engine": "transformers", "generations": 2, "problems_per_step": 3, "max_prompt_tokens": 64,
               "max_completion_tokens": 24}  # fmt: skip
    return {"name": "killed", "kind": "distill", "data": [{"source": "problems.jsonl"}], "rollout": sampled,
            "teacher": {"model": "teacher"}, "rewards": [REWARD], "micro_batch": 3, "save_every_steps": 1,
            "trainer": {"max_steps": 7, "learning_rate": 1.0e-2, **(trainer or {})}, **fields}  # fmt: skip


def _cells() -> list[Cell]:
    found = [Cell("sample", (SAMPLE,), sigkill=2), Cell("labels", (STEP_LABELS,), sigkill=2)]
    found += [Cell("prm-full-3", (_prm({"num_train_epochs": 3}),)), Cell("prm-new-1", (_prm(lora=NEW),))]
    found += [Cell("distill-full-3", (_distill(),)), Cell("distill-continue-3", (BEFORE, _distill(lora=CONTINUE)))]
    for word, lora in {"full": {}, "new": {"lora": NEW}, "continue": {"lora": CONTINUE}}.items():
        before = (BEFORE,) if word == "continue" else ()
        for epochs in (1, 3):
            many = {"num_train_epochs": epochs}
            found.append(Cell(f"sft-{word}-{epochs}", (*before, _sft(many, **lora))))
            found.append(Cell(f"dpo-{word}-{epochs}", (*before, _dpo(many, **lora))))
            for beta in (0.0, 0.1):
                steps = {"max_steps": 3 * epochs - 1}
                found.append(Cell(f"grpo-{word}-{epochs}-beta{beta:g}", (*before, _grpo(beta, steps, **lora))))
    uneven = {"max_steps": 6}  # ends within an epoch
    return [
        *found,
        Cell("sft-packed", (_sft({"max_steps": 6, "per_device_train_batch_size": 1}, packing=True),)),
        Cell("sft-accumulated", (_sft({**uneven, "gradient_accumulation_steps": 2, "per_device_train_batch_size": 2}),)),
        Cell("sft-dropout", (_sft(uneven, lora={**NEW, "dropout": 0.3}),)),
        Cell("sft-workers", (_sft({**uneven, "dataloader_num_workers": 1}),)),
        Cell("dpo-precomputed", (_dpo({**uneven, "precompute_ref_log_probs": True}),)),
        Cell("dpo-continue-precomputed", (BEFORE, _dpo({**uneven, "precompute_ref_log_probs": True}, lora=CONTINUE))),
        Cell("grpo-replaced", (_grpo(rollout={"dynamic_sampling": True}),)),
        Cell("grpo-in-order", (_grpo(trainer={"shuffle_dataset": False}),)),
        Cell("grpo-reused", (_grpo(algorithm={"type": "grpo", "iterations": 2}, save_every_steps=2,
                                   trainer={"max_steps": 8}),)),
    ]  # fmt: skip


CELLS = {cell.name: cell for cell in _cells()}


def cell_of(asked: str) -> Cell:
    """A cell by `NAME`, or `NAME@STEP,STEP` with the checkpoints that it is resumed from."""
    name, _, steps = asked.partition("@")
    return replace(CELLS[name], steps=tuple(map(int, steps.split(",")))) if steps else CELLS[name]
