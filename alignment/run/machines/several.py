"""Starting a run on several machines: what can be divided among them, and how the others are asked to join.

Neighbours: first.py (what they say to each other), slurm.py (where Slurm starts them), commands/launch.py.
"""

import contextlib
import subprocess
from collections.abc import Iterator, Sequence

from rich.console import Console

from alignment.core.errors import OptionError
from alignment.core.process import die_with_parent
from alignment.recipe.schema import Recipe
from alignment.run.judges.places import ON_ONE_MACHINE
from alignment.run.launcher import launcher_config
from alignment.run.machines.first import FOLDER, Machines, join_line


def refuse_hosts(recipe: Recipe, count: int) -> None:
    """Raise OptionError if a recipe cannot run on so many machines: its processes cannot be divided, or it serves judges."""
    hardware = recipe.hardware
    config = launcher_config(hardware)
    if hardware.processes % count:
        raise OptionError(
            f"hardware.processes: {hardware.processes} over all machines cannot be divided among {count}; write a multiple, such as "
            f"{count * max(1, round(hardware.processes / count))}"
        )
    if recipe.judges:
        raise OptionError(f"judges: {', '.join(recipe.judges)} would be {ON_ONE_MACHINE}")
    if config.several_machines and config.num_machines != count:
        raise OptionError(
            f"hardware.accelerate: {config.path.name} is for {config.num_machines} machines (num_machines), and this asks for "
            f"{count}; change one of them"
        )


@contextlib.contextmanager
def asked(machines: Machines, ssh: Sequence[str], console: Console) -> Iterator[None]:
    """Ask the other machines to join, by ssh or by what is printed; the connections are ended on the way out."""
    with contextlib.ExitStack() as lines:
        for machine in machines.others:
            line, name = join_line(machines.run, machine), machines.names[machine]
            if not ssh:
                console.print(f"on {name}, type:\n  {line}", highlight=False, markup=False, soft_wrap=True)
                continue
            console.print(f"machine {machine}: asked by {' '.join([*ssh, name])}", highlight=False, markup=False)
            log = machines.run / FOLDER / f"{machine}-ssh.log"
            output = lines.enter_context(log.open("wb"))
            process = subprocess.Popen(
                [*ssh, name, line],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,  # noqa: PLW1509  nothing here holds a lock that a fork could copy
            )
            lines.callback(_ended, process)
        yield


def _ended(process: "subprocess.Popen[bytes]") -> None:
    """End a connection; the machine behind it sees in the run directory that the run is over."""
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
