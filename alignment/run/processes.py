"""Starts the processes of stages and evaluations with the environment they need, and ends the whole process tree.

The environment sets the allocator and OpenMP library that a CPU run preloads (vLLM is 8 times faster with them),
threads per process, telemetry off, hub off if nothing has to be downloaded, and vLLM's cache. Neighbours: runner.py
(starts them), watch.py (shows their progress).
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from alignment.core.entry import reported_in
from alignment.core.errors import StageFailed
from alignment.core.machine import cores, others_running, visible_gpus
from alignment.core.process import die_with_parent
from alignment.core.progress import PROGRESS_FILE
from alignment.recipe.blocks.hardware import Hardware
from alignment.records.attempt import Outcome
from alignment.run.launcher import LAUNCHER, Placement, launcher_config

GRACE_SECONDS = 10.0
BUSY = 0.25  # threads of other processes for each core, above which a machine does other work
SMALL_BYTES = 20_000_000  # of weights, up to which a product of matrices takes no longer than waking a thread
LOG_LINES_SHOWN = 25
_TCMALLOC = ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4")
_LIBRARY_FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")


@dataclass(frozen=True)
class Ended:
    """How a process ended: exit status (negative: the signal that killed it), and wall time in seconds."""

    exit_status: int
    interrupted: bool
    seconds: float

    @property
    def outcome(self) -> Outcome:
        """One word: interrupted, finished, killed or failed."""
        if self.interrupted:
            return "interrupted"
        return "finished" if self.exit_status == 0 else "killed" if self.exit_status < 0 else "failed"


def preloads() -> tuple[list[str], list[str]]:
    """(paths of the libraries that a CPU run preloads, names of the missing ones)."""
    found: list[str] = []
    missing: list[str] = []
    openmp = Path(sys.prefix) / "lib" / "libiomp5.so"
    (found if openmp.exists() else missing).append(str(openmp) if openmp.exists() else "libiomp5")
    bundled = [str(path) for path in Path(sys.prefix).glob("lib/python*/site-packages/vllm/libs/libtcmalloc*.so*")]
    system = [f"{folder}/{name}" for folder in _LIBRARY_FOLDERS for name in _TCMALLOC if Path(folder, name).exists()]
    if bundled or system:
        found.append((bundled + system)[0])
    else:
        missing.append("libtcmalloc")
    return found, missing


def environment(
    hardware: Hardware, *, offline: bool, place: Placement | None = None, large: bool = False
) -> dict[str, str]:
    """The environment of a stage's or an evaluation's process; what the user has set already wins.

    But a launcher config for CPUs hides the GPUs whatever is set outside, so that training and engines agree on the
    device. place: of this machine among several, whose ranks then talk through the network interface that faces the first.
    large: whether the model is known to be no tiny one.
    """
    hidden = launcher_config(hardware).hides_gpus
    on_cpu = hidden or not visible_gpus()
    wanted = {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "TRL_EXPERIMENTAL_SILENCE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        # Warnings of imported modules are not about this run; errors are still shown.
        "PYTHONWARNINGS": "ignore::SyntaxWarning,ignore::FutureWarning,ignore::DeprecationWarning",
    }
    if offline:
        wanted |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    if on_cpu:
        wanted |= {
            "OMP_NUM_THREADS": str(max(1, cores() * (place.machines if place else 1) // hardware.processes)),
            # Unasked, Intel's OpenMP binds each thread of a fork to one core, the main threads of all forks to the first.
            "OMP_PROC_BIND": "false",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            # The engine runs eagerly on a CPU. vLLM would still compile a part of its sampler, which needs a C++ compiler
            # and, uncached, most of a minute.
            "TORCHDYNAMO_DISABLE": "1",
            "LD_PRELOAD": ":".join(preloads()[0]),
            **waiting_threads(0.0 if large else others_running(), large=large),
        }
    if place is not None:
        wanted |= interfaces(hardware, place)
    # accelerate numbers the CPU of each rank, and torch knows no `cpu:0` when a checkpoint's optimizer is read.
    no_gpu = {"CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu", "ACCELERATE_TORCH_DEVICE": "cpu"} if on_cpu else {}
    return {**wanted, **os.environ, **no_gpu}


def waiting_threads(others: float, *, large: bool = False) -> dict[str, str]:
    """What OpenMP's threads do while they wait for each other. others: threads of other processes that compute now.

    They spin, which is a third faster for a small model on a machine with nothing else to do. Beside other work, those that
    compute then wait for those that spin: three times as slow, at times ten. There they sleep; so they do for a model whose
    matrices take longer than a thread takes to wake up, since its hours may meet other work later.
    """
    return {"OMP_WAIT_POLICY": "PASSIVE"} if others > BUSY * cores() or large else {}


def interfaces(hardware: Hardware, place: Placement) -> dict[str, str]:
    """The network interface that the ranks of several machines talk through.

    gloo, which also carries what ranks agree on before NCCL, takes the address of the machine's own name, which is often
    127.0.0.1. So it gets the interface that the first machine is reached by. NCCL finds its own unless the recipe names one.
    """
    named = hardware.interface
    if named is None and "GLOO_SOCKET_IFNAME" in os.environ:
        return {}
    found = {"GLOO_SOCKET_IFNAME": named or facing(place.address)}
    return {**found, "NCCL_SOCKET_IFNAME": named} if named else found


def facing(address: str) -> str:
    """The network interface by which this machine reaches an address. Raises StageFailed if there is none."""
    import psutil  # comes with accelerate

    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.connect((address, 9))  # sends nothing
            own = line.getsockname()[0]
    except OSError as error:
        raise StageFailed(
            f"this machine does not reach the first one at {address} ({error.strerror or error})"
        ) from error
    named = (name for name, held in psutil.net_if_addrs().items() if any(one.address == own for one in held))
    found = None if own.startswith("127.") and not address.startswith("127.") else next(named, None)
    if found is None:
        raise StageFailed(
            f"`{address}` is {own} on this machine, where the ranks of other machines do not reach it; write the first machine's "
            "address under --hosts in place of its name, or `interface` under hardware"
        )
    return found


def training_command(hardware: Hardware, arguments: Sequence[str], place: Placement | None = None) -> list[str]:
    """`accelerate launch ... -m alignment.run.stage ARGUMENTS`, for the ranks of this machine."""
    config = launcher_config(hardware)
    launcher = [sys.executable, "-m", LAUNCHER, "--config_file", str(config.path)]
    # Runs side by side on one machine would meet at accelerate's own port.
    launcher += place.flags(config) if place is not None else ["--main_process_port", "0"]
    # --quiet: no traceback of the launcher after a process's own error message.
    processes = ["--quiet", "--num_processes", str(hardware.processes)]
    return [*launcher, *processes, "-m", "alignment.run.stage", *arguments]


class Started(Protocol):
    """A process that was started, the leader of a session of its own: the part of `subprocess.Popen` that is used."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    def poll(self) -> int | None:
        """Its exit status, negative for the signal that killed it; None while it runs."""
        ...


Start = Callable[[Sequence[str], dict[str, str], Path], Started]  # (command, environment, log that output is added to)


def new_interpreter(command: Sequence[str], env: dict[str, str], log: Path) -> Started:
    """Start a command as a process that ends with this one."""
    with log.open("ab") as output:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509  nothing here holds a lock that a fork could copy
        )


def run(
    command: Sequence[str],
    *,
    log: Path,
    progress: Path,
    env: dict[str, str],
    on_tick: Callable[[], None],
    start: Start = new_interpreter,
) -> Ended:
    """Run a command to its end with its output in a log; on Ctrl-C or SIGTERM, end its whole process tree.

    on_tick is called about five times a second, to show progress. The tree ends with this process even if that is killed,
    so that a resumed run never meets a process of the run before.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    previous = signal.signal(signal.SIGTERM, _raise_interrupt)
    try:
        process = start(command, {**env, PROGRESS_FILE: str(progress)}, log)
        interrupted = False
        try:
            while process.poll() is None:
                on_tick()
                time.sleep(0.2)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            end_tree(process)  # also its children, if it has ended
    finally:
        signal.signal(signal.SIGTERM, previous)
    on_tick()
    return Ended(process.poll() or 0, interrupted, time.monotonic() - began)  # it has ended, or end_tree had raised


def end_of_log(log: Path) -> str:
    """A failed process's own error message, else the last lines of its log."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return reported_in(text) or "\n".join(text.splitlines()[-LOG_LINES_SHOWN:])


def end_tree(process: Started) -> None:
    """Send SIGTERM to a process group, and SIGKILL after GRACE_SECONDS. Raises StageFailed if the process survives."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            return
        until = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < until and _group_lives(process):
            time.sleep(0.05)
    if process.poll() is None:
        raise StageFailed(
            f"process {process.pid} does not end even when killed; it may be waiting for a device or a disk"
        )


def _group_lives(process: Started) -> bool:
    process.poll()  # reaps the leader, which would otherwise count as living
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def _raise_interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # `python -m alignment.run.processes COMMAND ...`: run any command in the environment of a stage's process.
    os.execvpe(sys.argv[1], sys.argv[1:], environment(Hardware(), offline=False))  # noqa: S606  no shell is meant
