"""The double of a judge: a rule behind the routes of a server, named as a double wherever it is named."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from alignment.checks.recipe import checked
from alignment.core.errors import RecipeError
from alignment.recipe.blocks.judges import Agreement, ServedJudge
from alignment.recipe.blocks.rewards import Reward
from alignment.rollout.judge_agreement import refuse_disagreeing
from alignment.rollout.judges import reward_options
from alignment.run.judges.places import judge_servers
from alignment.run.judges.served import ServedJudges, served_name
from judges.known_verdicts import known_sums
from rewards import Rollout
from rewards.kinds.judge.verifier import Judge


def recipe(folder: Path, **reward: Any) -> Path:
    rollout = {"problems_per_step": 2, "generations": 2, "max_prompt_tokens": 128, "max_completion_tokens": 64}
    spec = {"kind": "judge", "judge": "grader", **reward}
    stage = {"name": "rl", "kind": "grpo", "data": "tiny-reasoning", "rewards": [spec], "rollout": rollout}
    stage |= {"micro_batch": 2, "trainer": {"max_steps": 1}}
    written = {"name": "doubled", "model": "embedded", "hardware": {"accelerate": "cpu"}, "stages": [stage]}
    path = folder / "doubled.yaml"
    path.write_text(yaml.safe_dump({**written, "judges": {"grader": {"model": "double"}}}), encoding="utf-8")
    return path


def boxed(path: Path) -> Path:
    """The same known verdicts with their answers in boxes."""
    path.write_text(re.sub(r"It is (\d+)", r"\\\\boxed{\1}", path.read_text(encoding="utf-8")), encoding="utf-8")
    return path


def test_it_is_served_beside_a_stage_judges_by_its_rule_and_passes_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = checked(recipe(tmp_path), []).recipe
    servers, hidden = judge_servers(found, found.stage("rl"), tmp_path)
    said: list[str] = []
    with ServedJudges(servers, hidden, said.append) as up:
        for name, value in up.environment().items():
            monkeypatch.setenv(name, value)
        until = time.monotonic() + 20
        while servers[0].answered is None and time.monotonic() < until:
            up.tick()
            time.sleep(0.05)
        options = reward_options(Reward(kind="judge", judge="grader"))
        judge = Judge(**{name: one for name, one in options.items() if name not in ("kind", "weight", "gate")})
        answers = [
            r"It is \boxed{42}",
            "It is 42",
            r"\boxed{42} \boxed{43}",
            r"\boxed{7}, which is 42",
            "none",
            "1,042",
        ]
        verdicts = judge.judge([Rollout("6 x 7?", one, columns={"answer": "42"}) for one in answers])
        gate = Agreement(data=str(boxed(known_sums(tmp_path / "known.jsonl"))), least=0.9)
        agreed = refuse_disagreeing("rl", [Reward(kind="judge", judge="grader", agreement=gate)], tmp_path / "kept")
        monkeypatch.setenv("ALIGNMENT_JUDGE_GRADER_KEY", "wrong")
        stranger = Judge(
            **{**{name: one for name, one in options.items() if name not in ("kind", "weight", "gate")}, "retries": 0}
        )
        refused = stranger.judge([Rollout("q", "42", columns={"answer": "42"})])
    assert [one.score for one in verdicts] == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert "-double-" in verdicts[0].evidence["model"] and "-double-" in said[0]
    assert (agreed["judge"].agreement.value, agreed["judge"].planted_passed) == (1.0, 0)
    assert (refused[0].score, refused[0].evidence["status"]) == (None, 401)
    assert servers[0].process is not None and servers[0].process.poll() is not None, "it ends with the stage"


def test_it_is_known_by_its_rule() -> None:
    assert served_name("grader", ServedJudge(model="double")).startswith("grader-double-")


def test_a_form_that_its_rule_does_not_know_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="the judge `grader` is a double, which judges by `form: reference` alone"):
        checked(recipe(tmp_path, form="criteria"), [])
