r"""Lists of what is counted, each with its number: `9 \text{ hens and } 10 \text{ rabbits}`.

comparison.py asks here before it compares lists. Neighbour: quantities.py (one number with its unit).
"""

import re

from rewards.kinds.math_answer.brackets import top_level, unwrapped
from rewards.kinds.math_answer.quantities import quantity


def counted_list(text: str) -> str:
    r"""A list whose numbers have units, without them: `9 \text{ hens and } 10 \text{ rabbits}` as `9, 10`."""
    plain = unwrapped(text)
    if (
        not (" and " in plain or "," in plain or ";" in plain or "和" in plain)
        or len(plain) > 200
        or not re.search(r"\d\s*[^\W\d_]", plain)
    ):
        return text
    pieces = [piece.strip() for part in top_level(plain) for piece in re.split(r"\s+and\s+|和", part) if piece.strip()]
    found = [quantity(piece) for piece in pieces]
    numbers = [re.match(r"[-+]?\d+(?:[.,]\d+)*", piece) for piece in pieces]
    if len(pieces) < 2 or any(one is None or one.percent for one in found):
        return text
    return ", ".join(number[0] for number in numbers if number is not None)


def counts_by_name(text: str) -> dict[str, str] | None:
    r"""What is counted in a list, each with its number: `5 \text{ apples and } 3 \text{ pears}`; None for anything else."""
    plain = unwrapped(text)
    if not (" and " in plain or "," in plain) or len(plain) > 200:
        return None
    pieces = [piece.strip() for part in top_level(plain) for piece in re.split(r"\s+and\s+", part) if piece.strip()]
    found = [re.fullmatch(r"(-?\d+(?:\.\d+)?)\s+([A-Za-z]{3,})", piece) for piece in pieces]
    named = {one[2].casefold(): one[1] for one in found if one}
    return named if len(pieces) > 1 and len(named) == len(pieces) else None
