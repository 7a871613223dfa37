"""Ranks that fill their batch by dynamic sampling, so many together: `python tests/rl/dynamic_rank.py FOLDER COUNT...`.

test_dynamic_sampling.py starts it. A problem's rewards are a function of its number, so that only the
ranks differ. Each leaves FOLDER/COUNT-RANK.json.
"""

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from forked import side_by_side

from alignment.data.rows import Problem
from alignment.inference.engine import Generation, GenerationRequest
from alignment.inference.ranks import Ranks
from alignment.rollout.dynamic_sampling import fill_with_signal
from alignment.rollout.environments.protocol import Opening
from alignment.rollout.scoring import Judged
from alignment.rollout.trajectory import one_turn

GENERATIONS, PROBLEMS = 4, 8
OWN = [Problem(f"own-{number}", [], "") for number in range(PROBLEMS)]  # of the step
FRESH = [Problem(f"fresh-{number:02}", [], "") for number in range(60)]
VARIED = {"own-0", "own-1", "own-3", *(f"fresh-{number:02}" for number in (1, 4, 5, 9, 12, 13, 20, 30, 31))}


def group(problem: Problem) -> list[Judged]:
    """Its completions, with a text that shows where it came from."""
    found = []
    for one in range(GENERATIONS):
        made = Generation(
            GenerationRequest([1], "thinking"), [2, 3], [-1.0, -1.0], [False] * 2, "end", f"{problem.id} {one}"
        )
        total = float(one % 2) if problem.id in VARIED else 1.0
        found.append(Judged(problem, one_turn(Opening([], []), made), {}, total))
    return found


def main(rank: int, count: int, folder: Path) -> None:
    """The first rank has the first half of the problems, in which most groups have a signal."""
    if count > 1:
        torch.distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=count)
    tried: list[list[str]] = []

    def sample(number: int, asked: Sequence[tuple[int, Problem]]) -> list[list[Judged]]:
        assert all(FRESH.index(problem) >= place for place, problem in asked)
        tried.append([problem.id for _, problem in asked])
        return [group(problem) for _, problem in asked]

    mine = OWN[rank * PROBLEMS // count :][: PROBLEMS // count]
    filled = fill_with_signal([group(one) for one in mine], iter(FRESH), sample, Ranks.of_a_thread(1.0))
    kept = [[one.trajectory.text for one in rows] for rows in filled.groups]
    counts = {"replaced": filled.replaced, "sampled": filled.sampled, "without": filled.without_signal}
    (folder / f"{count}-{rank}.json").write_text(json.dumps({"kept": kept, "tried": tried, **counts}), encoding="utf-8")


if __name__ == "__main__":
    folder, counts = Path(sys.argv[1]), [int(one) for one in sys.argv[2:]]
    raise SystemExit(side_by_side([partial(main, rank, count, folder) for count in counts for rank in range(count)]))
