"""Runs stages whole, keeps their run as it stands whenever a checkpoint is sealed, and runs each copy to its end.

    python kill_matrix.py FOLDER CELL...

CELL is a name of kill_cells.py, of which `NAME@4,8` resumes after the checkpoints of steps 4 and 8 alone. A copy made at a seal is what a SIGKILL at that moment leaves on disk; with `sigkill` a cell's stage is killed in earnest.
Every run is a forked child, so that torch and TRL are imported once. Prints one JSON object: what each cell came to.
Neighbour: test_kill_everywhere.py (asks for cells and compares).
"""

import gc
import importlib.util
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from alignment.core.entry import OBJECTS_BETWEEN_COLLECTIONS
from alignment.core.resources import resource
from alignment.records.run_folder import RunFolder
from alignment.run.plan import RunPlan
from training.kill_cells import Cell, cell_of

STAGES = tuple(
    f"alignment.training.stages.{kind}" for kind in ("sft", "dpo", "grpo", "sample", "prm", "step_labels", "distill")
)
TIMED = ("seconds", "tokens_per_second")  # begin the names of figures that differ from run to run


def main(folder: Path, names: list[str]) -> None:
    """Work through the cells in order; what several need is made once."""
    _import_everything()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    gc.freeze()  # no child goes through what is imported, three times a stage
    _write_inputs(folder)
    print(json.dumps({name.partition("@")[0]: _measure(folder, cell_of(name)) for name in names}))


def _measure(folder: Path, cell: Cell) -> dict[str, Any]:
    whole, copies = folder / cell.name / "whole", folder / cell.name
    path = _recipe(folder, cell)
    earlier = [stage["name"] for stage in cell.stages[:-1]]
    if earlier:
        prepared = folder / f"prepared-{'-'.join(earlier)}"
        for name in earlier if not prepared.exists() else ():
            _child(lambda name=name: _run(path, name, prepared))
        shutil.copytree(prepared, whole)
    _child(lambda: _run(path, cell.stage, whole, on_seal=lambda step: _copy(whole, copies / f"killed-{step}")))
    found: dict[str, Any] = {"whole": _result(whole, cell.stage), "killed": {}}
    killed = sorted(copies.glob("killed-*"), key=lambda one: int(one.name.rpartition("-")[2]))
    for copy in [one for one in killed if cell.resumes(int(one.name.rpartition("-")[2]))]:
        _child(lambda copy=copy: _run(path, cell.stage, copy))
        found["killed"][copy.name.rpartition("-")[2]] = _result(copy, cell.stage)
    if cell.sigkill is not None:
        dead = copies / "dead"
        if earlier:
            shutil.copytree(folder / f"prepared-{'-'.join(earlier)}", dead)
        _child(lambda: _run(path, cell.stage, dead, on_seal=_killer(cell.sigkill)), expected=-signal.SIGKILL)
        _child(lambda: _run(path, cell.stage, dead))
        found["killed"][f"SIGKILL {cell.sigkill}"] = _result(dead, cell.stage)
    return found


def _run(recipe: Path, stage: str, run: Path, on_seal: Callable[[int], None] | None = None) -> None:
    """A stage to its manifest, as its process runs it. on_seal gets the step of each checkpoint once it is sealed."""
    from alignment.run import stage as entry
    from alignment.training import callbacks
    from alignment.training.context import step_of
    from alignment.training.stages import sample, step_labels

    sample.CHUNK = step_labels.CHUNK = 4
    if on_seal is not None:
        seal = callbacks.seal

        def sealed(checkpoint: Path) -> None:
            seal(checkpoint)
            on_seal(step_of(checkpoint))

        def sealing(chunk: Callable[[Any, Any, int, Path], None]) -> Callable[[Any, Any, int, Path], None]:
            def drawn(self: Any, problems: Any, number: int, path: Path) -> None:
                chunk(self, problems, number, path)
                on_seal(number + 1)

            return drawn

        callbacks.seal, sample._Draw.chunk = sealed, sealing(sample._Draw.chunk)
        step_labels._Stage.chunk = sealing(step_labels._Stage.chunk)
    entry._run(RunPlan.load(recipe, [], run), stage, time.monotonic())


def _copy(run: Path, target: Path) -> None:
    shutil.copytree(run, target, ignore=shutil.ignore_patterns(".lock"))


def _killer(step: int) -> Callable[[int], None]:
    return lambda sealed: os.kill(os.getpid(), signal.SIGKILL) if sealed == step else None


def _result(run: Path, stage: str) -> dict[str, Any]:
    """The hash of what a stage left, and its lines without times."""
    folder = RunFolder(run).find(stage)
    manifest = folder.manifest()
    timed = (*TIMED, "engine")  # no engine where nothing was left
    counts = {name: value for name, value in manifest.counts.items() if not name.startswith(timed)}
    lines = [
        {key: value for key, value in line.items() if not key.startswith(TIMED)} for line in _lines(folder.metrics)
    ]
    return {"hash": manifest.output_hash, "steps": manifest.steps, "metrics": lines, "rollouts": _lines(folder.rollouts),
            "counts": counts}  # fmt: skip


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line] if path.exists() else []


def _child(work: Callable[[], None], expected: int = 0) -> None:
    """Work in a forked child, its output on stderr. Raises RuntimeError if it ends otherwise than expected."""
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        os.dup2(2, 1)
        status = 1
        try:
            work()
            status = 0
        finally:  # a child must never go on as its parent
            if status:
                traceback.print_exc()
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if status != expected:
        raise RuntimeError(f"a stage ended with {status}, expected {expected}")


def _import_everything() -> None:
    """Everything that a stage imports, without computing anything: threads must not exist before a fork."""
    for name in ("torch", "deepspeed", "alignment.inference.transformers.engine", "alignment.run.stage", *STAGES):
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)


def _recipe(folder: Path, cell: Cell) -> Path:
    path = folder / f"{cell.name}.yaml"
    recipe = {"name": "cell", "model": str(folder / "model"), "seed": 5, "stages": list(cell.stages)}
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


def _write_inputs(folder: Path) -> None:
    """A model of 30,000 parameters that hardly knows how to answer, and a file of rows for each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    _child(lambda: _write_model(folder / "model"))
    _child(lambda: _write_model(folder / "teacher", hidden_size=48))
    chats = [_chat(number) for number in range(10)]
    pairs = [
        {"prompt": [_said("user", f"{n} + 3 =")], "chosen": [_said("assistant", f"{n + 3}")],
         "rejected": [_said("assistant", f"no {n}")]} for n in range(10)
    ]  # fmt: skip
    problems = [{"problem": f"{n} + 3 =", "answer": f"{n + 3}"} for n in range(10)]
    steps = [
        {"prompt": [_said("user", f"{n} + 3 =")], "steps": [f"{n} + 3 = {n + 3 + n % 2}", f"{n + 3}"],
         "labels": [1.0 - n % 2, None if n % 2 else 1.0]} for n in range(10)
    ]  # fmt: skip
    rows = {"steps": steps, "chats": [{"messages": one} for one in chats], "pairs": pairs, "problems": problems}
    for name, values in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in values), encoding="utf-8")


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _write_model(target: Path, **others: int) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    base = resource("data/base")
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
             "head_dim": 16, "intermediate_size": 48, "layer_types": ["full_attention"] * 2, **others}  # fmt: skip
    config = AutoConfig.from_pretrained(base, **shape)
    model, tokenizer = (
        AutoModelForCausalLM.from_config(config, dtype=torch.float32),
        AutoTokenizer.from_pretrained(base),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(40):
        text = tokenizer.apply_chat_template(_chat(step % 10), tokenize=False)
        ids_1T = torch.tensor([tokenizer(text)["input_ids"]])
        model(input_ids=ids_1T, labels=ids_1T).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _chat(number: int) -> list[dict[str, str]]:
    return [_said("user", f"{number} + 3 ="), _said("assistant", f"<think>\n{number}\n</think>\n\n{number + 3}")]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
