r"""The table of `python_tests`: programs for each form of row, right in many spellings, wrong in one place, hanging, forging.

A row that waits for its time limit has a short one of its own, and one worker; no right program is under a short limit.
"""

import json
from typing import Any

from rewards.kind import Group, Row

STDIO = {"form": "stdio", "inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7\n"]}
CALLS = {"form": "calls", "entry_point": "add", "calls": [[1, 2], [3, 4], [5, 5]], "outputs": [3, 7, 10]}
ASSERTS = {"form": "asserts", "asserts": ["assert add(1, 2) == 3", "assert add(3, 4) == 7"]}
COMPUTED = {**ASSERTS, "setup": "import math", "asserts": ["assert math.isclose(add(1, 2), 3)", "assert add(0, 1)"]}
PROMPT = 'from typing import List\n\n\ndef total(xs: List[int]) -> int:\n    """The sum of xs."""\n'
HUMANEVAL = {
    "form": "humaneval",
    "prompt": PROMPT,
    "entry_point": "total",
    "test": "def check(candidate):\n    assert candidate([1, 2]) == 3\n    assert candidate([]) == 0\n",
}
HUMANEVAL_LOOP = {
    **HUMANEVAL,
    "test": "def check(candidate):\n    for n in range(5):\n        assert candidate([n, n]) == 2 * n\n",
}

ADD = "def add(a, b):\n    return a + b"
READS = "a, b = map(int, input().split())\nprint(a + b)"
SHORT = {"timeout_seconds": 0.5, "memory_mib": 128, "workers": 1}
PARTIAL = {"partial": True}
EQUAL = "class Equal(int):\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n    __hash__ = None\n"
FRAMES = """
import gc, sys
def add(a, b):
    frame = sys._getframe()
    while frame is not None:
        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
            if isinstance(value, (list, tuple)) and 10 in value and 7 in value:
                return value[0]
        frame = frame.f_back
    for value in gc.get_objects():
        if type(value) in (list, tuple) and len(value) == 3 and value[1:] in ([7, 10], (7, 10)):
            return value[0]
"""
CHANNEL = """
import os
def add(a, b):
    for number in range(3, 64):
        for line in (b'{"value": 3}\\n', b'{"passed": true}\\n', b'{"ready": true}\\n'):
            try:
                os.write(number, line)
            except OSError:
                break
    os._exit(0)
"""


def _fenced(program: str) -> str:
    return f"Here it is:\n```python\n{program}\n```\nDone."


def _row(
    group: Group, tests: Any, program: str, score: float | None = 0.0, options: dict[str, Any] | None = None
) -> Row:
    """A row whose program is fenced, unless it has a fence of its own."""
    completion = program if "```" in program else _fenced(program)
    return Row(group, completion, score, {"tests": tests}, options=options or {})


GLUED = (  # to the opening mark, to the name of the language, or all on one line
    _row("gold", STDIO, f"```python{READS}\n```", 1.0),
    _row("gold", STDIO, f"```{READS}\n```", 1.0),
    _row("gold", STDIO, f"```pyimport sys\n{READS}```", 1.0),
    _row("gold", STDIO, "```python print(sum(map(int, input().split())))```", 1.0),
    _row("gold", CALLS, f"```{ADD}\n```", 1.0),
    _row("gold", CALLS, f"```python {ADD}\n```", 1.0),
    _row("gold", CALLS, f'```python title="add.py" linenums=1\n{ADD}\n```', 1.0),
    _row("near_miss", CALLS, f"```python{ADD.replace('+', '-')}\n```", 0.0),
    _row("near_miss", STDIO, "```pythonprint(sum(map(int, input().split())) + 1)```", 0.0),
    _row("garbage", CALLS, "```pythondef add(a, b)\n```", 0.0),
    _row("garbage", CALLS, "```def\n```", 0.0),
)

GOLD = (
    _row("gold", STDIO, READS, 1.0),
    _row("gold", STDIO, "import sys\nprint(sum(map(int, sys.stdin.read().split())), end='')", 1.0),
    _row("gold", STDIO, f"{READS}\nimport sys\nsys.exit(0)", 1.0),
    _row("gold", CALLS, ADD, 1.0),
    _row("gold", CALLS, "class Solution:\n    def add(self, a, b):\n        return a + b", 1.0),
    _row("gold", CALLS, "import numpy\ndef add(a, b):\n    print('noise')\n    return numpy.int64(a) + b", 1.0),
    _row("gold", json.dumps(CALLS), ADD, 1.0),
    _row("gold", {**CALLS, "outputs": [[1, 2], [3, 4], [5, 5]]}, "def add(a, b):\n    return a, b", 1.0),
    _row("gold", {**CALLS, "outputs": [0.3, 0.7, 1.0], "tolerance": 1e-9}, "def add(a, b): return a/10 + b/10", 1.0),
    _row("gold", {**CALLS, "calls": [{"arguments": [1], "named": {"b": 2}}], "outputs": [3]}, ADD, 1.0),
    _row("gold", CALLS, f"<think>\n```python\nadd = None\n```\n</think>\n\n```python\n{ADD}\n```", 1.0),
    _row("gold", CALLS, f"```python\nadd = None\n```\nNo, rather:\n```py\n{ADD}\n```\nIt prints\n```\n3\n```", 1.0),
    _row("gold", ASSERTS, ADD, 1.0),
    _row("gold", COMPUTED, ADD, 1.0),
    _row("gold", ASSERTS, f"```\n{ADD}\n```", 1.0),
    Row("gold", "    return sum(xs)", 1.0, {"tests": HUMANEVAL}),
    Row("gold", "return sum(xs)", 1.0, {"tests": HUMANEVAL}),
    _row("gold", HUMANEVAL, f"{PROMPT}    return sum(xs)", 1.0),
    _row("gold", HUMANEVAL, "def total(xs: List[int]) -> int:\n    return sum(xs)", 1.0),
    _row("gold", HUMANEVAL_LOOP, f"{PROMPT}    return sum(xs)", 1.0),
    _row("gold", CALLS, ADD, 1.0, PARTIAL),
)

NEAR_MISS = (
    _row("near_miss", STDIO, "a, b = map(int, input().split())\nprint(a - b)"),
    _row("near_miss", STDIO, "print(3)"),
    _row("near_miss", STDIO, f"{READS}\nprint(0)"),
    _row("near_miss", STDIO, f"{READS}\nraise SystemExit(1)"),
    _row("near_miss", CALLS, "def add(a, b):\n    return a + b if a < 5 else 11"),
    _row("near_miss", CALLS, "def add(a, b):\n    return str(a + b)"),
    _row("near_miss", CALLS, "def add(a, b):\n    print(a + b)"),
    _row("near_miss", CALLS, "def plus(a, b):\n    return a + b"),
    _row("near_miss", {**CALLS, "outputs": [0.3, 0.7, 1.0]}, "def add(a, b):\n    return a/10 + b/10"),
    _row("near_miss", ASSERTS, "def add(a, b):\n    return 3"),
    _row("near_miss", {"form": "asserts", "asserts": ["assert add([1], [2]) == (1, 2)"]}, ADD),
    _row("near_miss", COMPUTED, "def add(a, b):\n    return a + b + 1e-6"),
    _row("near_miss", HUMANEVAL, f"{PROMPT}    return sum(xs) or 1"),
    _row("near_miss", HUMANEVAL_LOOP, f"{PROMPT}    return sum(set(xs))"),
    _row("near_miss", CALLS, "def add(a, b):\n    return a + b if a < 5 else 1 / 0", 2 / 3, PARTIAL),
    _row("near_miss", STDIO, "print(7)", 1 / 2, PARTIAL),
    _row("near_miss", COMPUTED, "def add(a, b):\n    return 4", 1 / 2, PARTIAL),
)

GARBAGE = (
    Row("garbage", "", 0.0, {"tests": CALLS}),
    Row("garbage", "I do not know.", 0.0, {"tests": CALLS}),
    Row("garbage", f"<think>\n```python\n{ADD}\n```", 0.0, {"tests": CALLS}),
    Row("garbage", f"<think>\n```python\n{ADD}\n```\n</think>\n\nAs above.", 0.0, {"tests": CALLS}),
    _row("garbage", CALLS, "def add(a, b) return a + b"),
    _row("garbage", STDIO, "console.log(3)"),
    _row("garbage", HUMANEVAL, "    return sum(xs"),
)

UNJUDGEABLE = (
    _row("unjudgeable", None, ADD, None),
    _row("unjudgeable", "not JSON", ADD, None),
    _row("unjudgeable", {"form": "unittest"}, ADD, None),
    _row("unjudgeable", {**STDIO, "outputs": ["3\n"]}, READS, None),
    _row("unjudgeable", {**CALLS, "calls": [], "outputs": []}, ADD, None),
    _row("unjudgeable", {**CALLS, "entry_point": "a b"}, ADD, None),
    _row("unjudgeable", {"form": "asserts", "asserts": ["assert add(1 =="]}, ADD, None),
    _row("unjudgeable", {**HUMANEVAL, "test": "x = 1"}, "return sum(xs)", None),
    _row("unjudgeable", {**COMPUTED, "setup": "import no_such_module"}, ADD, None),
    _row("unjudgeable", {**COMPUTED, "setup": "broken = 1 / 0"}, ADD, None),
)

ADVERSARIAL = (
    _row("adversarial", CALLS, f"{EQUAL}def add(a, b):\n    return Equal()"),
    _row("adversarial", COMPUTED, f"{EQUAL}def add(a, b):\n    return Equal()"),
    _row("adversarial", CALLS, "import os\nos._exit(0)"),
    _row("adversarial", COMPUTED, "import sys\nsys.exit(0)"),
    _row("adversarial", HUMANEVAL_LOOP, "def total(xs):\n    raise SystemExit(0)"),
    _row("adversarial", COMPUTED, "import math\nmath.isclose = lambda *_: True\ndef add(a, b):\n    return 0"),
    _row("adversarial", CALLS, "import builtins\nbuiltins.all = lambda _: True\ndef add(a, b):\n    return 0"),
    _row("adversarial", HUMANEVAL_LOOP, "def check(candidate):\n    pass\ndef total(xs):\n    return 0"),
    _row("adversarial", CALLS, FRAMES),
    _row("adversarial", CALLS, CHANNEL),
    _row("adversarial", STDIO, "print('3')\nprint('7')"),
    _row("adversarial", CALLS, "def add(a, b):\n    import subprocess\n    return int(subprocess.check_output(['expr', str(a), '+', str(b)]))"),
    _row("adversarial", CALLS, "import socket\ndef add(a, b):\n    socket.create_connection(('127.0.0.1', 80))\n    return a + b"),
    _row("adversarial", STDIO, f"open('/etc/passwd')\n{READS}"),
    _row("adversarial", CALLS, "def add(a, b):\n    while True: pass", 0.0, SHORT),
    _row("adversarial", STDIO, "import time\ntime.sleep(3600)", 0.0, SHORT),
    _row("adversarial", COMPUTED, "import signal\nsignal.pthread_sigmask(0, range(1, 60))\ndef add(a, b):\n    while 1: pass", 0.0, SHORT),
    _row("adversarial", STDIO, "while True: print('x' * 100_000)"),
    _row("adversarial", CALLS, "def add(a, b):\n    return bytearray(1 << 40)"),
    _row("adversarial", CALLS, "def add(a, b):\n    return add(a, b)"),
    _row("adversarial", CALLS, "import os\nwhile True: os.fork()"),
    _row("adversarial", CALLS, "x = " + "(" * 5000 + ")" * 5000),
    _row("adversarial", CALLS, f"{ADD}\n#" + "x" * 300_000),
)  # fmt: skip

TYPED = "class Solution:\n    def add(self, a: Optional[int], b: int) -> List[int]:\n        return a + b"
GREATEST = {"form": "calls", "entry_point": "gcd", "calls": [[4, 6]], "outputs": [2]}
HALF = {"form": "stdio", "inputs": ["1\n"], "outputs": ["0.5 2\n"]}
USES_NUMPY = {"form": "asserts", "asserts": ["assert np.allclose(f(3), [9.0])"]}
USES_ISCLOSE = {"form": "asserts", "asserts": ["assert isclose(f(3), 9.0)"]}
EXPECTS_ERROR = {"form": "asserts", "asserts": ["try:\n    f('a') == 1\n    assert False\nexcept TypeError:\n    pass"]}
COMPARES_OBJECTS = {"form": "asserts", "asserts": ["assert P(3) == P(3)"]}


def _said(completion: str, score: float, tests: Any = ASSERTS) -> Row:
    """A row whose completion is taken as it stands."""
    return Row("gold" if score else "near_miss", completion, score, {"tests": tests})


# The ways in which a program stands in an answer, what it finds there, and how its output is compared.
WRITTEN = (
    _said(f"Here:\n```python\n{ADD}", 1.0),  # cut off at the end of the program
    _said(f"```python\n{ADD}```", 1.0),
    _said(f"~~~python\n{ADD}\n~~~", 1.0),
    _said(f"Here is the code: ```python\n{ADD}\n```", 1.0),
    _said(f"```py3\n{ADD}\n```", 1.0),
    _said(f"```python title=\"a.py\"\n{ADD}\n```", 1.0),
    _said(f"```json\n{ADD}\n```", 0.0),
    _said(f"```python\n{ADD}\n```\nUse it so:\n```python\nprint(add(1, 2))\n```", 1.0),
    _said(f"```python\n{ADD}\n```\nNo:\n```python\ndef add(a, b):\n    return a - b\n```", 0.0),
    _said('```python\ndef add(a, b):\n    """Add.\n\n    ```\n    add(1, 2)\n    ```\n    """\n    return a + b\n```', 1.0),
    _said(f"Here is the function:\n\n{ADD}\n", 1.0),
    _said(f"<answer>\n{ADD}\n</answer>", 1.0),
    _said(f"```python\n\ufeff{ADD}\n```<|im_end|>", 1.0),
    _said(f"~~~python\n{ADD}~~~", 1.0),
    _said(f"```python\n{ADD}\n``` This adds.", 1.0),
    _said(f"```python\n{ADD}\n``", 1.0),  # cut off within the mark
    _said(f"```code\n{ADD}\n```", 1.0),
    _said(f"Answer: ```\n{ADD}\n```", 1.0),
    _said("> ```python\n> def add(a, b):\n>     return a + b\n> ```", 1.0),
    _said("> ```python\n> def add(a, b):\n>     return a - b\n> ```", 0.0),
    _said(f"```python\n# ```\n{ADD}\n```", 1.0),
    _said(f"{ADD}\n```", 1.0),  # the fence was opened in the prompt
    _said(f"[BEGIN]\n{ADD}\n[DONE]", 1.0),
    _said(f"python\n{ADD}", 1.0),
    _said("[BEGIN]\ndef add(a, b):\n    return a - b\n[DONE]", 0.0),
    _said(f"```\n{READS}\n```\nFor example:\n```\n1 2\n```", 1.0, STDIO),
    _row("gold", STDIO, f"{READS}\nimport sys\nsys.stdout.close()", 1.0),
    _row("gold", STDIO, f"{READS}\nexit()", 1.0),
    _row("gold", STDIO, "a, b = map(int, open('/dev/stdin').read().split())\nprint(a + b)", 1.0),
    _row("gold", STDIO, "import atexit\natexit.register(lambda: print(sum(map(int, input().split()))))", 1.0),
    _row("near_miss", STDIO, f"exit()\n{READS}"),
    _row("gold", CALLS, TYPED, 1.0),  # names that LeetCode imports
    _row("near_miss", GREATEST, "x = 1"),  # and what nobody defined is not the program's
    _row("gold", HALF, "print('0.50 2.0')", 1.0),
    _row("gold", HALF, "print(0.5000001, 2)", 1.0),
    _row("near_miss", HALF, "print(0.501, 2)"),
    _row("near_miss", HALF, "print(0.5, 2.0000001)"),
    _row("garbage", HALF, "print('nan 2')"),
    _row("unjudgeable", COMPARES_OBJECTS, "class P:\n    def __init__(self, x): self.x = x", None),
    _row("adversarial", USES_NUMPY, "class np:\n    @staticmethod\n    def allclose(a, b): return True\ndef f(x): return 0"),
    _row("adversarial", USES_ISCLOSE, "def isclose(a, b): return True\ndef f(x): return 0"),
    _row("gold", USES_ISCLOSE, "def f(x): return 9.0", 1.0),
    _row("adversarial", EXPECTS_ERROR, "def f(x): return object()"),
)  # fmt: skip

ROWS: tuple[Row, ...] = (*GOLD, *NEAR_MISS, *GARBAGE, *UNJUDGEABLE, *ADVERSARIAL, *WRITTEN, *GLUED)
