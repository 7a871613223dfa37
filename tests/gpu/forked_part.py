"""What run.sh takes for Python in a rehearsal: a part is a fork of the process that the tests have, with torch and TRL imported.

So the rehearsal shows what it shows and does not import the same six times. `forked_part.py SCRIPT ARGUMENTS` asks for the
fork; what is no part is Python's own. It ends as the fork does, which ends with it.
"""

import json
import os
import runpy
import sys
from pathlib import Path

PARTS = "benchmarks/gpu/"
PART = "FORKED_PART"  # what a fork is to run: a script and its arguments


def main() -> None:
    """In a fork, whose folder is this one: run the script from the root of the repository."""
    os.chdir(Path(__file__).parents[2])
    sys.argv, sys.path[0] = json.loads(os.environ.pop(PART)), PARTS
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    if sys.argv[1].startswith(PARTS) and not sys.argv[1].endswith("/results.py"):
        from forked_ranks import LOG, asked  # of tests/ranks/, which the fork does not need

        part = {PART: json.dumps(sys.argv[1:]), LOG: os.readlink("/proc/self/fd/1")}
        os.chdir(Path(__file__).parent)
        raise SystemExit(asked(["-m", Path(__file__).stem], {**os.environ, **part}))
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])  # noqa: S606  it is Python
