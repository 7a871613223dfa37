"""Kind python_tests on every form of row: gold, near-miss, garbage and unjudgeable programs, told apart by their reason."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from isolation import verifier_here

from rewards import Rollout, check_tests
from rewards.kinds.python_tests.program import program_texts
from rewards.kinds.python_tests.verifier import PythonTests
from rewards.sandbox import IsolationUnavailable
from rewards.sandbox.workers import needs_equipment

ADD = "def add(a, b):\n    return a + b"
STDIO = {"form": "stdio", "inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7  \n\n"]}
CALLS = {"form": "calls", "entry_point": "add", "calls": [[1, 2], [3, 4], [5, 5]], "outputs": [3, 7, 10]}
ASSERTS = {"form": "asserts", "asserts": ["assert add(1, 2) == 3", "assert add(3, 4) == 7"]}
RUN = {"form": "asserts", "asserts": ["assert close(add(1, 2), 3)", "assert add(0, 1)"],
       "setup": "import math\nclose = math.isclose"}  # fmt: skip
OBJECTS = {
    "form": "asserts",
    "setup": "root = Node(1)\nroot.left = Node(2)\nroot.left.left = Node(3)",
    "asserts": ["assert depth(root) == 3", "assert depth(root.left) == 2", "assert root.left.value == 2"],
}
PROMPT = 'from typing import List\n\n\ndef helper(x):\n    return 2 * x\n\n\ndef total(xs: List[int]) -> int:\n    """The sum."""\n'
HUMANEVAL = {
    "form": "humaneval", "prompt": PROMPT, "entry_point": "total",
    "test": "METADATA = {}\n\ndef check(candidate):\n    assert candidate([1, 2]) == 3\n    assert candidate([]) == 0\n",
}  # fmt: skip
HUMANEVAL_RUN = {
    **HUMANEVAL,
    "test": "def check(candidate):\n    for n in range(5):\n        assert candidate([n, n]) == helper(n)\n",
}
NODES = """
class Node:
    def __init__(self, value): self.value, self.left, self.right = value, None, None
def depth(node): return 0 if node is None else 1 + max(depth(node.left), depth(node.right))
"""
BODY = "    result = 0\n    for x in xs:\n        result += x\n    return result"
READS = "a, b = map(int, input().split())\nprint(a + b)"

# (tests, completion, score, reason)
TABLE: list[tuple[Any, str, float | None, str]] = [
    (STDIO, READS, 1.0, "passed"),
    (STDIO, "import sys\nprint(sum(map(int, sys.stdin.read().split())), end='')", 1.0, "passed"),
    (STDIO, "import sys\nfor line in open(0): print(sum(map(int, line.split())))\nsys.exit()", 1.0, "passed"),
    (STDIO, f"if __name__ == '__main__':\n    {READS.replace(chr(10), chr(10) + '    ')}", 1.0, "passed"),
    (STDIO, "print(3)", 0.0, "wrong_answer"),
    (STDIO, "print('3 ')\nprint(1)", 0.0, "wrong_answer"),
    (STDIO, READS + "\nraise ValueError('late')", 0.0, "crashed"),
    (STDIO, READS + "\nimport sys\nsys.exit(1)", 0.0, "crashed"),
    (STDIO, "while True: pass", 0.0, "timed_out"),
    (STDIO, "while True: print('x' * 1000)", 0.0, "output_limit"),
    (STDIO, "x = bytearray(1 << 40)", 0.0, "out_of_memory"),
    (STDIO, "print(", 0.0, "syntax_error"),
    (CALLS, ADD, 1.0, "passed"),
    (CALLS, "class Solution:\n    def add(self, a, b):\n        return a + b", 1.0, "passed"),
    (CALLS, "def add(a, b):\n    print('noise')\n    return a + b", 1.0, "passed"),
    (CALLS, "import numpy\ndef add(a, b):\n    return numpy.int64(a) + numpy.int64(b)", 1.0, "passed"),
    (CALLS, "def add(a, b):\n    return 10", 0.0, "wrong_answer"),
    (CALLS, "def add(a, b):\n    return a / 0", 0.0, "crashed"),
    (CALLS, "def add(a, b):\n    while True: pass", 0.0, "timed_out"),
    (CALLS, "def add(a, b):\n    return 'x' * 10**11", 0.0, "out_of_memory"),
    (CALLS, "def add(a, b):\n    return 'x' * 10**7", 0.0, "output_limit"),
    (CALLS, "def plus(a, b):\n    return a + b", 0.0, "crashed"),
    ({**CALLS, "outputs": [[1, 2], [3, 4], [5, 5]]}, "def add(a, b):\n    return a, b", 1.0, "passed"),
    ({**CALLS, "outputs": [0.3, 0.7, 1.0]}, "def add(a, b):\n    return a / 10 + b / 10", 0.0, "wrong_answer"),
    ({**CALLS, "outputs": [0.3, 0.7, 1.0], "tolerance": 1e-9}, "def add(a, b):\n    return a/10 + b/10", 1.0, "passed"),
    ({**CALLS, "calls": [{"arguments": [1], "named": {"b": 2}}] * 3, "outputs": [3] * 3}, ADD, 1.0, "passed"),
    (json.dumps(CALLS), ADD, 1.0, "passed"),
    ({**CALLS, "inputs": None, "asserts": None}, ADD, 1.0, "passed"),
    (ASSERTS, ADD, 1.0, "passed"),
    (ASSERTS, "def add(a, b):\n    return 3", 0.0, "wrong_answer"),
    ({"form": "asserts", "asserts": ["assert add((1, 2), (3,)) == (1, 2, 3)"]}, ADD, 1.0, "passed"),
    ({"form": "asserts", "asserts": ["assert add([1], [2]) == (1, 2)"]}, ADD, 0.0, "wrong_answer"),
    ({"form": "asserts", "asserts": ["assert f() == {1: {2}, 'a': (None, b'x', 1+2j)}"]},
     "def f(): return {1: {2}, 'a': (None, b'x', 1+2j)}", 1.0, "passed"),
    ({"form": "asserts", "asserts": ["assert not f(1)", "assert f(0) is True", "assert f(2) != True"]},
     "def f(x): return x == 0", 1.0, "passed"),
    ({"form": "asserts", "asserts": ["assert f(5) == 2 ** 5000"]}, "def f(x): return 2 ** 5000", 1.0, "passed"),
    (RUN, ADD, 1.0, "passed"),
    (RUN, "def add(a, b):\n    return None", 0.0, "wrong_answer"),
    (RUN, "def add(a, b):\n    return b[0]", 0.0, "crashed"),
    (RUN, "def add(a, b):\n    while True: pass", 0.0, "timed_out"),
    ({**RUN, "asserts": ["try:\n    add(1, 'a')\n    assert False\nexcept TypeError:\n    pass"]}, ADD, 1.0, "passed"),
    (OBJECTS, NODES, 1.0, "passed"),
    (OBJECTS, NODES.replace("1 + max", "2 + max"), 0.0, "wrong_answer"),
    (OBJECTS, "def depth(node): return 3", 0.0, "crashed"),
    (HUMANEVAL, BODY, 1.0, "passed"),
    (HUMANEVAL, BODY.strip(), 1.0, "passed"),
    (HUMANEVAL, "return sum(xs)", 1.0, "passed"),
    (HUMANEVAL, f"{PROMPT}{BODY}", 1.0, "passed"),
    (HUMANEVAL, "def total(xs: List[int]) -> int:\n    return sum(xs)", 1.0, "passed"),
    (HUMANEVAL, "from __future__ import annotations\ndef total(xs):\n    return sum(xs)", 1.0, "passed"),
    (HUMANEVAL, "    return sum(xs) + 1", 0.0, "wrong_answer"),
    (HUMANEVAL, "    return sum(xs", 0.0, "no_program"),
    (HUMANEVAL_RUN, "    return sum(xs)", 1.0, "passed"),
    (HUMANEVAL_RUN, "    return sum(xs) if len(xs) < 2 else 0", 0.0, "wrong_answer"),
    (CALLS, "<think>\nhm\n</think>\n\n```python\nwrong(\n```\nor rather\n```python\n" + ADD + "\n```", 1.0, "passed"),
    (CALLS, "```\n" + ADD + "\n```", 1.0, "passed"),
    (CALLS, "```python\n" + ADD + "\n```\nwhich prints\n```\n3\n```", 1.0, "passed"),
    (CALLS, "```python\n" + ADD, 1.0, "passed"),  # its end was cut off, and not its program's
    (CALLS, "```json\n" + ADD + "\n```", 0.0, "no_program"),
    (CALLS, "<think>\n```python\n" + ADD + "\n```\n", 0.0, "no_program"),
    (CALLS, "I do not know.", 0.0, "no_program"),
    (CALLS, "", 0.0, "no_program"),
    (CALLS, "```python\nadd = lambda a, b: a +\n```", 0.0, "syntax_error"),
    ({"form": "asserts", "asserts": ["assert add(1 =="]}, ADD, None, "tests_unreadable"),
    ({"form": "asserts", "asserts": []}, ADD, None, "tests_unreadable"),
    ({"form": "stdio", "inputs": ["1"], "outputs": []}, ADD, None, "tests_unreadable"),
    ({"form": "calls", "calls": [], "outputs": []}, ADD, None, "tests_unreadable"),
    ({"form": "calls", "entry_point": "a b", "calls": [[1]], "outputs": [1]}, ADD, None, "tests_unreadable"),
    ({"form": "humaneval", "prompt": "def f(:", "test": "", "entry_point": "f"}, ADD, None, "tests_unreadable"),
    ({**HUMANEVAL, "test": "x = 1"}, BODY, None, "tests_unreadable"),
    ({"form": "unittest"}, ADD, None, "tests_unreadable"),
    ("{", ADD, None, "tests_unreadable"),
    (None, ADD, None, "not_applicable"),
    ({**RUN, "setup": "import no_such_module"}, ADD, None, "tests_unreadable"),
    ({"form": "asserts", "asserts": ["assert pd.equals(add(3, 6), 9)"]}, ADD, None, "tests_unreadable"),
    ({**RUN, "setup": "broken = 1 / 0"}, ADD, None, "tests_broken"),
    ({**RUN, "setup": "while True: pass"}, ADD, None, "tests_broken"),
]  # fmt: skip


@pytest.fixture(scope="module")
def verifier() -> Iterator[PythonTests]:
    yield from verifier_here(timeout_seconds=1.0, memory_mib=256, workers=2)


@pytest.mark.parametrize(("tests", "completion", "score", "reason"), TABLE)
def test_programs_are_distinguished(
    verifier: PythonTests, tests: Any, completion: str, score: float | None, reason: str
) -> None:
    fenced = (
        completion if "```" in completion or reason == "no_program" or tests in (HUMANEVAL, HUMANEVAL_RUN) else None
    )
    completion = fenced if fenced is not None else f"Here it is:\n```python\n{completion}\n```\nDone."
    (verdict,) = verifier.judge([Rollout("", completion, columns={"tests": tests})])
    assert (verdict.score, verdict.reason) == (score, reason), verdict
    if reason not in ("tests_unreadable", "no_program", "not_applicable"):
        assert verdict.evidence["isolation"] in ("bubblewrap", "namespaces")


@pytest.mark.parametrize(
    ("tests", "program", "score"),
    [
        (CALLS, "def add(a, b):\n    return a + b if a < 5 else 1 / 0", 2 / 3),
        (ASSERTS, "def add(a, b):\n    return 3", 1 / 2),
        (STDIO, "print(7)", 1 / 2),
        (RUN, "def add(a, b):\n    return 3", 1.0),
        (RUN, "def add(a, b):\n    return 4", 1 / 2),
        (OBJECTS, NODES.replace("1 + max", "2 + max"), 1 / 3),
        (CALLS, "x =", 0.0),
    ],
)
def test_partial_credit_is_the_fraction_of_tests(tests: Any, program: str, score: float) -> None:
    partial = PythonTests(timeout_seconds=1.0, workers=1, partial=True)
    (verdict,) = partial.judge([Rollout("", f"```python\n{program}\n```", columns={"tests": tests})])
    partial.close()
    assert verdict.score == pytest.approx(score)


@pytest.mark.parametrize("program", [
    "print(int(sqrt(16)), heapq.nsmallest(1, [3, 2])[0], len(Counter('aab')))",
    "import builtins\nbuiltins.abs = lambda x: 4\nprint(abs(-9), 2, 2)",
    "sqrt = lambda x: 4\nprint(sqrt(1), 'sqrt' in globals() and 2, eval('int(math.sqrt(4))'))",
])  # fmt: skip
def test_a_whole_program_finds_what_judges_import_and_may_change_it(program: str, verifier: PythonTests) -> None:
    row = {"form": "stdio", "inputs": [""], "outputs": ["4 2 2"]}
    (verdict,) = verifier.judge([Rollout("", f"```python\n{program}\n```", columns={"tests": row})])
    assert verdict.score == 1.0, verdict


def test_a_batch_comes_back_in_order(verifier: PythonTests) -> None:
    programs = [f"```python\ndef add(a, b):\n    return a + b + {n % 3}\n```" for n in range(30)]
    verdicts = verifier.judge([Rollout("", one, columns={"tests": CALLS}) for one in programs])
    assert [one.score for one in verdicts] == [float(n % 3 == 0) for n in range(30)]


def test_a_row_can_be_checked_when_data_is_loaded() -> None:
    assert check_tests(HUMANEVAL) is None
    assert "needs 'entry_point'" in str(check_tests({"form": "calls", "calls": [[1]], "outputs": [1]}))
    assert "must be one of stdio, calls, asserts, humaneval, not 'unit'" in str(check_tests({"form": "unit"}))


def test_the_last_python_fence_is_the_program() -> None:
    assert program_texts("```py\na\n```\n```python\nb\n```\n```text\nc\n```") == (("b\n",), True)
    assert program_texts("~~~\na\n~~~") == (("a\n",), True)
    assert program_texts("```json\na\n```") == ((), False)


def test_the_fence_that_defines_what_is_tested_is_the_program() -> None:
    usage = "```python\ndef f():\n    return 1\n```\nUse it so:\n```python\nprint(f())\n```"
    assert program_texts(usage, {"f"}) == (("def f():\n    return 1\n",), True)
    assert program_texts(usage) == (("print(f())\n",), True)


def test_what_a_row_needs_of_the_programs_own_objects_is_found_when_data_is_loaded() -> None:
    for test in ("assert P(3) == P(3)", "x = [2, 1]\ng(x)\nassert x == [1, 2]", "with V() as x:\n    assert x == 5",
                 "assert sorted([P(2), P(1)])[0].x == 1", "assert str(P()) == 'p'", "assert next(g(3)) == 0", "assert g() is g()",
                 "assert {P(1)} == {P(1)}", "v = P()\nv += 1\nassert v.x == 1", "assert -P(1) == 3",
                 "x = [3, 1]\nassert g(x) is None\nassert x == [1, 3]", "x, y = [1], [2]\ng(x, y)\nassert x == [1, 2]",
                 "x = [0]\nfor i in range(3):\n    g(x)\nassert x[0] == 3", "x = [2, 1]\ng(l=x)\nassert x == [1, 2]",
                 "x = [1]\nf = g\nf(x)\nassert len(x) == 2",
                 "import datetime\nassert g() == datetime.date(2024, 1, 1)", "try:\n    g()\nexcept Wrong:\n    pass"):  # fmt: skip
        assert "the tests" in str(check_tests({"form": "asserts", "asserts": [test]})), test
    for test in (
        "for n in [1, 2]:\n    assert f(n) == n",
        "x = [2, 1]\nassert g(x) == [1, 2]",
        "assert P(3).size == 3",
        "x = [2, 1]\nassert g(x) == 3\nassert f(x) == 2",
        "assert sorted(g(3)) == [1, 2]",
        "assert g(3) is None",
    ):
        assert check_tests({"form": "asserts", "asserts": [test]}) is None, test


def test_a_module_that_no_jail_has_is_named_when_data_is_loaded() -> None:
    for tests in (
        {"form": "asserts", "asserts": ["assert pd.DataFrame(f(3)).equals(9)"]},
        {"form": "asserts", "asserts": ["assert len(f(pd.x)) == 9"], "setup": "import pandas as pd"},
        {
            "form": "asserts",
            "asserts": ["def t():\n    from pandas import Series\n    assert f(Series([3])) == 9\nt()"],
        },
        {**HUMANEVAL, "prompt": f"import pandas\n{PROMPT}"},
    ):
        assert "need the module `pandas`, which no program can import here" in str(check_tests(tests)), tests
    optional = "try:\n    import pandas\nexcept ImportError:\n    pandas = None"
    assert check_tests({"form": "asserts", "asserts": ["assert f(3) == 9"], "setup": optional}) is None
    assert check_tests({"form": "asserts", "asserts": ["assert np.isclose(f(3), 9)"]}) is None


def test_isolation_none_is_possible_and_visible() -> None:
    verifier = PythonTests(workers=1, isolation="none", timeout_seconds=2.0)
    rows = [Rollout("", f"```python\n{ADD}\n```", columns={"tests": CALLS})]
    rows.append(Rollout("", "```python\nopen('mark', 'w').close()\nadd = None\n```", columns={"tests": CALLS}))
    good, bad = verifier.judge(rows)
    verifier.close()
    assert (good.score, good.evidence["isolation"]) == (1.0, "none")
    assert (bad.score, bad.reason) == (0.0, "crashed")


def test_without_isolation_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rewards.sandbox.backends.bubblewrap.shutil.which", lambda _: None)
    verifier = PythonTests(workers=1, isolation="bubblewrap")
    with pytest.raises(IsolationUnavailable, match=r"bwrap is not installed.*apt-get install bubblewrap"):
        verifier.judge([Rollout("", f"```python\n{ADD}\n```", columns={"tests": CALLS})])
    verifier.close()


REFUSED = """
from rewards import IsolationUnavailable, Rollout
from rewards.kinds.python_tests.verifier import PythonTests
tests = {"form": "calls", "entry_point": "f", "calls": [[]], "outputs": [1]}
try:
    PythonTests(workers=1).judge([Rollout("", "```python\\ndef f(): return 1\\n```", columns={"tests": tests})])
except IsolationUnavailable as error:
    print(error)
"""


def test_where_namespaces_are_refused_the_error_says_what_to_allow() -> None:
    """As in a container: a user namespace in which no other can be made, and no other rights."""
    if shutil.which("bwrap") is None:
        pytest.skip("bwrap, which makes the container, is not installed")
    container = ["bwrap", "--unshare-user", "--disable-userns", "--uid", "1000", "--bind", "/", "/", "--dev", "/dev"]
    command = [*container, sys.executable, "-c", REFUSED]
    path = str(Path(__file__).parents[2])
    found = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    if found.returncode and "bwrap:" in found.stderr:
        pytest.skip(found.stderr)
    assert found.stdout.startswith("no program was run, because nothing here can isolate one"), found
    assert "bubblewrap in a user namespace" in found.stdout
    assert "namespaces in a user namespace: unshare" in found.stdout
    assert "--privileged for a container" in found.stdout


HOSTILE = ["\n", " ", " \n", "\t", "a ", "a\n", ", ", "import a\n", "import "]


@pytest.mark.parametrize("piece", HOSTILE, ids=repr)
def test_an_answer_is_read_in_time_that_grows_no_faster_than_it(piece: str) -> None:
    start = time.process_time()
    for text in (piece * 50_000, f"a{piece * 50_000}", f"import{piece * 50_000}"):
        programs, _ = program_texts(text, {"f"})
        needs_equipment(programs[0] if programs else text)
    assert time.process_time() - start < 5.0
