"""A run under Slurm: an sbatch script that starts `alignment launch` on the first node and `alignment join` on the others.

Neighbours: several.py (without Slurm), first.py (how the nodes find each other: in the run directory).
"""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from alignment.core.errors import StageFailed
from alignment.core.files import write_text
from alignment.run.launcher import launcher_config
from alignment.run.machines.first import FOLDER
from alignment.run.plan import RunPlan


def submit(plan: RunPlan, nodes: int, console: Console) -> None:
    """Write the script into the run directory, and submit it where sbatch is. Raises StageFailed if Slurm refuses it."""
    plan.prepare()
    script = plan.run.path.absolute() / FOLDER / "slurm.sh"
    write_text(script, script_of(plan, nodes))
    sbatch = shutil.which("sbatch")
    if sbatch is None:
        console.print(f"there is no sbatch here; submit it where there is:\n  sbatch {script}", highlight=False)
        return
    done = subprocess.run([sbatch, str(script)], check=False, capture_output=True, text=True)
    if done.returncode:
        raise StageFailed(f"sbatch {script}: {done.stderr.strip() or done.stdout.strip()}")
    console.print(f"{done.stdout.strip()}  ({script})", highlight=False)


def script_of(plan: RunPlan, nodes: int) -> str:
    """The sbatch script. Lines of `#SBATCH` for a cluster's own partition or account can be added to it."""
    run, python, hardware = plan.run.path.absolute(), shlex.quote(sys.executable), plan.recipe.hardware
    each = hardware.processes // nodes
    gpus = [] if launcher_config(hardware).hides_gpus else [f"#SBATCH --gpus-per-node={each}"]
    recipe = shlex.quote(str(run / "recipe.yaml"))
    first = f"{python} -m alignment.cli launch {recipe} --run {shlex.quote(str(run))} --hosts $machines --ssh ''"
    other = f"{python} -m alignment.cli join {shlex.quote(str(run))} --machine $SLURM_NODEID"
    return "\n".join([
        "#!/bin/bash",
        f"# {plan.recipe.name} on {nodes} nodes with {each} processes each. Written by `alignment launch --slurm`; submitting it",
        "# again resumes the run. The first node runs `alignment launch`, the others `alignment join`.",
        f"#SBATCH --job-name={plan.recipe.name}",
        f"#SBATCH --nodes={nodes}",
        "#SBATCH --ntasks-per-node=1",
        *gpus,
        "#SBATCH --exclusive",
        f"#SBATCH --output={run / FOLDER}/slurm-%j.log",
        "set -euo pipefail",
        f"cd {shlex.quote(str(Path.cwd()))}",
        'export machines=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | paste -sd, -)',
        "# The launch waits for all nodes, and ends when the run does; so do the others.",
        "srun --kill-on-bad-exit=1 bash -c " + shlex.quote(f'if [ "$SLURM_NODEID" = 0 ]; then exec {first}; else exec {other}; fi'),
        "",
    ])  # fmt: skip
