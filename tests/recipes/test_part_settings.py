"""A setting of a mixture part that is not read, or a mode that its rows do not have, is refused before anything starts."""

from pathlib import Path
from typing import Any

import pytest
from what_check_says import what_check_says

CHAT = '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n'
PROBLEMS = (
    '{"problem": "1 + 1?", "answer": 2, "solution": "one more"}\n{"problem": "1 + 2?", "answer": 3, "solution": null}\n'
)


def said(folder: Path, rows: str, kind: str = "sft", **part: Any) -> str:
    (folder / "rows.jsonl").write_text(rows, encoding="utf-8")
    stage: dict[str, Any] = {"name": "one", "kind": kind, "data": [{"source": "rows.jsonl", **part}], "max_length": 512}
    if kind == "grpo":
        del stage["max_length"]
        stage |= {"rewards": [{"kind": "math_answer"}], "micro_batch": 4}
        stage |= {"rollout": {"engine": "transformers", "generations": 2, "problems_per_step": 2,
                               "max_prompt_tokens": 64, "max_completion_tokens": 8}}  # fmt: skip
    recipe = {"name": "own", "model": "embedded", "hardware": {"accelerate": "cpu"}, "stages": [stage]}
    return what_check_says(folder / "recipe.yaml", recipe)


@pytest.mark.parametrize(
    ("kind", "rows", "part", "words"),
    [
        (
            "sft",
            CHAT,
            {"mode": "thinking"},
            "found thinking, and 1 of 1 rows do not think: chats are trained as they are",
        ),
        ("sft", CHAT, {"target_lengths": [16]}, "target_lengths: has no effect: it is for problems"),
        ("sft", PROBLEMS, {}, "1 of 2 problems have no worked solution to put into the think block"),
        ("grpo", PROBLEMS, {"mode": "non_thinking"}, "mode: has no effect: a grpo stage takes problems"),
        ("grpo", PROBLEMS, {"flag_fraction": 0.5}, "`rollout.flag_fraction` adds the flags"),
    ],
)
def test_a_part_says_nothing_that_is_not_done(
    tmp_path: Path, kind: str, rows: str, part: dict[str, Any], words: str
) -> None:
    assert words in said(tmp_path, rows, kind, **part)


def test_what_is_done_is_left_alone(tmp_path: Path) -> None:
    assert not said(tmp_path, CHAT, mode="non_thinking", flag_fraction=1.0)
    assert not said(tmp_path, PROBLEMS, mode="non_thinking", target_lengths=[16])


REPLIES = {
    "prose": "Mix flour and water, then bake it for half an hour.",
    "worked": "Tom has 2+3=<<2+3=5>>5 apples.\\n#### 5",
}


@pytest.mark.parametrize("answer", REPLIES.values(), ids=list(REPLIES))
def test_whole_replies_are_not_trained_in_a_box(tmp_path: Path, answer: str) -> None:
    rows = f'{{"question": "How?", "answer": "{answer}"}}\n'
    assert "1 of 1 answers are whole replies" in said(tmp_path, rows, mode="non_thinking")
    assert not said(tmp_path, rows, fields={"prompt": "question", "completion": "answer"})


def test_final_answers_in_words_and_latex_are_no_replies(tmp_path: Path) -> None:
    for answer in (
        "2 hours and 30 minutes",
        r"$\\frac{\\text{two}}{\\sqrt{x}}$ \\text{ and } 5",
        r"so it is \\boxed{3}",
    ):
        assert not said(tmp_path, f'{{"question": "How?", "answer": "{answer}"}}\n', mode="non_thinking")


def test_what_is_written_beside_a_stage_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(CHAT, encoding="utf-8")
    stages = [
        {"name": "first", "kind": "deduplicate", "data": "rows.jsonl"},
        {"name": "one", "kind": "sft", "data": [{"stage": "first", "mode": "thinking", "seed": 3}], "max_length": 512},
    ]
    found = what_check_says(
        tmp_path / "recipe.yaml",
        {"name": "own", "model": "embedded", "hardware": {"accelerate": "cpu"}, "stages": stages},
    )
    assert "mode: has no effect: these are the rows that `first` left" in found and "seed: has no effect" in found
