"""The families of procedural problems, and drawing distinct problems from one.

Arithmetic comes from reasoning-gym's generators with a checked answer; the worked solutions are our own (traces.py).
Neighbours: instructions/ and programs.py (families whose rows have constraints or tests in place of an
answer), general/ (many tasks), data/rows.py (Problem), data/sources/declared.py (declares data sets from families).
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from alignment.data.generators.general.all import GENERAL_COLUMNS, GENERAL_PARAMETERS, TASKS, general_draws
from alignment.data.generators.instructions.evaluation import CONSTRAINT_PARAMETERS, constraint_draws
from alignment.data.generators.instructions.training import INSTRUCTION_PARAMETERS, instruction_draws
from alignment.data.generators.programs import PROGRAM_PARAMETERS, program_draws
from alignment.data.generators.tool_sums import TOOL_SUM_PARAMETERS, tool_sum_draws
from alignment.data.generators.traces import chain_sum_trace, leg_counting_trace, products_trace
from alignment.data.rows import Problem, user_turn

Draws = Callable[[int, dict[str, Any]], Iterator[Problem]]  # from a seed and parameters to problems, which may repeat


@dataclass(frozen=True)
class Family:
    """A generator of problems.

    draws: from a seed and parameters to problems, which may repeat.
    columns: what the problems have for verifiers.
    generator: the reasoning-gym generator whose parameters the family takes; else `parameters` lists its own.
    tasks: the names of its tasks, which its problems have in `family`, where it has several.
    """

    draws: Draws
    columns: tuple[str, ...] = ("answer",)
    generator: str | None = None
    parameters: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()


def _reasoning_gym(generator: str, trace: Callable[[dict[str, Any]], str]) -> Family:
    """The family of a reasoning-gym generator. `trace` writes the worked solution from an item's metadata."""

    def draws(seed: int, parameters: dict[str, Any]) -> Iterator[Problem]:
        import reasoning_gym  # slow to import (about 3 s), and `alignment check` does not need it

        items = reasoning_gym.create_dataset(generator, seed=seed, size=2**31 - 1, **parameters)
        for index in range(2**31 - 1):
            item = items[index]
            yield Problem("", [user_turn(item["question"])], str(item["answer"]), trace(item["metadata"]))

    return Family(draws, generator=generator)


FAMILIES: dict[str, Family] = {
    "chain_sum": _reasoning_gym("chain_sum", lambda metadata: chain_sum_trace(metadata["expression"])),
    "products": _reasoning_gym("products", lambda metadata: products_trace(metadata["expression"])),
    "leg_counting": _reasoning_gym("leg_counting", lambda metadata: leg_counting_trace(metadata["animals"])),
    "constraints": Family(constraint_draws, ("instruction_id_list", "kwargs"), parameters=CONSTRAINT_PARAMETERS),
    "general_tasks": Family(general_draws, GENERAL_COLUMNS, parameters=GENERAL_PARAMETERS, tasks=tuple(TASKS)),
    "instructions": Family(instruction_draws, ("instruction_id_list", "kwargs"), parameters=INSTRUCTION_PARAMETERS),
    "tool_sums": Family(tool_sum_draws, ("answer", "tools", "calls"), parameters=TOOL_SUM_PARAMETERS),
    "programs": Family(program_draws, ("tests", "solution"), parameters=PROGRAM_PARAMETERS),
}


MAX_REPEATS = 20_000  # draws in a row without a new problem, after which a family counts as exhausted


def problem_key(question: str) -> str:
    """Hash of a question (16 hex digits) that ignores case and white space; equal keys mean the same problem."""
    return hashlib.sha256(re.sub(r"\s+", " ", question).strip().lower().encode()).hexdigest()[:16]


def problems(family: str, *, seed: int, parameters: dict[str, Any]) -> Iterator[Problem]:
    """Distinct problems of a family, the same for the same seed and parameters.

    Ends only if MAX_REPEATS draws in a row bring no new problem. A family of several tasks names them in `family`.

    Args:
        family: a key of FAMILIES.
        seed: of the generator. reasoning-gym seeds item i with seed + i, so close seeds would give overlapping
            problems; the seed is therefore hashed first.
        parameters: settings of the family, or of its reasoning-gym generator.
    """
    spread_seed = int.from_bytes(hashlib.sha256(f"{family}:{seed}".encode()).digest()[:5], "big")
    seen: set[str] = set()
    last_new = 0
    for index, problem in enumerate(FAMILIES[family].draws(spread_seed, parameters)):
        key = problem_key(problem.text)
        if key in seen:
            if index - last_new >= MAX_REPEATS:
                return
            continue
        seen.add(key)
        last_new = index
        yield replace(problem, id=f"{family}-{seed}-{index}", family=problem.family or family)
