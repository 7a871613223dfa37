"""The kind `instruction`: shares of constraints, rows that cannot be judged, and IFEval's own rows."""

import json
from pathlib import Path
from typing import Any

import pytest

from rewards import Rollout, Verdict, instruction_fault, reward_function
from rewards.kinds.instruction.verifier import Instruction

IFEVAL = Path(__file__).parents[3] / "shared" / "data" / "ifeval" / "input_data.jsonl"  # beside the repository
NO_COMMA, WORDS = "punctuation:no_comma", "length_constraints:number_words"
SHORT = {"num_words": 5, "relation": "less than"}


def verdict_on(completion: str, names: Any, kwargs: Any, **options: Any) -> Verdict:
    columns = {"instruction_id_list": names, "kwargs": kwargs}
    (verdict,) = Instruction(**options).judge([Rollout("q", completion, columns=columns)])
    return verdict


def test_the_score_is_the_fraction_of_constraints_and_the_evidence_says_which() -> None:
    verdict = verdict_on("Salt, sea.", [NO_COMMA, WORDS], [{}, SHORT])
    assert (verdict.score, verdict.reason) == (0.5, "partly_followed")
    assert verdict.evidence == {"followed": [WORDS], "missed": [NO_COMMA]}
    assert verdict_on("Salt; sea.", [NO_COMMA, WORDS], [{}, SHORT]).score == 1.0


def test_all_or_nothing_gives_nothing_for_a_part() -> None:
    verdict = verdict_on("Salt, sea.", [NO_COMMA, WORDS], [{}, SHORT], all_or_nothing=True)
    assert (verdict.score, verdict.reason) == (0.0, "partly_followed")
    assert verdict_on("Salt.", [NO_COMMA, WORDS], [{}, SHORT], all_or_nothing=True).score == 1.0


def test_only_the_answer_is_judged_and_not_the_thinking() -> None:
    assert verdict_on("<think>\nOne, two.\n</think>\n\nSalt.", [NO_COMMA], [{}]).score == 1.0
    assert verdict_on("<think>\nOne.\n</think>\n\nSalt, sea.", [NO_COMMA], [{}]).score == 0.0


def test_an_empty_answer_follows_nothing_that_it_would_follow_by_saying_nothing() -> None:
    for completion in ("", "<think>\nfor ever", "<think>\na\n</think>\n\n"):
        verdict = verdict_on(completion, [NO_COMMA], [{}])
        assert (verdict.score, verdict.reason) == (0.0, "no_answer")


def test_a_parameter_that_is_none_is_one_that_the_instruction_does_not_have() -> None:
    assert verdict_on("Salt.", [NO_COMMA, WORDS], [{"num_words": None}, {**SHORT, "keywords": None}]).score == 1.0
    assert verdict_on("Salt.", [NO_COMMA], [None]).score == 1.0
    assert verdict_on("Salt.", [NO_COMMA], None).score == 1.0


def test_what_cannot_be_judged_has_no_score_and_is_named() -> None:
    unknown = verdict_on("Salt.", [NO_COMMA, "punctuation:no_full_stop"], [{}, {}])
    assert (unknown.score, unknown.reason) == (None, "instruction_unknown")
    assert unknown.evidence == {"instruction": "punctuation:no_full_stop"}
    unusable = verdict_on("Salt.", [WORDS], [{"num_words": "five", "relation": "less than"}])
    assert (unusable.score, unusable.reason) == (None, "kwargs_unusable")
    assert unusable.evidence["instruction"] == WORDS
    assert "num_words" in unusable.evidence["fault"]
    unmatched = verdict_on("Salt.", [NO_COMMA], [])
    assert (unmatched.score, unmatched.reason) == (None, "columns_unmatched")


def test_a_row_without_constraints_is_another_verifiers_row() -> None:
    for names in (None, []):
        verdict = verdict_on("Salt.", names, names)
        assert (verdict.score, verdict.applicable) == (None, False)


@pytest.mark.parametrize(
    ("name", "kwargs", "problem"),
    [
        (NO_COMMA, {}, None),
        (WORDS, {"num_words": 5, "relation": "at most"}, "'less than' or 'at least'"),
        (WORDS, {"num_words": 5}, "it has no relation"),
        (WORDS, {"num_words": True, "relation": "at least"}, "a whole number"),
        (WORDS, {**SHORT, "words": 3}, "it has no parameter 'words'; it has: num_words, relation"),
        (NO_COMMA, {"commas": 3}, "it has no parameter 'commas'; it has: none"),
        (NO_COMMA, ["x"], "a mapping"),
        ("keywords:existence", {"keywords": "salt"}, "a list of words"),
        ("keywords:existence", {"keywords": []}, "a list of words"),
        ("keywords:letter_frequency", {"letter": "ab", "let_frequency": 1, "let_relation": "at least"}, "one character"),
        ("language:response_language", {"language": "xx"}, "one of the codes"),
        ("startend:end_checker", {"end_phrase": " "}, "words"),
        ("sentence:count", {}, "there is no instruction"),
    ],
)  # fmt: skip
def test_data_can_be_asked_whether_it_can_be_judged(name: str, kwargs: Any, problem: str | None) -> None:
    found = instruction_fault(name, kwargs)
    assert found is None if problem is None else problem in str(found)


def test_every_row_of_ifeval_can_be_judged() -> None:
    if not IFEVAL.is_file():
        pytest.skip(f"{IFEVAL} is not on this machine; it is public data outside the repository")
    rows = [json.loads(line) for line in IFEVAL.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 541
    for row in rows:
        pairs = zip(row["instruction_id_list"], row["kwargs"], strict=True)
        assert [problem for pair in pairs if (problem := instruction_fault(*pair))] == []
        verdict = verdict_on(row["prompt"], row["instruction_id_list"], row["kwargs"], reading="loose")
        assert verdict.score is not None


def test_a_reading_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValueError, match="reading must be one of strict, loose, not 'lose'"):
        reward_function([{"kind": "instruction", "reading": "lose"}])
