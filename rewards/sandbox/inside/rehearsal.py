"""Runs a harmless program through the harness once, in the warm interpreter, before any program is forked from it.

What an interpreter does at the first use of a thing (specialise bytecode, fill caches, take memory) is then done for all
programs, instead of by each in pages that it has to copy first. The same channel and functions as candidate.py's are used.
"""

import socket
import sys

from . import candidate, wire

TIMES = 20  # bytecode is specialised after some eight calls
_PROGRAM = '''
import math
from collections import Counter, defaultdict
from typing import Dict, List, Optional, Tuple


def f(numbers: List[int], text: str = "", *rest: int, **named: float) -> Optional[Tuple[float, List[str]]]:
    """Do a little of what most programs do.

    >>> f([1, 2], "a b")
    """
    counted: Dict[str, int] = defaultdict(int)
    for position, word in enumerate(text.split()):
        counted[word] += position
    try:
        half = sum(one for one in numbers if one % 2 == 0) / len(numbers)
    except ZeroDivisionError:
        return None
    while half > 10:
        half //= 2
    return math.sqrt(abs(half)), sorted(f"{word}: {count}" for word, count in Counter(counted).items())[::-1]


class Solution:
    def f(self, x: int) -> int:
        return x if x < 2 else self.f(x - 1) + self.f(x - 2)
'''


def rehearse() -> None:
    """Load and call the program, and say what comes of it to nobody."""
    requests = [
        {"operation": "call", "target": "f", "arguments": wire.pack([[1, 2, 40], "a b a"]), "named": wire.pack({})},
        {"operation": "call", "target": "f", "arguments": wire.pack([[]]), "named": wire.pack({"x": 1.5})},
    ]
    order = {"mode": "calls", "programs": [_PROGRAM], "requests": requests, "last": True}
    for _ in range(TIMES):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(wire.frame(order))
            candidate.serve(wire.Stream(theirs.fileno()))
    del sys.modules["program"]
