"""`alignment evaluate` on the embedded model as a user starts it: tasks, conversations, constraints, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from alignment.commands.evaluate.options import EvaluateOptions
from alignment.core.errors import AlignmentError
from rewards.kinds.instruction.constraints import CONSTRAINTS
from smoke.processes import alignment

BASE = Path(__file__).parents[2] / "data" / "base"
SMALL = ("--engine", "transformers", "--max-completion-tokens", 24)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Six problems of each of three tasks, one of them from a file, and four conversations of two turns."""
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    row = {"prompt": "Name a fish.", "instruction_id_list": ["punctuation:no_comma", "keywords:existence"]}
    kwargs = [{}, {"keywords": ["cod"]}]
    file.write_text(
        "\n".join(json.dumps(row | {"kwargs": kwargs, "key": index}) for index in range(3)), encoding="utf-8"
    )
    done = alignment(
        "evaluate", BASE, "--tasks", "chain-sum,constraints,ifeval", "--file", f"ifeval={file}", "--count", 6,
        "--follow-turns", 2, "--follow-count", 4, *SMALL, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_model_folder_is_measured_in_both_modes_on_the_tasks_that_are_named(measured: dict[str, Any]) -> None:
    assert measured["stage"] == "base"
    for mode in ("thinking", "non_thinking"):
        assert [task["task"] for task in measured[mode]["tasks"]] == ["chain-sum", "constraints", "ifeval"]
        assert measured[mode]["count"] == 6 + 6 + 3


def test_its_conversations_are_its_own(measured: dict[str, Any]) -> None:
    follow = measured["follow"]
    assert (follow["conversations"], follow["turns"]) == (4, 2)
    assert follow["count"] + follow["left_out"] == 8
    assert follow["obeyed_low"] <= follow["obeyed"] <= follow["obeyed_high"]
    assert len(follow["samples"]) == 4
    for turn in (turn for talk in follow["samples"] for turn in talk):
        thought = "<think>" in turn["text"] and bool(turn["text"].split("<think>")[1].split("</think>")[0].strip())
        assert turn["obeyed"] == (thought == (turn["asked"] == "thinking"))


def test_its_constraints_are_compared_task_by_task(measured: dict[str, Any]) -> None:
    own, public = measured["constraints"]["tasks"]
    assert (own["task"], own["problems"], public["task"], public["problems"]) == ("constraints", 6, "ifeval", 3)
    assert {one["type"] for one in own["types"]} <= set(CONSTRAINTS)
    assert [one["type"] for one in public["types"]] == ["keywords:existence", "punctuation:no_comma"]
    asked = {(one["demand"], one["reading"]): one["constraints"] for one in public["demands"]}
    assert (asked["planning", "strict"], asked["precision", "strict"], asked["all", "loose"]) == (0, 6, 6)
    for one in (*own["demands"], *public["demands"]):
        if one["difference"] is not None:
            assert one["difference"] == pytest.approx(one["thinking"] - one["non_thinking"], abs=2e-4)
            assert one["difference_low"] <= one["difference"] <= one["difference_high"]
    # The base model has never seen a think block, and the figures say so before anyone believes them.
    assert any("of the answers thought" in caution for caution in own["cautions"])


def test_a_person_is_shown_tables_and_what_to_know_before_believing_them() -> None:
    done = alignment("evaluate", BASE, "--tasks", "constraints", "--count", 3, "--follow-count", 2, *SMALL)
    assert done.returncode == 0, done.stderr
    for said in (
        "follow %",
        "Where thinking helps and where it hurts, constraints",
        "planning",
        "constraints: in thinking",
    ):
        assert said in done.stdout
    assert "several turns" not in done.stdout, "there were none"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "write --tasks with names from data/sources/"),
        ({"tasks": "constraint"}, "there is no source `constraint`; did you mean `constraints`?"),
        ({"tasks": "gsm8k-train"}, "`gsm8k-train` is for training"),
        ({"tasks": "ifeval", "files": ("ifeval=no.jsonl",)}, "there is no file 'no.jsonl'"),
        ({"tasks": "constraints", "files": ("constraints=x",)}, "a file can replace none of these tasks"),
        ({"tasks": "constraints", "changes": (("follow_turns", 0),)}, "follow_turns: "),
        ({"tasks": "constraints", "stage": "cold_start"}, "is a model folder and has no stages"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_starts(options: dict[str, Any], said: str) -> None:
    with pytest.raises(AlignmentError) as refused:
        EvaluateOptions(BASE, **options).work()
    assert said in str(refused.value)
