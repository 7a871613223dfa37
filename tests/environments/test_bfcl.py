"""BFCL's multi-turn part: a reference's calls score 1, a call less scores 0, and a lost simulator is a fault.

Needs the leaderboard's files (ALIGNMENT_BFCL) and its package's folder (ALIGNMENT_BFCL_PACKAGE), which are not in this
repository.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from alignment.data.rows import Problem
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.rollout.environments.bfcl.rows import multi_turn
from alignment.rollout.environments.bfcl.simulator import parsed
from alignment.rollout.environments.calls import as_message
from alignment.rollout.environments.protocol import EnvironmentFault
from alignment.rollout.environments.registry import environment_faults, open_environments
from rewards.kinds.tool_call.schema import read_tools

FILES, PACKAGE = os.environ.get("ALIGNMENT_BFCL", ""), os.environ.get("ALIGNMENT_BFCL_PACKAGE", "")
needs_files = pytest.mark.skipif(not (FILES and PACKAGE), reason="set ALIGNMENT_BFCL and ALIGNMENT_BFCL_PACKAGE")


def problems() -> list[Problem]:
    folder = Path(FILES)
    names = ("BFCL_v4_multi_turn_base.json", "possible_answer_BFCL_v4_multi_turn_base.json")
    rows = multi_turn(*(folder / name for name in names), Path(PACKAGE))
    return [
        Problem(
            row["id"],
            row["prompt"],
            row["answer"],
            tools=json.loads(row["tools"]),
            columns={"scenario": row["scenario"]},
        )
        for row in rows
    ]


def played(problem: Problem, *, left_out: int | None = None) -> Any:
    """The episode of a row's reference, one turn for each of the user's, without one of its calls."""
    environment: Any = open_environments(EnvironmentChoice.model_validate({"kind": "bfcl", "package": PACKAGE})).new()
    environment.reset(problem)
    tools = {one["function"]["name"]: one["function"] for one in problem.tools}
    count = 0
    for turn in json.loads(problem.columns["scenario"])["ground_truth"]:
        calls = []
        for written in turn:
            name, positional, named = parsed(written)
            order = list(tools[name]["parameters"]["properties"])
            if count != left_out:
                call = {"name": name, "arguments": {**dict(zip(order, positional, strict=False)), **named}}
                calls.append(f"<tool_call>\n{json.dumps(call)}\n</tool_call>")
            count += 1
        for call in calls:
            assert environment.step(as_message(call))[0]["role"] == "tool"
        environment.step(as_message("Done."))
    return environment


@needs_files
def test_references_of_some_rows_score_one_and_a_call_less_scores_zero() -> None:
    for problem in problems()[::50]:
        assert read_tools(problem.tools)
        whole, broken = played(problem), played(problem, left_out=0)
        assert (whole.score(), broken.score()) == (1.0, 0.0), problem.id
        whole._process.kill()
        with pytest.raises(EnvironmentFault, match="the BFCL simulator ended"):
            whole.score()
        whole.release()
        broken.release()


@needs_files
@pytest.mark.long
def test_references_of_all_rows_score_one() -> None:
    scores = {}
    for problem in problems():
        environment = played(problem)
        scores[problem.id] = environment.score()
        environment.release()
    assert len(scores) == 200 and {name for name, score in scores.items() if score != 1.0} == set()


def test_without_the_package_check_says_how_to_get_it(tmp_path: Path) -> None:
    (told,) = environment_faults(EnvironmentChoice.model_validate({"kind": "bfcl", "package": str(tmp_path)}))
    assert "there is no bfcl_eval" in told and "pip install --no-deps --target" in told
    assert parsed("sort('final.pdf', reverse=True)") == ("sort", ["final.pdf"], {"reverse": True})
