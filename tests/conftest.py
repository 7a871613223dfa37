"""The order of the tests: files whose tests start whole runs come first, so that two workers end at the same time.

One worker more than there are cores, since many tests wait: for servers, for time limits, for processes that start.
And the collector of cycles leaves alone what was imported: each stage that is trained in a test collects three times.
GPUs are hidden: the tests are of what every machine can do. ALIGNMENT_TEST_GPU=1 shows them, for `pytest tests/gpu`.
Commands that tests start print as into a pipe: readline, which pytest imports, says 80 columns in the environment.
"""

import gc
import os

import pytest

from alignment.core.entry import OBJECTS_BETWEEN_COLLECTIONS

if not os.environ.get("ALIGNMENT_TEST_GPU"):
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu"}
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)
    os.unsetenv(name)  # readline's is not in os.environ
gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)  # as in the project's own processes
LONGEST_FIRST = ("tests/smoke/", "tests/ranks/", "tests/gpu/", "tests/workers/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by folder; within one, and among all others, the order stays."""

    def place(item: pytest.Item) -> int:
        return next((n for n, folder in enumerate(LONGEST_FIRST) if item.nodeid.startswith(folder)), len(LONGEST_FIRST))

    items.sort(key=place)


def pytest_xdist_auto_num_workers() -> int:
    """For `--numprocesses=auto`; the Makefile has the most."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_finish() -> None:
    """Keep what is imported out of every collection that follows."""
    gc.freeze()
