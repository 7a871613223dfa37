"""What a process leaves behind when it is killed."""

import io
import os
import sys
from pathlib import Path

from rich.console import Console

from alignment.run.watch import watched

KILLED = """
import os, pathlib, signal, sys
folder = pathlib.Path(os.environ["VLLM_RPC_BASE_PATH"])
(folder / "socket").touch()
pathlib.Path(sys.argv[1]).write_text(str(folder))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_sockets_of_a_killed_process_are_gone(tmp_path: Path) -> None:
    said = tmp_path / "said"
    ended = watched(
        "killed",
        [sys.executable, "-c", KILLED, str(said)],
        tmp_path / "log",
        Console(file=io.StringIO()),
        dict(os.environ),
    )
    assert ended.exit_status != 0
    assert said.read_text() and not Path(said.read_text()).exists()
