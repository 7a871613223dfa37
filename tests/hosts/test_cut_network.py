"""A network that is cut between the host that samples and one of its servers: nothing is lost, and the server is named."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from alignment.inference.vllm.server.guard import KEY
from hosts import rollouts_apart
from hosts.namespaces import Host, hosts, why_not

REASON = why_not()
pytestmark = [pytest.mark.long, pytest.mark.skipif(REASON is not None, reason=str(REASON))]
TESTS = Path(__file__).parents[1]
BEFORE = 6  # completions that have come when the network is cut


@contextmanager
def started(host: Host, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    paths = os.pathsep.join(map(str, (TESTS.parent, TESTS)))
    command = host.command(sys.executable, TESTS / "hosts/rollouts_apart.py", *arguments)
    environment = {**os.environ, "PYTHONPATH": paths, KEY: rollouts_apart.KEY, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: "subprocess.Popen[str]") -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.stderr.read()[-3000:] if process.stderr else ""
    return json.loads(line)


@pytest.mark.parametrize("seconds", [None, 3.0], ids=["for good", "for three seconds"])
def test_a_network_that_is_cut_while_completions_are_under_way_loses_none(seconds: float | None) -> None:
    with (
        hosts(3) as (here, near, far),
        started(near, "serve", near.address) as one,
        started(far, "serve", far.address) as two,
    ):
        addresses = said(one), said(two)
        with started(here, "sample", *addresses) as sampling:
            came = [said(sampling) for _ in range(BEFORE)]
            far.cut()
            if seconds is not None:
                threading.Timer(seconds, far.cut, kwargs={"cut": False}).start()
            came += [said(sampling) for _ in range(rollouts_apart.COUNT - BEFORE)]
            tokens = said(sampling)
            assert sampling.stderr is not None
            words = sampling.stderr.read()
        with started(here, "sample", addresses[0]) as alone:
            assert [said(alone) for _ in range(rollouts_apart.COUNT)] and said(alone) == tokens
    assert sorted(came) == list(range(rollouts_apart.COUNT)), "each came once"
    assert "engine worker 2 of 2" in words and "has not answered since" in words
    assert ("was given up" in words) is (seconds is None)
    assert ("answers again" in words) is (seconds is not None)
