"""Rewards of one's own: a function in TRL's signature or a verifier, in a process that can be ended, with errors in words."""

import copy
from pathlib import Path
from typing import Any

import pytest

import rewards
from rewards.own.loading import beside, code_files

HERE = Path(__file__).parent
FILE = HERE / "own_reward_functions.py"


def own(name: str, **spec: Any) -> dict[str, Any]:
    return {"kind": f"{FILE}:{name}", **spec}


def judged(spec: dict[str, Any], texts: list[str], **columns: Any) -> list[rewards.Verdict]:
    asked = [[{"role": "user", "content": "What?"}]] * len(texts)
    turns = [[{"role": "assistant", "content": text}] for text in texts]
    with rewards.reward_function([spec]) as reward:
        return [verdict for row in reward.verdicts(asked, turns, None, **columns) for verdict in row.values()]


def scores(spec: dict[str, Any], texts: list[str], **columns: Any) -> list[float | None]:
    return [one.score for one in judged(spec, texts, **columns)]


def test_a_function_in_trls_signature_scores_texts_messages_and_columns_with_options_from_the_recipe() -> None:
    assert scores(own("brevity"), ["a" * 50 + " ", "b"]) == [0.75, 0.995]
    assert scores(own("brevity", longest=100), ["a" * 50]) == [0.5]
    assert scores(own("holds_answer"), ["It is 7.", "8"], answer=["7", "7"]) == [1.0, 0.0]
    assert scores(own("typed"), ["abc"]) == [3.5], "an annotation says that completions are texts"
    assert scores(own("of_the_mode"), ["a", "b"], mode=["thinking", "non_thinking"]) == [1.0, None], "async, too"


def test_a_verifier_class_judges_rollouts_and_a_row_without_its_column_is_not_its_own() -> None:
    found = judged(own("Palindrome"), ["Anna", "Anna", "No"], letters=[4, None, 2], mode=["thinking"] * 3)
    assert [(one.score, one.reason) for one in found] == [(1.0, "palindrome"), (None, "not_applicable"), (0.0, "none")]
    assert found[0].evidence == {"mode": "thinking"}
    assert scores(own("Palindrome", ignore_case=False), ["Anna"], letters=[4]) == [0.0]


def test_weights_names_and_gates_are_those_of_every_reward() -> None:
    specs = [own("brevity", weight=2.0), {"kind": "math_answer"}]
    with rewards.reward_function(specs) as reward:
        assert [one.name for one in reward.components] == ["brevity", "math_answer"]
        assert reward(["q"], ["a" * 100], answer=["7"]) == [1.0]
        copied = copy.deepcopy(reward)
        assert copied(["q"], ["7"], answer=["7"]) == [pytest.approx(2 * 0.995 + 1)]
        copied.close()


def test_only_the_rows_at_fault_of_a_failed_batch_are_unknown_and_say_why() -> None:
    texts = ["a", "hang", "exit", "b", "large", "aa"]
    found = judged(own("hard", timeout_seconds=0.6, memory_mib=1024), texts)
    assert [one.score for one in found] == [1.0, None, None, None, None, 0.5]
    assert [one.reason for one in found] == ["scored", "timed_out", "crashed", "raised", "raised", "scored"]
    assert "ZeroDivisionError" in found[3].evidence["detail"] and found[3].evidence["detail"].startswith(FILE.name)
    assert "MemoryError" in found[4].evidence["detail"]


def test_a_function_that_compares_a_batch_is_never_called_with_a_part_of_it() -> None:
    spec = own("best_of_batch", whole_batch=True, timeout_seconds=0.8)
    assert scores(spec, ["a", "aaa", "aa"]) == [0.0, 1.0, 0.0]
    assert [one.reason for one in judged(spec, ["a", "hang"])] == ["timed_out"] * 2


def test_a_reward_that_hangs_on_everything_ends_the_batch_and_is_named() -> None:
    with (
        rewards.reward_function([own("best_of_batch", timeout_seconds=0.3)]) as reward,
        pytest.raises(rewards.VerdictsUnavailable, match=r"'best_of_batch' could not judge 12 of 12 .* 'timed_out'"),
    ):
        reward(["q"] * 12, ["hang"] * 12)


def test_what_is_returned_is_looked_at_before_it_is_a_score() -> None:
    found = judged(own("odd"), ["a"] * 5)
    assert [one.score for one in found] == [None, None, None, 1.0, None]
    assert [one.reason for one in found] == ["not_finite", "not_a_number", "returned_none", "scored", "not_applicable"]
    assert judged(own("one_for_all"), ["a", "b"])[0].evidence["detail"] == "it returned 1 scores for 2 completions"
    assert "a list of numbers is needed" in judged(own("words"), ["a"])[0].evidence["detail"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("trainers", "needs `trainer_state`, which is the trainer's own"),
        ("of_one", "does not take `completions`, a list with one completion for each row"),
        ("with_reserved", "`weight` is a key of every reward in a recipe"),
        ("NoVerifier", "a class without `judge`, NoVerifier"),
        ("time", "it is a module"),
        ("brevitty", "own_reward_functions.py has no `brevitty`; did you mean `brevity`?"),
    ],
)
def test_code_that_is_no_reward_is_refused_with_what_to_write(name: str, said: str) -> None:
    assert said in " ".join(rewards.spec_faults([own(name)]))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1\nimport a_module_that_nobody_has\n", "mine.py:2: ModuleNotFoundError: No module named"),
        ("x = 1\n\ndef f(:\n", "mine.py:3: SyntaxError"),
        ("class Own(Exception): ...\n\n\nraise Own('at once')\n", "mine.py:4: Own: at once"),
        ("import os\nos._exit(4)\n", "ends its process"),
    ],
)
def test_code_that_cannot_be_imported_is_named_with_its_line(tmp_path: Path, code: str, said: str) -> None:
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    assert said in " ".join(rewards.spec_faults([{"kind": f"{tmp_path}/mine.py:f"}]))


def test_options_are_checked_as_those_of_every_kind() -> None:
    assert rewards.spec_faults([own("brevity", longst=3)]) == [
        f"reward 1: {FILE}:brevity has no option 'longst'; did you mean 'longest'?"
    ]
    assert "longest must be int, not 'x'" in rewards.spec_faults([own("brevity", longest="x")])[0]
    assert "timeout_seconds must be above 0" in rewards.spec_faults([own("brevity", timeout_seconds=0.0)])[0]
    assert rewards.row_columns(f"{FILE}:holds_answer") == {"answer"}


def test_a_module_beside_the_recipe_is_found_by_its_name_and_its_imports_are_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "rewards.py").write_text("from words import f\n", encoding="utf-8")
    (tmp_path / "words.py").write_text("def f(completions):\n    return [0.5] * len(completions)\n", encoding="utf-8")
    name = beside("python:rewards.f", tmp_path)
    assert name == f"{tmp_path}/rewards.py:f"
    assert scores({"kind": name}, ["a"]) == [0.5], "a file may be called as a package is that is imported already"
    before = code_files(name)
    assert set(before) == {"rewards.py", "words.py"}
    (tmp_path / "words.py").write_text("def f(completions):\n    return [1.0] * len(completions)\n", encoding="utf-8")
    assert code_files(name)["words.py"] != before["words.py"]
    assert scores({"kind": name}, ["a"]) == [1.0]


def test_every_file_of_a_package_is_part_of_a_reward_also_two_of_one_name(tmp_path: Path) -> None:
    for folder in ("mine", "mine/first", "mine/second"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "words.py").write_text("LONGEST = 3\n", encoding="utf-8")
    for half in ("first", "second"):
        (tmp_path / "mine" / half / "parts.py").write_text("SHORT = 1\n", encoding="utf-8")
    (tmp_path / "mine" / "score.py").write_text(
        "from mine.first import parts\nfrom .second import parts as others\nimport words\n\n\n"
        "def f(completions):\n    return [1.0] * len(completions)\n",
        encoding="utf-8",
    )
    name = f"{tmp_path}/mine/score.py:f"
    for file in ("mine/first/parts.py", "mine/second/parts.py", "words.py"):
        before = code_files(name)
        (tmp_path / file).write_text("CHANGED = 1\n", encoding="utf-8")
        assert {one for one, found in code_files(name).items() if before[one] != found} == {file}


def test_bytes_are_no_list_of_scores_and_numpy_in_a_verdict_is_one(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(
        "import numpy\nfrom rewards import Verdict\n\n\ndef raw(completions):\n    return bytes(len(completions))\n\n\n"
        "def exact(completions):\n    return [Verdict(numpy.float32(0.5), 'half') for _ in completions]\n",
        encoding="utf-8",
    )
    assert scores({"kind": f"{tmp_path}/odd.py:raw"}, ["a", "b"]) == [None, None]
    assert scores({"kind": f"{tmp_path}/odd.py:exact"}, ["a", "b"]) == [0.5, 0.5]
