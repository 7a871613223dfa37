"""Processes: they start in the right environment, their exit status comes back, and none of them outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from alignment.core import machine
from alignment.core.errors import RecipeError
from alignment.core.machine import others_running
from alignment.core.progress import PROGRESS_FILE
from alignment.recipe.blocks.hardware import Hardware
from alignment.run import processes
from alignment.run.launcher import LauncherConfig, launcher_config
from alignment.run.process_environment import environment, preloads, waiting_threads
from alignment.run.processes import Ended, end_tree, run, training_command

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a process to its parent")
REPOSITORY = Path(__file__).parents[2]
SLEEP = "import time; time.sleep(60)"
# Starts a grandchild that ignores SIGTERM, says its process id, and waits.
PARENT = (
    "import signal, subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print(1, flush=True); time.sleep(60)'], stdout=subprocess.PIPE)\n"
    "child.stdout.readline()\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(60)\n"
)  # fmt: skip


def alive(number: int) -> bool:
    """Whether a process runs; one that waits only for its parent to collect it does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(number: int, seconds: float = 10.0) -> bool:
    """Whether a process ends within some seconds."""
    end = time.monotonic() + seconds
    while alive(number) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(number)


def ran(tmp_path: Path, code: str, on_tick=lambda: None) -> tuple[Ended, str]:
    log = tmp_path / "deep" / "down" / "stage.log"
    env = {**os.environ, "WANTED": "yes"}
    ended = run([sys.executable, "-c", code], log=log, progress=tmp_path / "progress.jsonl", env=env, on_tick=on_tick)
    return ended, log.read_text(encoding="utf-8")


@pytest.mark.parametrize("status", [0, 1, 3])
def test_the_exit_status_comes_back(tmp_path: Path, status: int) -> None:
    ended, log = ran(tmp_path, f"import sys; print('out'); print('err', file=sys.stderr); sys.exit({status})")
    assert (ended.exit_status, ended.interrupted) == (status, False)
    assert sorted(log.split()) == ["err", "out"]


def test_a_process_that_was_killed_is_distinguished_from_one_that_failed(tmp_path: Path) -> None:
    ended, _ = ran(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert ended.exit_status == -signal.SIGKILL


def test_a_process_knows_where_to_report_and_has_no_terminal_to_wait_for(tmp_path: Path) -> None:
    code = f"import os, sys; print(os.environ['{PROGRESS_FILE}'], os.environ['WANTED'], repr(sys.stdin.read()))"
    assert ran(tmp_path, code)[1].split() == [str(tmp_path / "progress.jsonl"), "yes", "''"]


def test_a_second_attempt_does_not_overwrite_the_log_of_the_first(tmp_path: Path) -> None:
    ran(tmp_path, "print('first')")
    assert ran(tmp_path, "print('second')")[1].split() == ["first", "second"]


@pytest.fixture
def listening() -> Iterator[None]:
    """Ctrl-C is heard, although a shell starts background jobs deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_process_and_is_reported_as_such(tmp_path: Path, sign: signal.Signals) -> None:
    log, pressed = tmp_path / "deep" / "down" / "stage.log", []
    before = signal.getsignal(signal.SIGTERM)

    def press_once() -> None:
        if log.read_text() and not pressed:
            pressed.append(sign)
            os.kill(os.getpid(), sign)

    ended, text = ran(tmp_path, f"import os; print(os.getpid(), flush=True); {SLEEP}", press_once)
    assert ended.interrupted
    assert ended.exit_status == -signal.SIGTERM
    assert gone(int(text))
    assert signal.getsignal(signal.SIGTERM) == before


def test_asking_to_end_reaches_grandchildren_even_those_that_do_not_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "GRACE_SECONDS", 1.0)
    process = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    grandchild = int(process.stdout.readline())
    end_tree(process)
    assert process.returncode == -signal.SIGTERM
    assert gone(grandchild)


def test_a_process_dies_with_a_parent_that_was_killed_outright(tmp_path: Path) -> None:
    log = tmp_path / "stage.log"
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom alignment.run.processes import run\n"
        f"run([sys.executable, '-c', 'import os; print(os.getpid(), flush=True); {SLEEP}'], log=Path({str(log)!r}), "
        f"progress=Path({str(tmp_path / 'progress')!r}), env=dict(os.environ), on_tick=lambda: None)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY)
    end = time.monotonic() + 30
    while not (log.exists() and log.read_text().strip()) and time.monotonic() < end:
        time.sleep(0.05)
    child = int(log.read_text())
    assert alive(child)
    parent.kill()
    parent.wait()
    assert gone(child)


def test_a_process_that_lost_its_launcher_while_starting_does_not_go_on(tmp_path: Path) -> None:
    told = tmp_path / "told"
    stage = (
        "import time\nfrom pathlib import Path\nfrom alignment.run.processes import die_with_parent\n"
        f"told = Path({str(told)!r})\ntold.write_text('starting')\ntime.sleep(0.7)\n"
        "die_with_parent()\ntold.write_text('went on')\n"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {stage!r}])"],
        cwd=REPOSITORY,
        start_new_session=True,
    )
    until = time.monotonic() + 30
    while not told.exists() and time.monotonic() < until:
        time.sleep(0.02)
    launcher.kill()
    launcher.wait()
    time.sleep(1.5)
    assert told.read_text() == "starting"


def test_a_stage_on_a_cpu_preloads_what_was_found_and_shares_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LD_PRELOAD", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    found, missing = preloads()
    assert len(found) + len(missing) == 2
    assert all(Path(library).is_file() for library in found)
    made = environment(Hardware(accelerate="cpu"), offline=False)
    assert made["LD_PRELOAD"] == ":".join(found)
    assert made["CUDA_VISIBLE_DEVICES"] == ""
    cores = len(os.sched_getaffinity(0))
    assert made["OMP_NUM_THREADS"] == str(cores)
    assert environment(Hardware(accelerate="cpu", processes=4 * cores), offline=False)["OMP_NUM_THREADS"] == "1"


WAITS = """
import os, pathlib, statistics, time, torch

def of_others():  # nanoseconds that the other threads have computed
    tasks = [one for one in pathlib.Path("/proc/self/task").iterdir() if one.name != str(os.getpid())]
    return sum(int((one / "schedstat").read_text().split()[0]) for one in tasks)

spent = []
for _ in range(20):
    torch.ones(1_000_000).exp()
    began = of_others()
    time.sleep(0.02)
    spent.append(of_others() - began)
print(statistics.median(spent))
"""


def test_threads_of_a_stage_beside_other_work_leave_the_core_while_they_wait() -> None:
    """Threads that spin take the core from those that compute, where an engine or other work wants it as well."""
    made = environment(Hardware(accelerate="cpu"), offline=False)

    def waiting(policy: str) -> float:
        env = {**os.environ, "LD_PRELOAD": made["LD_PRELOAD"], "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": policy}
        said = subprocess.run([sys.executable, "-c", WAITS], env=env, capture_output=True, text=True, check=True)
        return float(said.stdout)

    beside = waiting_threads(others=len(os.sched_getaffinity(0)))
    assert waiting(beside["OMP_WAIT_POLICY"]) < 0.5 * waiting("ACTIVE"), "nanoseconds of CPU in a sleep"
    assert waiting_threads(others=0.0) == {}, "alone, threads that spin are a third faster"
    assert waiting_threads(others=0.0, large=True) == beside, "whose hours may meet other work later"


def test_a_process_that_computes_is_noticed() -> None:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        deadline = time.monotonic() + 20
        while others_running() < 1.5 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert others_running() >= 1
    finally:
        for one in busy:
            one.kill()
            one.wait()


def test_nothing_phones_home_and_nothing_is_fetched_that_need_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    assert environment(Hardware(), offline=True)["HF_HUB_OFFLINE"] == "1"
    online = environment(Hardware(), offline=False)
    assert "HF_HUB_OFFLINE" not in online
    assert (online["HF_HUB_DISABLE_TELEMETRY"], online["VLLM_NO_USAGE_STATS"]) == ("1", "1")


def test_what_the_user_has_set_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {"LD_PRELOAD": "", "OMP_NUM_THREADS": "7", "HF_HUB_OFFLINE": "0", "TOKENIZERS_PARALLELISM": "true"}
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    made = environment(Hardware(processes=2), offline=True)
    assert {name: made[name] for name in chosen} == chosen


@pytest.mark.parametrize(("chosen", "config"), [(None, "gpu"), ("0", "gpu"), ("", "cpu")])
def test_auto_is_the_gpus_that_the_process_may_use(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None, config: str
) -> None:
    monkeypatch.setattr(machine, "devices", lambda: ["NVIDIA H100 80GB HBM3, 81559 MiB"])
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)  # which an engine of an earlier test may have left
    if chosen is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert launcher_config(Hardware(accelerate="auto")).path.stem == config
    assert ("VLLM_CPU_KVCACHE_SPACE" in environment(Hardware(accelerate="auto"), offline=True)) is (config == "cpu")


def test_a_launcher_config_is_found_by_name_or_by_path(tmp_path: Path) -> None:
    assert launcher_config(Hardware(accelerate="cpu")).path.name == "cpu.yaml"
    own = tmp_path / "own.yaml"
    own.write_text("num_processes: 1\n", encoding="utf-8")
    assert launcher_config(Hardware(accelerate=str(own))).path == own
    with pytest.raises(RecipeError, match="no launcher config `cpuu`; write a path or one of: auto, cpu"):
        launcher_config(Hardware(accelerate="cpuu"))


@pytest.mark.parametrize("text", ["use_cpu: true\n", "gpu_ids: ''\n"])
def test_a_config_for_cpus_hides_gpus_whatever_it_is_called_and_whatever_is_set_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    own = tmp_path / "zero3-gpu.yaml"
    own.write_text(text, encoding="utf-8")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    made = environment(Hardware(accelerate=str(own)), offline=False)
    assert made["CUDA_VISIBLE_DEVICES"] == "" and made["DS_ACCELERATOR"] == "cpu"
    assert made["OMP_NUM_THREADS"]


def test_a_config_that_is_called_cpu_and_says_nothing_of_it_hides_no_gpu(tmp_path: Path) -> None:
    own = tmp_path / "cpu-but-not.yaml"
    own.write_text(
        "distributed_type: MULTI_GPU\nuse_cpu: false\nnum_machines: 2\nnum_processes: 16\n", encoding="utf-8"
    )
    config = launcher_config(Hardware(accelerate=str(own)))
    assert not config.hides_gpus and config.several_machines and config.num_processes == 16
    assert not config.shards_weights and not config.shards_optimizer


@pytest.mark.parametrize(
    ("name", "hides_gpus", "weights", "optimizer"),
    [
        ("cpu", True, False, False),
        ("cpu-2", True, False, True),
        ("cpu-zero3", True, True, True),
        ("cpu-ddp", True, False, False),
        ("cpu-fsdp2", True, True, True),
        ("fsdp2", False, True, True),
        ("gpu", False, False, False),
        ("zero2", False, False, True),
        ("zero3", False, True, True),
        ("multi-node", False, True, True),
    ],
)
def test_what_ships_says_in_its_contents_where_it_runs_and_what_it_shards(
    name: str, hides_gpus: bool, weights: bool, optimizer: bool
) -> None:
    config = launcher_config(Hardware(accelerate=name))
    assert (config.hides_gpus, config.shards_weights, config.shards_optimizer) == (hides_gpus, weights, optimizer)
    assert config.several_machines == (name == "multi-node")


def test_fully_sharded_weights_are_sharded(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("distributed_type: FSDP\nfsdp_config: {fsdp_version: 2}\n", encoding="utf-8")
    assert LauncherConfig.read(own).shards_weights and LauncherConfig.read(own).shards_optimizer


@pytest.mark.parametrize(
    "text",
    ["- a list\n", "num_processes: many\n", "use_cpu: [\n", "deepspeed_config: 3\ndistributed_type: DEEPSPEED\n"],
)
def test_a_file_that_is_no_launcher_config_is_refused_in_words(tmp_path: Path, text: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError, match="is not a launcher config.*accelerate config"):
        launcher_config(Hardware(accelerate=str(own)))


def test_a_stage_is_started_with_the_recipes_processes() -> None:
    command = training_command(Hardware(accelerate="cpu", processes=3), ["recipe.yaml", "--stage", "cold_start"])
    assert command[command.index("--num_processes") + 1] == "3"
    assert command[-3:] == ["recipe.yaml", "--stage", "cold_start"]
