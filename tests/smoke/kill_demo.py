"""Kills a run at random moments, again and again, and compares its end with a run that was left alone.

    python tests/smoke/kill_demo.py runs/tiny-thinking --kills 20

Takes a run that was finished on as many cores, makes the same recipe anew in another directory under SIGKILLs, and reports: whether every stage
ended with the same weights, whether the figures are the same, and whether anything that was finished was made again. As
long as the recipe takes, and the kills on top; not a part of `make test`, whose test_resume.py does it once on a small
recipe.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from alignment.core.files import read_json
from alignment.core.machine import cores
from alignment.records.run_folder import RunFolder


def main(
    finished: Annotated[Path, typer.Argument(help="A finished run to compare with.")],
    kills: Annotated[int, typer.Option(help="How often it is killed.")] = 20,
    longest_seconds: Annotated[float, typer.Option(help="The longest time between a start and its kill.")] = 60,
    seed: Annotated[int, typer.Option(help="Seed of the moments.")] = 0,
) -> None:
    """Exit status 0 only if the end is the same and nothing finished was touched."""
    reference, moments, problems = RunFolder.open(finished), random.Random(seed), []
    made_on = {read_json(path)["hardware"]["cores"] for path in finished.glob("[0-9]*/manifest.json")}
    if made_on != {
        cores()
    }:  # sums of floats are parted among the threads: other cores, other last digits, other samples
        raise SystemExit(
            f"{finished} was made on {made_on} cores and this process may use {cores()}: make it anew here"
        )
    run = Path(tempfile.mkdtemp(prefix="killed-")) / "run"
    command = [str(Path(sys.executable).with_name("alignment")), "run", str(reference.recipe), "--run", str(run)]
    kept: dict[Path, tuple[int, int]] = {}
    done = 0
    while done < kills:
        wait = moments.uniform(1.0, longest_seconds)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        try:
            status = process.wait(timeout=wait)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            done += 1
        else:
            problems.append(f"the run ended by itself with {status} after {done} of {kills} kills")
            break
        time.sleep(0.5)  # the tree follows its parent within moments
        left = _processes_of(run)
        if left:
            problems.append(f"kill {done}: {len(left)} processes outlived it: {left}")
        problems += [f"kill {done}: {path} was made again" for path, mark in kept.items() if _mark(path) != mark]
        kept |= {path: _mark(path) for path in _finished_files(run)}
        print(f"kill {done} after {wait:.1f} s: {len(kept)} finished files", flush=True)
    last = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if last.returncode:
        problems.append(f"the last run ended with {last.returncode}: {last.stderr[-500:]}")
    else:
        problems += [f"{path} was made again in the end" for path, mark in kept.items() if _mark(path) != mark]
        problems += _differences(reference.path, run)
    for problem in problems:
        print(problem)
    print(f"{done} kills, {len(problems)} problems; the killed run is in {run}")
    raise SystemExit(bool(problems))


def _finished_files(run: Path) -> list[Path]:
    return [*run.glob("[0-9]*/manifest.json"), *run.glob("[0-9]*/evaluations/*thinking.json")]


def _mark(path: Path) -> tuple[int, int]:
    return (path.stat().st_mtime_ns, path.stat().st_ino) if path.exists() else (0, 0)


def _processes_of(run: Path) -> list[int]:
    """Processes whose command line names the run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(run).encode() in entry.read_bytes() and int(entry.parent.name) != os.getpid():
                found.append(int(entry.parent.name))
        except OSError:
            continue  # it has ended in the meantime
    return found


def _differences(reference: Path, run: Path) -> list[str]:
    problems = []
    for manifest in sorted(reference.glob("[0-9]*/manifest.json")):
        stage = manifest.parent.name
        old, new = read_json(manifest), read_json(run / stage / "manifest.json")
        if old["output_hash"] != new["output_hash"]:
            changed = [name for name in old["output"] if old["output"][name] != new["output"].get(name)]
            problems.append(f"{stage}: the output differs in {', '.join(changed)}")
        for evaluation in sorted((manifest.parent / "evaluations").glob("*thinking.json")):
            one, other = (
                read_json(path)["accuracy"] for path in (evaluation, run / stage / "evaluations" / evaluation.name)
            )
            if one != other:
                problems.append(f"{stage}: {evaluation.stem} accuracy {one} became {other}")
    return problems


if __name__ == "__main__":
    typer.run(main)
