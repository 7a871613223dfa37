"""The families of procedural problems, and drawing distinct problems from one.

Arithmetic comes from reasoning-gym's generators with a checked answer; the worked solutions ("traces") are written here,
since the generators give none. Neighbours: instructions.py, constraints.py and programs.py (families whose rows have
constraints or tests in place of an answer), rows.py (Problem), declared.py (declares data sets from families).
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from alignment.data.generators.constraints import CONSTRAINT_PARAMETERS, constraint_draws
from alignment.data.generators.instructions import INSTRUCTION_PARAMETERS, instruction_draws
from alignment.data.generators.programs import PROGRAM_PARAMETERS, program_draws
from alignment.data.generators.tool_sums import TOOL_SUM_PARAMETERS, tool_sum_draws
from alignment.data.rows import Problem, user_turn


def chain_sum_trace(expression: str) -> str:
    """Worked solution of a chain of additions and subtractions, one running total per line: `5 + 9 = 14`."""
    tokens = expression.split()
    total, lines = int(tokens[0]), []
    for operator, operand in zip(tokens[1::2], tokens[2::2], strict=True):
        result = total + int(operand) if operator == "+" else total - int(operand)
        lines.append(f"{total} {operator} {operand} = {result}")
        total = result
    return "\n".join(lines)


def products_trace(expression: str) -> str:
    """Worked solution by long multiplication: `23 * 47` is split into `23 * 40` and `23 * 7`, whose results are added."""
    tokens = expression.split()
    total, lines = int(tokens[0]), []
    for operand in map(int, tokens[2::2]):
        parts = _decimal_parts(operand)
        if len(parts) > 1:
            lines.append(f"{total} * {operand} = {' + '.join(f'{total} * {part}' for part in parts)}")
        lines += [f"{total} * {part} = {total * part}" for part in parts]
        if len(parts) > 1:
            lines.append(chain_sum_trace(" + ".join(str(total * part) for part in parts)))
        total *= operand
    return "\n".join(lines)


def _decimal_parts(number: int) -> list[int]:
    """`[400, 7]` for 407; `[0]` for 0."""
    digits = str(abs(number))
    sign = -1 if number < 0 else 1
    parts = [sign * int(digit) * 10 ** (len(digits) - 1 - place) for place, digit in enumerate(digits) if digit != "0"]
    return parts or [0]


def leg_counting_trace(animals: Mapping[str, int]) -> str:
    """Worked solution: the legs of each kind of animal, `3 dogs: 3 * 4 = 12`, then their running total."""
    from reasoning_gym.arithmetic.leg_counting import ANIMALS  # how many legs each has

    legs = {animal: count * ANIMALS[animal] for animal, count in animals.items()}
    # Named as in the question, which forms plurals with -s.
    named = {animal: f"{count} {animal}{'s' if count > 1 else ''}" for animal, count in animals.items()}
    lines = [f"{named[one]}: {animals[one]} * {ANIMALS[one]} = {legs[one]}" for one in animals]
    if len(legs) > 1:
        lines.append(chain_sum_trace(" + ".join(map(str, legs.values()))))
    return "\n".join(lines)


Draws = Callable[[int, dict[str, Any]], Iterator[Problem]]  # from a seed and parameters to problems, which may repeat


@dataclass(frozen=True)
class Family:
    """A generator of problems.

    draws: from a seed and parameters to problems, which may repeat.
    columns: what the problems have for verifiers.
    generator: the reasoning-gym generator whose parameters the family takes; else `parameters` lists its own.
    """

    draws: Draws
    columns: tuple[str, ...] = ("answer",)
    generator: str | None = None
    parameters: tuple[str, ...] = ()


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

    Ends only if MAX_REPEATS draws in a row bring no new problem.

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
        yield replace(problem, id=f"{family}-{seed}-{index}", family=family)
