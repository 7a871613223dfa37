"""Worked solutions ("traces") of arithmetic, one step a line; reasoning-gym's generators give none.

Neighbours: families.py (puts them into problems), general/form.py.
"""

from collections.abc import Mapping


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
