"""What is said about a step is what it computed, and every rank of a resumed stage is told its epoch."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from accelerate import skip_first_batches
from accelerate.data_loader import SeedableRandomSampler, prepare_data_loader
from torch.utils.data import DataLoader
from transformers import TrainerControl, TrainerState, TrainingArguments

from alignment.records.run_folder import StageFolder
from alignment.training.callbacks import EpochOrder, Recorder


def arguments(folder: Path) -> TrainingArguments:
    return TrainingArguments(str(folder), use_cpu=True)


def test_a_loss_that_is_not_a_number_is_null_and_is_counted(tmp_path: Path) -> None:
    context: Any = SimpleNamespace(folder=StageFolder(tmp_path), is_main=True, stage=SimpleNamespace(name="cold_start"))
    recorder, state, control = Recorder(context), TrainerState(max_steps=1), TrainerControl()
    recorder.on_train_begin(arguments(tmp_path), state, control)
    recorder.on_log(arguments(tmp_path), state, control, {"loss": float("nan"), "grad_norm": float("inf")})
    (line,) = StageFolder(tmp_path).metrics.read_text(encoding="utf-8").splitlines()
    found = json.loads(line)
    assert found["loss"] is None and found["gradient_norm"] is None and found["not_finite"] == 2.0
    assert "NaN" not in line


def test_a_rank_that_resumes_in_the_second_epoch_takes_its_order(tmp_path: Path) -> None:
    def ordered(epoch: int, skipped: int) -> list[int]:
        sampler = SeedableRandomSampler(range(8), data_seed=3, generator=torch.Generator())
        loader = prepare_data_loader(DataLoader(range(8), sampler=sampler), num_processes=2, process_index=1)
        resumed, state = skip_first_batches(loader, skipped), TrainerState()
        state.epoch = epoch + skipped / 4
        EpochOrder().on_epoch_begin(arguments(tmp_path), state, TrainerControl(), train_dataloader=loader)
        return [int(batch[0]) for batch in resumed]

    assert ordered(1, 2) == ordered(1, 0)[2:]
    assert ordered(1, 0) != ordered(0, 0)
