"""Starting `alignment serve` as a user does, and asking it with the official client."""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openai import OpenAI

START_SECONDS = 300


@dataclass(frozen=True)
class Served:
    """A server that is ready: its process, its address, the model's name, and a client that speaks to it."""

    process: "subprocess.Popen[bytes]"
    base: str
    model: str
    client: OpenAI
    said: Path


@contextmanager
def served(*arguments: object) -> Iterator[Served]:
    """Run `alignment serve ARGUMENTS` on a free port; it has ended when the context has."""
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said.txt"
        command = [sys.executable, "-m", "alignment.cli", "serve", *map(str, arguments), "--port", "0"]
        with said.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            base = _ready(process, said)
            client = OpenAI(base_url=base, api_key="none", max_retries=0, timeout=60)
            yield Served(process, base, client.models.list().data[0].id, client, said)
        finally:
            process.terminate()
            process.wait(timeout=60)


def _ready(process: "subprocess.Popen[bytes]", said: Path) -> str:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        text = said.read_text(encoding="utf-8")
        if found := re.search(r"^ready after \d+ s at (\S+);", text, re.MULTILINE):
            return found[1]
        assert process.poll() is None, text
        time.sleep(0.1)
    raise AssertionError(f"it was never ready: {said.read_text(encoding='utf-8')}")
