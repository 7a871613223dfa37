"""The registry: specs are checked by name and type before anything starts, and the package stays light."""

import subprocess
import sys
from pathlib import Path
from typing import Literal, NoReturn

import pytest

from rewards import (
    VERIFIERS,
    IsolationUnavailable,
    Option,
    RewardSpecError,
    machine_faults,
    reward_function,
    spec_faults,
    verdicts,
    verifier_options,
)

REPOSITORY = Path(__file__).parents[2]

FAULTS = [
    ([], "no rewards"),
    ([{"weight": 1.0}], "it has no `kind`"),
    ([{"kind": "math_anwser"}], "no reward kind 'math_anwser'; did you mean 'math_answer'?"),
    ([{"kind": "math_answer", "wieght": 1.0}], "no option 'wieght'; did you mean 'weight'?"),
    ([{"kind": "math_answer", "require_box": True}], "no option 'require_box'; did you mean 'require_boxed'?"),
    ([{"kind": "think_format", "zzz": 1}], "no option 'zzz'; there are: kind, name, weight, gate, clip"),
    ([{"kind": "math_answer", "timeout_seconds": "8"}], "timeout_seconds must be float, not '8'"),
    ([{"kind": "math_answer", "workers": True}], "workers must be int, not True"),
    ([{"kind": "python_tests", "isolation": "docker"}], "isolation must be one of auto, bubblewrap, namespaces, none"),
    ([{"kind": "math_answer", "weight": float("nan")}], "weight must be a finite number"),
    ([{"kind": "math_answer", "gate": 1}], "gate must be true or false"),
    ([{"kind": "math_answer", "clip": [1.0, 0.0]}], "clip must be [lowest, highest]"),
    ([{"kind": "math_answer"}, {"kind": "math_answer"}], "2 rewards are called 'math_answer'"),
]


@pytest.mark.parametrize(("specs", "message"), FAULTS)
def test_a_spec_that_cannot_work_says_what_to_write_instead(specs: list[dict[str, object]], message: str) -> None:
    assert message in "\n".join(spec_faults(specs))
    with pytest.raises(RewardSpecError):
        reward_function(specs)


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(RewardSpecError) as caught:
        reward_function([{"kind": "math_answer", "weight": "1", "gate": 1}, {"kind": "nothing"}])
    assert len(caught.value.faults) == 3


def test_options_are_known_without_making_a_verifier() -> None:
    assert verifier_options("math_answer") == {
        "require_boxed": Option(bool, False),
        "timeout_seconds": Option(float, 5.0),
        "workers": Option(int, 2),
    }
    assert verifier_options("think_format") == {}
    assert verifier_options("instruction")["reading"] == Option(Literal["strict", "loose"], "strict")
    assert {"instruction", "language", "length", "math_answer", "repetition", "think_format"} <= set(VERIFIERS)


def test_specs_become_components_in_their_order() -> None:
    specs = [
        {"kind": "think_format", "gate": True, "weight": 0},
        {"kind": "math_answer", "name": "maths", "weight": 2, "clip": [0, 1], "require_boxed": True},
    ]
    form, maths = reward_function(specs).components
    assert (form.name, form.gate, form.weight) == ("think_format", True, 0.0)
    assert (maths.name, maths.weight, maths.clip) == ("maths", 2.0, (0.0, 1.0))


def test_verdicts_are_given_by_name_with_their_reasons() -> None:
    judge = verdicts([{"kind": "math_answer"}, {"kind": "think_format", "name": "form"}])
    rows = judge(["q", "q"], ["7", "8"], answer=["7", "7"], mode=["non_thinking", "thinking"])
    assert [(row["math_answer"].score, row["form"].score) for row in rows] == [(1.0, 1.0), (0.0, pytest.approx(0.2))]
    assert rows[1]["math_answer"].reason == "different_number"


def test_importing_rewards_loads_neither_torch_nor_a_computer_algebra_system() -> None:
    heavy = ("torch", "transformers", "trl", "numpy", "sympy", "math_verify", "httpx", "alignment")
    code = f"import sys; from rewards import *; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def refuse(*_: object) -> NoReturn:
    raise IsolationUnavailable("no jail here")


def test_what_this_machine_cannot_judge_is_reported_at_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = [{"kind": "think_format"}, {"kind": "python_tests"}]
    monkeypatch.setattr("rewards.sandbox.workers.choose", refuse)
    assert machine_faults(specs) == ["reward 2: no jail here"]
    assert machine_faults([*specs[:1], {"kind": "python_tests", "timeout": 1}]) == [], "told by spec_faults"
