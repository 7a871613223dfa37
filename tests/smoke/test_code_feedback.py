"""Programs as answers, from imitation to RL and measuring: what a policy writes is run, in isolation, and paid if it passes."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from alignment.data.sources.named import load_source
from alignment.data.tables.fields import SHOWN
from alignment.records.run_folder import RunFolder
from rewards import machine_fault
from smoke.processes import alignment
from smoke.small_recipe import ROLLOUT, write_recipe

HERE = machine_fault({"kind": "python_tests"})
pytestmark = pytest.mark.skipif(bool(HERE), reason=f"nothing isolates programs here: {HERE}")


def task(number: int, added: int, solution: str = "", shown: int = 1, word: str = "Add") -> dict[str, Any]:
    """A row as MBPP's file has it; the question shows the value at `shown`."""
    asserts = [f"assert f({one})=={one + added}" for one in (shown, 5, 20)]
    program = solution or f"def f(x):\n    return x + {added}"
    return {"task_id": number, "text": f"{word} {added}.", "code": program, "test_list": asserts, "test_setup_code": ""}


def questions(half: int, first: int) -> list[dict[str, Any]]:
    """Eight tasks, numbered from `first`: of all combinations of word, number and shown value, one half or the other."""
    combinations = [(w, a, s) for w in (0, 1) for a in (3, 4) for s in (1, 2, 3, 4) if (w + a + s) % 2 == half]
    return [
        task(first + number, added, shown=shown, word=("Add", "Sum")[word])
        for number, (word, added, shown) in enumerate(combinations)
    ]


def chat(row: dict[str, Any]) -> dict[str, Any]:
    """The answer that a row's own program is, to the question as the source asks it."""
    question = f"{row['text']}{SHOWN}{row['test_list'][0]}{load_source('mbpp-train').instruction}"
    answer = f"```python\n{row['code']}\n```"
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def recipe_of(folder: Path, tasks: list[dict[str, Any]]) -> Path:
    """Imitation of such answers, then two steps of RL, measured on questions that show another value."""
    imitation = {
        "name": "imitation", "kind": "sft", "data": [{"source": "smoltalk"}], "max_length": 320, "packing": False,
        "trainer": {"max_steps": 150, "per_device_train_batch_size": 4, "learning_rate": 3.0e-3},
    }  # fmt: skip
    rollout = {**ROLLOUT, "max_prompt_tokens": 200, "max_completion_tokens": 64, "thinking_fraction": 0.0}
    rewards = [{"kind": "python_tests"}, {"kind": "think_format", "weight": 0.1}]
    code_rl = {
        "name": "code_rl", "kind": "grpo", "data": [{"source": "mbpp-train"}], "rollout": rollout, "rewards": rewards,
        "micro_batch": 8, "trainer": {"max_steps": 2, "learning_rate": 1.0e-5},
    }  # fmt: skip
    measured = {
        "after_each_stage": ["mbpp-test"], "count": 8, "follow_count": 2, "max_prompt_tokens": 200,
        "max_completion_tokens": 96, "engine": "transformers",
    }  # fmt: skip
    chats = [chat(row) for row in questions(0, first=601)] * 15
    files = {
        "smoltalk": {"path": write(folder / "chats.jsonl", chats)},
        "mbpp-train": {"path": write(folder / "train.jsonl", tasks)},
        "mbpp-test": {"path": write(folder / "test.jsonl", questions(1, first=11))},
    }
    return write_recipe(folder / "code.yaml", imitation, code_rl, evaluations=measured, data={"sources": files})


def test_what_a_policy_writes_is_run_in_training_and_in_measuring(tmp_path: Path) -> None:
    left_out = task(5, 1, solution="def f(x):\n    return None")  # of another part, and no reference at all
    tasks = [*questions(0, first=601), left_out]
    done = alignment("run", recipe_of(tmp_path, tasks), "--run", tmp_path / "run")
    assert done.returncode == 0, done.stdout + done.stderr
    stage = RunFolder(tmp_path / "run").find("code_rl")
    rollouts = [json.loads(line) for line in stage.rollouts.read_text(encoding="utf-8").splitlines()]
    verdicts = [row["verdicts"]["python_tests"] for row in rollouts]
    assert {row["problem"].split("/")[0] for row in rollouts} == {"mbpp-train"} and len(rollouts) == 32
    assert {one["score"] for one in verdicts} <= {0.0, 1.0}, Counter(one["reason"] for one in verdicts)
    passed = [row for row, one in zip(rollouts, verdicts, strict=True) if one["score"] == 1.0]
    assert passed and all("return x + " in row["text"] for row in passed)
    measured = json.loads((stage.evaluations / "non_thinking.json").read_text(encoding="utf-8"))
    assert measured["unknown"] == 0 and measured["accuracy"] > 0.2, measured["samples"]
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "The same question, stage by stage" in page and "expected </span>" not in page, "a program has no one answer"


def test_a_task_whose_own_program_fails_its_tests_stops_the_run_before_it_starts(tmp_path: Path) -> None:
    broken = task(602, 2, solution="def f(x):\n    return x + 3")
    done = alignment("check", recipe_of(tmp_path, [task(601, 1), broken]))
    assert done.returncode != 0
    told = " ".join((done.stdout + done.stderr).split())
    assert "1 of 2 sampled references of `mbpp-train` do not pass python_tests as an answer (wrong_answer 1)" in told
