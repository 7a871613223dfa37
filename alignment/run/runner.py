"""Runner: runs every stage of a recipe, and the evaluations after each, in separate processes.

So no state in memory passes from one to the next, and a kill costs at most the steps since the last checkpoint.
Neighbours: plan.py (the state of each stage), processes.py and run/forks/start.py (start a process), watch.py (shows
its progress).
"""

import sys
import time
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TextIO

from rich.console import Console

from alignment.core.errors import RecipeError, StageFailed
from alignment.core.locks import hold
from alignment.core.typed_json import encode
from alignment.recipe.blocks.hardware import Hardware
from alignment.recipe.kinds import kind_of
from alignment.records.attempt import close_attempt, next_attempt, open_attempt
from alignment.records.evaluation import Identified
from alignment.records.run_folder import BASE_MODEL, StageFolder
from alignment.run.budget_sweep import sweep_is_missing
from alignment.run.forks.start import Forks, imports_for
from alignment.run.identity import hub_sources
from alignment.run.judges.places import ON_ONE_MACHINE, judge_servers
from alignment.run.judges.served import NO_JUDGES, ServedJudges
from alignment.run.launcher import launcher_config
from alignment.run.machines.first import Machines
from alignment.run.plan import RunPlan
from alignment.run.process_environment import environment
from alignment.run.processes import SMALL_BYTES, Ended, training_command
from alignment.run.watch import refuse_failure, watched

LOCK_PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Runner:
    """Runs the stages of a plan, printing to a console."""

    plan: RunPlan
    console: Console
    machines: Machines | None = None  # where stages train on several
    forks: Forks | None = None  # starts the processes on this machine, of several runs

    def go(self, only: str | None = None) -> None:
        """Run and evaluate every unfinished stage, or only one. Raises AlignmentError; running again resumes."""
        for name in self.plan.needed_for(only) if only else self.plan.recipe.stage_names:
            self.plan.state(name)  # refuse stale or damaged stages before anything is written
        self.plan.prepare()
        with self._alone(), nullcontext() if self.forks else closing(self._forks):
            self._prepare_base()
            if self.plan.recipe.evaluations.base_model:
                self._evaluate(None)
            for name in [only] if only else self.plan.recipe.stage_names:
                self._stage(name)
                if kind_of(self.plan.recipe.stage(name)).leaves_policy:
                    self._evaluate(name)

    def begin(self) -> None:
        """Make the run directory, and prepare the model that the run starts from where it has to be."""
        self.plan.prepare()
        with self._alone():
            self._prepare_base()

    def _alone(self) -> TextIO:
        """Hold the run's lock. Raises ArtifactError if another `alignment run` works in this directory."""
        path = self.plan.run.path / ".lock"
        return hold(
            path,
            "held by another process: a run is under way in this directory; wait for it, or write --run DIRECTORY",
            patience_seconds=LOCK_PATIENCE_SECONDS,
            on_wait=lambda: self.console.print(f"waiting for another process that holds {path}", highlight=False),
        )

    def _prepare_base(self) -> None:
        if not self.plan.base.needs_preparing():
            return
        command = [sys.executable, "-m", "alignment.run.base_model", *self._arguments(None)]
        self._run("preparing the model", command, self.plan.run.path / "prepare.log")

    def _stage(self, name: str) -> None:
        plan, folder = self.plan, self.plan.folder(name)
        state = plan.state(name)
        if state == "finished":
            self.console.print(f"{name}: already finished", highlight=False)
            return
        plan.begin(name)
        number = next_attempt(folder)
        if state == "unfinished":
            self.console.print(f"resuming {name} from its last checkpoint", highlight=False)
        kind, arguments = kind_of(plan.recipe.stage(name)), self._arguments(name)
        title = f"{name} ({kind.name})"
        log, started = folder.path / "attempts" / f"{number:02d}.log", time.time()
        open_attempt(folder, number, started)
        try:
            with self._served(name, folder) as judges:
                if kind.trains:
                    ended = self._trained(name, title, arguments, log, judges)
                else:  # a launcher would start it on every machine, and all but one would wait forever
                    command = [sys.executable, "-m", "alignment.run.stage", *arguments]
                    ended = self._watched(title, command, log, self._one_process(), judges)
        except StageFailed:  # on another machine, or a judge that cannot be kept up
            close_attempt(folder, number, started, "failed", 1)
            raise
        close_attempt(folder, number, started, ended.outcome, ended.exit_status)
        self._finish(ended, title, log)
        if not folder.finished:
            raise StageFailed(f"{name}: its process ended without a manifest; see {folder.path / 'attempts'}")

    def _served(self, name: str, folder: StageFolder) -> ServedJudges:
        """The judges that a stage's rewards name, served on this machine. Raises StageFailed where they cannot be."""
        plan = self.plan
        servers, hidden = judge_servers(plan.recipe, plan.recipe.stage(name), folder.path / "attempts")
        if servers and self.machines is not None:
            raise StageFailed(f"{name}: judges are {ON_ONE_MACHINE}")
        return ServedJudges(
            servers, hidden, lambda line: self.console.print(line, markup=False, highlight=False, soft_wrap=True)
        )

    def _trained(self, name: str, title: str, arguments: list[str], log: Path, judges: ServedJudges) -> Ended:
        """Run the ranks of a stage, on all machines if there are several. Raises StageFailed that names one that failed."""
        hardware, machines = self.plan.recipe.hardware, self.machines
        config = launcher_config(hardware)
        if machines is None:
            if config.several_machines:
                raise RecipeError(
                    f"hardware.accelerate: {config.path.name} is for {config.num_machines} machines, of which this would be one that "
                    "waits for the others for ever; write `alignment launch RECIPE --hosts a,b,...` in place of `alignment run`"
                )
            return self._watched(title, training_command(hardware, arguments), log, hardware, judges)
        place = machines.begin(name, offline=self._offline())
        env = environment(hardware, offline=self._offline(), place=place)
        ended = None
        try:
            ended = watched(title, training_command(hardware, arguments, place), log, self.console, env, machines.tick)
        finally:
            machines.end(ended)
        return ended

    def _evaluate(self, name: str | None) -> None:
        """Evaluate a stage in both modes, and the last one at the recipe's budgets too; None: the model the run starts from."""
        if not self.plan.recipe.evaluations.after_each_stage:
            return
        folder, policy = self.plan.evaluated(name)
        last = name in self.plan.trained_stages()[-1:]
        missing = [self._missing(folder, policy, kind) for kind in ("modes", "follow", "paired_prompts")]
        sweeps = last and sweep_is_missing(self.plan)
        if not (any(missing) or sweeps):
            return
        command = [sys.executable, "-m", "alignment.run.evaluate", *self._arguments(name)]
        title = f"evaluating {name or BASE_MODEL}" + (" and sweeping its thinking budget" if sweeps else "")
        self._run(title, [*command, *(["--budgets"] if sweeps else [])], folder.evaluations / "evaluation.log")

    def _missing(self, folder: StageFolder, policy: str, kind: str) -> bool:
        """Whether an evaluation is missing. One with other settings is set aside, and its new name printed."""
        from alignment.evaluation.identity import recorded_files

        files, identity = recorded_files(kind, self.plan.recipe, policy)
        for path in [folder.evaluations / f"{name}.json" for name in files]:
            if path.exists() and Identified.read(path).identity != encode(identity):
                aside = path.with_suffix(f".{int(path.stat().st_mtime)}.json")
                path.rename(aside)
                self.console.print(
                    f"{path.name} was measured under other settings; it is kept as {aside.name}", highlight=False
                )
        return not all((folder.evaluations / f"{name}.json").exists() for name, needed in files.items() if needed)

    def _run(self, title: str, command: list[str], log: Path) -> None:
        """One process to its end. Raises StageFailed if it fails, KeyboardInterrupt if it is interrupted."""
        log.unlink(missing_ok=True)  # so that an earlier process's error is not shown as this one's
        self._finish(self._watched(title, command, log, self._one_process()), title, log)

    def _watched(
        self, title: str, command: list[str], log: Path, hardware: Hardware, judges: ServedJudges = NO_JUDGES
    ) -> Ended:
        def tick() -> None:
            judges.tick()
            if self.machines is not None:
                self.machines.tick()

        env = environment(hardware, offline=self._offline(), large=self._large)
        env |= judges.environment()
        return watched(title, command, log, self.console, env, tick, self._forks.start)

    def _finish(self, ended: Ended, title: str, log: Path) -> None:
        refuse_failure(ended, title, log)
        self.console.print(f"{title}: done in {ended.seconds:.0f} s", highlight=False)

    def _one_process(self) -> Hardware:
        """The recipe's hardware with one process, for what is not distributed."""
        return self.plan.recipe.hardware.model_copy(update={"processes": 1})

    @cached_property
    def _large(self) -> bool:
        """Whether the model's weights take more than SMALL_BYTES; those of the hub do."""
        folder = Path(self.plan.base.path)
        return not folder.is_dir() or sum(one.stat().st_size for one in folder.glob("*.safetensors")) > SMALL_BYTES

    @cached_property
    def _forks(self) -> Forks:
        """Starts the processes of this run on this machine."""
        return self.forks or Forks(imports_for(self.plan.recipe))

    def _arguments(self, name: str | None) -> list[str]:
        """Arguments of a child. It reads the run's own copy of the recipe, since the file may be edited during the run."""
        stage = ["--stage", name] if name else []
        return [str(self.plan.run.recipe), *stage, "--run", str(self.plan.run.path)]

    def _offline(self) -> bool:
        """Whether nothing has to be downloaded: model and data are local."""
        return Path(self.plan.base.path).is_dir() and not hub_sources(self.plan.recipe)
