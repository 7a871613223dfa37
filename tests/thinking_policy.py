"""A policy that thinks, made in seconds: the embedded model after a few steps of imitation in both modes.

Tests that need a thinker and not a good one take this in place of a recipe's stages. It has the form; what it computes
is often wrong. All processes of a test run have the same one, which the first that needs it trains.
"""

import fcntl
import itertools
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from alignment.core.resources import resource
from alignment.core.vocabulary import Mode
from alignment.data.chat.modes import with_flag
from alignment.data.chat.template import IGNORED, render_conversation
from alignment.data.mixture import as_conversation
from alignment.data.rows import Conversation
from alignment.data.sources.named import load_source
from alignment.data.sources.rows import source_problems

STEPS, ROWS = 60, 8
SHORT = {"min_terms": 2, "max_terms": 4, "min_digits": 1, "max_digits": 1}


def a_thinker(temporary: pytest.TempPathFactory) -> Path:
    """A folder of one's own with the policy and its tokenizer."""
    base = temporary.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "thinker"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            _in_a_stages_environment(shared.with_suffix(".new")).rename(shared)
    return shutil.copytree(shared, temporary.mktemp("thinker"), dirs_exist_ok=True)


def _in_a_stages_environment(folder: Path) -> Path:
    """Train it in a process with the environment of a stage, which is four times as fast."""
    command = [sys.executable, "-m", "alignment.run.processes", sys.executable, __file__, str(folder)]
    path = os.pathsep.join(filter(None, [str(resource("")), os.environ.get("PYTHONPATH")]))
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": path})
    return folder


def _train(folder: Path) -> None:
    torch.manual_seed(0)
    base = resource("data/base")
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).train()
    problems = source_problems(
        load_source("chain-sum"), seed=1, parameters=SHORT, path=None, splits=("cold_start",)
    )  # fmt: skip
    modes: itertools.cycle[Mode] = itertools.cycle(("thinking", "thinking", "non_thinking"))
    flagged = itertools.cycle((False, True))
    talks = [
        _flagged(as_conversation(problem, mode), flag)
        for problem, mode, flag in zip(itertools.islice(problems, STEPS * ROWS), modes, flagged, strict=False)
    ]
    rows = [render_conversation(tokenizer, talk) for talk in talks]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.5e-3)
    for step in range(STEPS):
        batch = rows[step * ROWS : (step + 1) * ROWS]
        longest = max(len(row.input_ids) for row in batch)
        ids_BT = torch.tensor([row.input_ids + [0] * (longest - len(row.input_ids)) for row in batch])
        labels_BT = torch.tensor([row.labels + [IGNORED] * (longest - len(row.labels)) for row in batch])
        model(input_ids=ids_BT, labels=labels_BT).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _flagged(talk: Conversation, flag: bool) -> Conversation:
    return replace(talk, messages=[*with_flag(talk.messages[:-1], talk.mode), talk.messages[-1]]) if flag else talk


if __name__ == "__main__":
    _train(Path(sys.argv[1]))
