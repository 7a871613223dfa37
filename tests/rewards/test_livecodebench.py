"""Rows of LiveCodeBench's form: problems of Codeforces, AtCoder and LeetCode, each with a solution of our own.

A row has what that benchmark's rows have: tests with input, output and `testtype`, and for functions the starter code.
`column_tests` brings it to the column `tests`, as docs/rewards.md says it. Solutions use names that the harness imports.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from isolation import verifier_here

from rewards import Rollout, check_tests
from rewards.kinds.python_tests.verifier import PythonTests


@dataclass(frozen=True)
class Problem:
    """A problem as the benchmark has it, a right program, and one that is wrong in one place."""

    name: str
    cases: tuple[tuple[str, str], ...]  # input, output
    right: str
    wrong: tuple[str, str]  # what to replace in the right program, and by what
    starter: str = ""
    function: str = ""

    @property
    def row(self) -> dict[str, Any]:
        """The row's fields, under the benchmark's names."""
        kind = "functional" if self.function else "stdin"
        tests = [{"input": given, "output": wanted, "testtype": kind} for given, wanted in self.cases]
        metadata = json.dumps({"func_name": self.function} if self.function else {})
        return {"public_test_cases": json.dumps(tests), "starter_code": self.starter, "metadata": metadata}


def column_tests(row: dict[str, Any]) -> dict[str, Any]:
    """The column `tests` of a row of LiveCodeBench."""
    cases = json.loads(row["public_test_cases"])
    inputs, outputs = [one["input"] for one in cases], [one["output"] for one in cases]
    if cases[0]["testtype"] == "stdin":
        return {"form": "stdio", "inputs": inputs, "outputs": outputs}
    calls = [[json.loads(line) for line in given.splitlines()] for given in inputs]
    name = json.loads(row["metadata"])["func_name"]
    return {"form": "calls", "entry_point": name, "calls": calls, "outputs": [json.loads(one) for one in outputs]}


PROBLEMS = (
    Problem(
        "Codeforces 4A: can a watermelon of w kilos be divided into two even parts?",
        (("8\n", "YES\n"), ("2\n", "NO\n"), ("7\n", "NO\n")),
        "w = int(input())\nprint('YES' if w > 2 and w % 2 == 0 else 'NO')",
        ("w > 2 and ", ""),
    ),
    Problem(
        "Codeforces 71A: words of more than ten letters are shortened to first, count, last",
        (("3\nword\nlocalization\nabcdefghij\n", "word\nl10n\nabcdefghij\n"),),
        "import sys\nfor word in sys.stdin.read().split()[1:]:\n"
        "    print(word if len(word) <= 10 else f'{word[0]}{len(word) - 2}{word[-1]}')",
        ("<= 10", "< 10"),
    ),
    Problem(
        "Codeforces 1A: how many square flagstones of side a cover n by m?",
        (("6 6 4\n", "4"), ("1000000000 1000000000 1\n", "1000000000000000000")),
        "n, m, a = map(int, input().split())\nprint(-(-n // a) * -(-m // a))",
        ("-(-m // a)", "(m // a)"),
    ),
    Problem(
        "AtCoder ABC081B: how often can all numbers be halved?",
        (("3\n8 12 40\n", "2\n"), ("4\n5 6 8 10\n", "0\n")),
        "from sys import stdin\nn, *numbers = map(int, stdin.read().split())\nsteps = 0\n"
        "while all(x % 2 == 0 for x in numbers):\n    numbers = [x // 2 for x in numbers]\n    steps += 1\nprint(steps)",
        ("steps = 0", "steps = 1"),
    ),
    Problem(
        "AtCoder: the mean of numbers, to 1e-6",
        (("3\n1 2 2\n", "1.666666667\n"),),
        "def main():\n    n = int(input())\n    print(sum(map(int, input().split())) / n)\n\nif __name__ == '__main__':\n    main()",
        ("/ n", "// n"),
    ),
    Problem(
        "LeetCode 1: two numbers of a list that add up to a target, by position",
        (("[2,7,11,15]\n9", "[0, 1]"), ("[3,2,4]\n6", "[1, 2]")),
        "class Solution:\n    def twoSum(self, nums: List[int], target: int) -> List[int]:\n        seen = {}\n"
        "        for i, x in enumerate(nums):\n            if target - x in seen:\n                return [seen[target - x], i]\n"
        "            seen[x] = i\n        return []",
        ("[seen[target - x], i]", "[i, seen[target - x]]"),
        "class Solution:\n    def twoSum(self, nums: List[int], target: int) -> List[int]:\n        ",
        "twoSum",
    ),
    Problem(
        "LeetCode 347: the k commonest numbers, the commonest first",
        (("[1,1,1,2,2,3]\n2", "[1, 2]"), ("[1]\n1", "[1]")),
        "class Solution:\n    def topKFrequent(self, nums: List[int], k: int) -> List[int]:\n"
        "        return [x for x, _ in Counter(nums).most_common(k)]",
        ("most_common(k)", "most_common(1)"),
        "class Solution:\n    def topKFrequent(self, nums: List[int], k: int) -> List[int]:\n        ",
        "topKFrequent",
    ),
    Problem(
        "LeetCode 3: the longest part of a text without a letter twice",
        (('"abcabcbb"', "3"), ('""', "0"), ('"pwwkew"', "3")),
        "class Solution:\n    def lengthOfLongestSubstring(self, s: str) -> int:\n        last, start, best = {}, 0, 0\n"
        "        for i, c in enumerate(s):\n            start = max(start, last.get(c, -1) + 1)\n            last[c] = i\n"
        "            best = max(best, i - start + 1)\n        return best",
        ("i - start + 1", "i - start"),
        "class Solution:\n    def lengthOfLongestSubstring(self, s: str) -> int:\n        ",
        "lengthOfLongestSubstring",
    ),
    Problem(
        "LeetCode 322: the fewest coins that make an amount, -1 where none do; nested deeper than 1,000 calls",
        (("[1,2,5]\n11", "3"), ("[2]\n3", "-1"), ("[1]\n5000", "5000")),
        "class Solution:\n    def coinChange(self, coins: List[int], amount: int) -> int:\n        @cache\n"
        "        def fewest(rest):\n            if rest == 0:\n                return 0\n"
        "            return min((fewest(rest - c) + 1 for c in coins if c <= rest), default=inf)\n"
        "        found = fewest(amount)\n        return -1 if found == inf else found",
        ("-1 if found == inf else found", "found"),
        "class Solution:\n    def coinChange(self, coins: List[int], amount: int) -> int:\n        ",
        "coinChange",
    ),
    Problem(
        "LeetCode 215: the k-th largest, with a heap",
        (("[3,2,1,5,6,4]\n2", "5"), ("[3,2,3,1,2,4,5,5,6]\n4", "4")),
        "class Solution:\n    def findKthLargest(self, nums: List[int], k: int) -> int:\n        heap = []\n"
        "        for x in nums:\n            heappush(heap, x)\n            if len(heap) > k:\n                heappop(heap)\n"
        "        return heap[0]",
        ("> k", "> k + 1"),
        "class Solution:\n    def findKthLargest(self, nums: List[int], k: int) -> int:\n        ",
        "findKthLargest",
    ),
    Problem(
        "LeetCode 56: intervals that overlap, merged",
        (("[[1,3],[2,6],[8,10]]", "[[1, 6], [8, 10]]"), ("[[1,4],[4,5]]", "[[1, 5]]")),
        "class Solution:\n    def merge(self, intervals: List[List[int]]) -> List[List[int]]:\n        merged = []\n"
        "        for low, high in sorted(intervals):\n            if merged and low <= merged[-1][1]:\n"
        "                merged[-1][1] = max(merged[-1][1], high)\n            else:\n                merged.append([low, high])\n"
        "        return merged",
        ("low <= merged", "low < merged"),
        "class Solution:\n    def merge(self, intervals: List[List[int]]) -> List[List[int]]:\n        ",
        "merge",
    ),
)


@pytest.fixture(scope="module")
def verifier() -> Iterator[PythonTests]:
    yield from verifier_here(workers=2)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda one: one.name.split(":")[0])
def test_a_reference_solution_passes_and_one_wrong_place_fails(verifier: PythonTests, problem: Problem) -> None:
    tests = column_tests(problem.row)
    assert check_tests(tests) is None
    wrong = problem.right.replace(*problem.wrong)
    assert wrong != problem.right
    programs = [problem.right, wrong]
    if problem.starter:  # as the benchmark's prompt gives it, with nothing filled in
        programs.append(f"{problem.starter}pass")
    rows = [Rollout("", f"```python\n{one}\n```", columns={"tests": tests}) for one in programs]
    verdicts = verifier.judge(rows)
    assert [one.score for one in verdicts] == [1.0] + [0.0] * (len(programs) - 1), verdicts
