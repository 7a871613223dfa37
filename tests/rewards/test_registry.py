"""Kinds by name: a new one is one file, another package brings its own by an entry point, a broken one is named."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rewards import Gold, Kind, RewardsError, Rollout, Verdict, is_row_of, reward_function, row_fault, spec_faults
from rewards.audit import audit_kind
from rewards.gold import GoldUnknown, failures_of_gold, gold_columns, has_gold
from rewards.kind import GROUPS, Row
from rewards.registry import BUILT_IN, KINDS

REPOSITORY = Path(__file__).parents[2]


# --- what one file of a kind looks like (docs/rewards.md shows it) ---
class Palindrome:
    """Verifier of the kind `palindrome`: 1.0 for an answer that reads the same backwards, of at least so many letters."""

    columns: tuple[str, ...] = ("letters",)

    def __init__(self, *, ignore_case: bool = True) -> None:
        self.ignore_case = ignore_case

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        return [self._judge(one) for one in rollouts]

    def close(self) -> None:
        """Nothing to end."""

    def _judge(self, rollout: Rollout) -> Verdict:
        wanted = rollout.column("palindrome", "letters")
        if not isinstance(wanted, int):
            return Verdict(None, "letters_unusable", {"letters": wanted})
        text = rollout.answer.casefold() if self.ignore_case else rollout.answer
        letters = [one for one in text if one.isalpha()]
        right = len(letters) >= max(1, wanted) and letters == letters[::-1]
        return Verdict(float(right), "palindrome" if right else "no_palindrome", {"letters": len(letters)})


def gold_palindrome(columns: Mapping[str, Any]) -> str:
    return "a" * max(1, columns["letters"])


def letters_problem(columns: Mapping[str, Any]) -> str | None:
    return None if isinstance(columns.get("letters"), int) else "`letters` must be a whole number"


ROWS = (
    Row("gold", "Never odd or even", 1.0, {"letters": 14}),
    Row("near_miss", "Never odd nor even", 0.0, {"letters": 14}),
    Row("near_miss", "Noon", 0.0, {"letters": 4}, options={"ignore_case": False}),
    Row("garbage", "", 0.0, {"letters": 1}),
    Row("unjudgeable", "noon", None, {"letters": "four"}),
    Row("adversarial", "a", 0.0, {"letters": 1000}),
)

KIND = Kind("palindrome", Palindrome, ROWS, Gold(gold_palindrome, "letters"), letters_problem)
# --- to here ---


@pytest.fixture
def palindrome() -> Iterator[None]:
    KINDS.add(KIND)
    yield
    KINDS.remove("palindrome")


def test_the_documented_example_of_a_kind_is_this_file() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    example = source.split("(docs/rewards.md shows it) ---\n")[1].split("# --- to here ---")[0].strip()
    assert example in (REPOSITORY / "docs" / "rewards.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("palindrome")
def test_a_toy_kind_is_specified_judged_audited_and_has_gold_answers() -> None:
    assert spec_faults([{"kind": "palindrome", "ignore_cases": True}]) == [
        "reward 1: palindrome has no option 'ignore_cases'; did you mean 'ignore_case'?"
    ]
    with reward_function([{"kind": "palindrome"}]) as reward:
        assert reward(["q"] * 2, ["noon", "moon"], letters=[4, 4]) == [1.0, 0.0]
    found = audit_kind("palindrome")
    assert (found.rows, found.misjudged, set(found.groups)) == (len(ROWS), (), set(GROUPS))
    assert failures_of_gold("palindrome", [(1, {"letters": 3})]) == []


@pytest.mark.usefixtures("palindrome")
def test_a_kind_is_asked_about_rows_so_that_nobody_knows_it_by_name() -> None:
    assert row_fault("palindrome", {"letters": "four"}) == "`letters` must be a whole number"
    assert row_fault("palindrome", {"letters": 4}) is None
    assert is_row_of("palindrome", {"letters": 4})
    assert not is_row_of("palindrome", {"letters": None})
    assert (has_gold("palindrome"), gold_columns("palindrome")) == (True, {"letters"})


def test_the_kinds_that_ship_are_asked_about_their_rows() -> None:
    names = {"instruction_id_list": ["punctuation:no_comma", "no:such"], "kwargs": [{}, {}]}
    assert str(row_fault("instruction", names)).startswith("there is no instruction 'no:such'")
    assert "1 constraints and 2 kwargs" in str(row_fault("instruction", {**names, "instruction_id_list": ["x"]}))
    assert row_fault("instruction", {"answer": "7"}) is None, "another kind's row"
    assert "`form` must be one of" in str(row_fault("python_tests", {"tests": {"form": "unittest"}}))
    assert row_fault("python_tests", {"tests": None}) is None
    assert is_row_of("instruction", {"instruction_id_list": ["punctuation:no_comma"]}), "its kwargs may be missing"
    assert not is_row_of("instruction", {"instruction_id_list": []})
    assert is_row_of("tool_call", {"tools": [{"name": "f"}], "calls": []}), "no call is something to ask for"
    assert is_row_of("length", {"budget": None}), "what comes from the sampling is not the row's"
    assert gold_columns("python_tests") == {"tests", "solution"}
    assert not has_gold("think_format")
    assert not has_gold("no_such_kind")
    with pytest.raises(GoldUnknown):
        gold_columns("think_format")


def test_every_kind_that_ships_says_its_own_name() -> None:
    assert {name: KINDS[name].name for name in BUILT_IN} == {name: name for name in BUILT_IN}


PACKAGE = """
from rewards import Kind, Verdict
from rewards.kind import Row


class Rhyme:
    columns = ()

    def judge(self, rollouts):
        return [Verdict(float(one.answer.endswith("sea")), "rhyme") for one in rollouts]

    def close(self):
        pass


KIND = Kind("rhyme", Rhyme, (Row("gold", "the sea", 1.0), Row("garbage", "", 0.0)))
OTHER = Kind("no_rhyme", Rhyme)
"""
SHOWS = """
import json, sys
import rewards, rewards.audit
loaded_early = "their_rhymes" in sys.modules
kinds = list(rewards.VERIFIERS)
with rewards.reward_function([{"kind": "rhyme"}]) as reward:
    scores = reward(["q"] * 2, ["by the sea", "on land"])
problems = [rewards.spec_faults([{"kind": kind}]) for kind in ("broken", "misnamed", "twice", "rime")]
audit = rewards.audit.audit_kind  # test_audit.py goes through the tables of kinds that ship
rewards.audit.audit_kind = lambda kind, **more: audit(kind, () if kind in rewards.registry.BUILT_IN else None, **more)
audits = {one.kind: [one.rows, len(one.misjudged), one.not_audited] for one in rewards.audit.audit_kinds() if one.kind not in rewards.registry.BUILT_IN}
try:
    rewards.VERIFIERS["broken"]
except rewards.RewardsError as error:
    raised = type(error).__name__
print(json.dumps([loaded_early, kinds, scores, problems, audits, raised]))
"""


def install(folder: Path, name: str, version: str, entry_points: list[str]) -> None:
    """A distribution as an installer leaves it: metadata and its entry points."""
    metadata = folder / f"{name}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text("[alignment.verifiers]\n" + "\n".join(entry_points), encoding="utf-8")


def test_other_peoples_packages_register_kinds_and_a_broken_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "their_rhymes.py").write_text(PACKAGE, encoding="utf-8")
    install(
        tmp_path,
        "their-rhymes",
        "1.2",
        ["rhyme = their_rhymes:KIND", "misnamed = their_rhymes:OTHER", "twice = their_rhymes:KIND"],
    )
    (tmp_path / "broken_kind.py").write_text("import a_module_that_nobody_has\n", encoding="utf-8")
    install(
        tmp_path,
        "broken-kind",
        "0.1",
        ["broken = broken_kind:KIND", "twice = broken_kind:KIND", "length = broken_kind:KIND"],
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(tmp_path)])}
    command = [sys.executable, "-c", SHOWS]
    shown = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr[-2000:]
    loaded_early, kinds, scores, problems, audits, raised = json.loads(shown.stdout.splitlines()[-1])
    assert not loaded_early, "a kind is imported when it is first asked for"
    assert set(kinds) == {*BUILT_IN, "rhyme", "broken", "misnamed", "twice"}
    assert scores == [1.0, 0.0]
    broken, misnamed, twice, unknown = (" ".join(found) for found in problems)
    assert "the package broken-kind 0.1 as broken_kind:KIND, which cannot be imported (ModuleNotFoundError" in broken
    assert "a_module_that_nobody_has" in broken
    assert "which is a kind called 'no_rhyme'" in misnamed
    assert "registered by the package broken-kind 0.1 and the package their-rhymes 1.2; uninstall one of them" in twice
    assert "did you mean 'rhyme'" in unknown
    assert audits["rhyme"] == [2, 0, ""]
    assert "broken-kind" in audits["broken"][2]
    assert raised == "KindUnavailable"


def test_every_error_for_a_person_has_one_root() -> None:
    from rewards import IsolationUnavailable, MissingColumn, RewardSpecError, VerdictsUnavailable, WorkerUnavailable

    for error in (
        IsolationUnavailable,
        MissingColumn,
        RewardSpecError,
        VerdictsUnavailable,
        WorkerUnavailable,
        GoldUnknown,
    ):
        assert issubclass(error, RewardsError)
    with (
        pytest.raises(RewardsError, match="Add a column 'mode'"),
        reward_function([{"kind": "think_format"}]) as reward,
    ):
        reward(["q"], ["7"])
