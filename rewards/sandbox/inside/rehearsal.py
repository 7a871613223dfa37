"""Runs a harmless program and a harmless test through the harness, in the warm interpreter, before any fork.

What an interpreter does at the first use of a thing (specialise bytecode, fill caches, take memory) is then done for all
programs, instead of by each in pages that it has to copy first. The same channel and functions as candidate.py's are used.
"""

import socket
import sys

from . import candidate, examiner, wire

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
_TEST = """
import copy
import random


def check(candidate):
    for _ in range(2):
        numbers = [random.randint(1, 9) for _ in range(3)]
        assert tuple(candidate(copy.deepcopy(numbers), text="a b")) == (1, 2), "it is not"


check(candidate)
"""


def rehearse() -> None:
    """Do what is done for every program and every test, and say what comes of it to nobody."""
    for _ in range(TIMES):
        _rehearse_program()
        _rehearse_test()


def _rehearse_program() -> None:
    requests = [
        ("call", "f", ([[1, 2, 40], "a b a"], {}), False),
        ("call", "f", ([[]], {"x": 1.5}), False),
    ]
    order = {"mode": "calls", "start": "", "programs": [_PROGRAM], "preamble": True}
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(wire.order(order) + wire.order({"requests": requests, "last": True}))
        candidate.serve(wire.Stream(theirs.fileno()))
    del sys.modules["program"]


def _rehearse_test() -> None:
    order = {"tests": [_TEST], "prelude": "", "names": [], "remote": {"candidate": "f"}, "partial": False}
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for _ in range(2):
            ours.sendall(wire.frame({"value": wire.pack((1, 2))}))
        stream = wire.Stream(theirs.fileno())
        wire.frame({"verdict": examiner.examine(examiner.Candidate(stream, stream), order)})
