"""Which processes a process has started, for tests that kill some of them or look whether all are gone."""

from pathlib import Path


def descendants(process_id: int) -> list[int]:
    """The process ids of everything that a process has started, directly or not, and that is there still."""
    found, children = [], list[int]()
    try:
        for task in Path(f"/proc/{process_id}/task").glob("*/children"):
            children += [int(child) for child in task.read_text().split()]
    except (FileNotFoundError, ProcessLookupError):  # it ended while it was read
        pass
    for child in children:
        found += [child, *descendants(child)]
    return found
