"""Decontamination finds every copy and light paraphrase of a test and nothing else; deduplication keeps the first of a set."""

import random

from alignment.data.mixture import problems_of
from alignment.data_factory.duplicates import copies
from alignment.data_factory.evaluations import evaluation_tests
from alignment.data_factory.overlap import TestIndex, common_subsequence, tokens_of
from alignment.evaluation.task import task_problems
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.schema import Recipe

WORDS = [
    f"{first}{last}"
    for first in ("al", "bo", "ca", "den", "el", "fu", "gar", "hi", "im", "jo")
    for last in ("ra", "lent", "mi", "nos", "pek", "qua", "rst", "sto", "tun", "vy")
]


def sentence(drawn: random.Random, words: int) -> str:
    return " ".join(drawn.choice(WORDS) for _ in range(words))


def test_every_copy_and_light_paraphrase_of_a_test_is_found_and_no_clean_row() -> None:
    drawn = random.Random(1)
    tests = [sentence(drawn, drawn.randint(14, 60)) for _ in range(200)]
    index = TestIndex.of((str(number), text) for number, text in enumerate(tests))
    assert all(index.match(text) for text in tests)
    assert all(index.match(f"Please answer.  {text.upper()}?") for text in tests), "case, white space and a frame"
    light = [_paraphrased(drawn, text) for text in tests if len(text.split()) >= 30]
    assert sum(index.match(text) is not None for text in light) >= 0.95 * len(light)
    assert [text for text in (sentence(drawn, 40) for _ in range(5000)) if index.match(text)] == []


def _paraphrased(drawn: random.Random, text: str) -> str:
    """Two words of thirty changed, near the ends, so that 13 in a row stay."""
    words = text.split()
    for place in (1, len(words) - 2):
        words[place] = drawn.choice(WORDS)
    return " ".join(words)


def test_the_rule_is_13_tokens_and_six_tenths_of_the_shorter_text() -> None:
    test = sentence(random.Random(2), 30)
    index = TestIndex.of([("test", test)])
    other = " ".join("other" + "abcdefghij"[number % 10] + "klmn"[number // 10] for number in range(40))
    assert index.match(" ".join(test.split()[:17]) + " " + other) is None, "17 of 30 are fewer than six tenths"
    assert index.match(" ".join(test.split()[:18]) + " " + other) is not None
    assert index.match(" ".join(test.split()[:12])) is None, "12 tokens are too few"
    assert TestIndex.of([("sum", "What is 2 + 3?")]).match("what is  2 + 3?") is not None, "a short test is found whole"
    assert TestIndex.of([("sum", "What is 2 + 3?")]).match("What is 2 + 4?") is None


def test_the_bits_give_the_length_that_the_table_gives() -> None:
    drawn = random.Random(4)
    for _ in range(50):
        first, second = ([drawn.choice("abcde") for _ in range(drawn.randint(0, 90))] for _ in range(2))
        table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
        for row, one in enumerate(first, 1):
            for column, other in enumerate(second, 1):
                table[row][column] = (
                    table[row - 1][column - 1] + 1
                    if one == other
                    else max(table[row - 1][column], table[row][column - 1])
                )
        assert common_subsequence(first, second) == table[-1][-1]
    assert tokens_of("3.14 Km_2!") == ["3", ".", "1", "4", "km", "_", "2", "!"]


def test_the_first_of_a_set_of_copies_stays_and_other_numbers_are_another_problem() -> None:
    text = sentence(random.Random(5), 40)
    nearly = " ".join([*text.split()[:-1], "other"])
    rows = [text, text.upper(), nearly, sentence(random.Random(6), 40), f"{text} 17", f"{text} 18"]
    found = copies(rows, 0.8)
    assert [None if one is None else one.of for one in found] == [None, 0, 0, None, None, None]
    assert found[1] is not None and found[1].similarity == 1 and found[2] is not None and 0.8 <= found[2].similarity < 1
    assert [one is not None for one in copies(rows, 1)] == [False, True, False, False, False, False], (
        "equal texts alone"
    )
    assert copies([f"{text} 18", f"{text} 18."], 0.8)[1] is not None


def test_near_copies_are_found_among_a_thousand_rows() -> None:
    drawn = random.Random(7)
    rows = [sentence(drawn, 30) for _ in range(1000)]
    planted = [" ".join([*row.split()[:-1], "end"]) for row in rows[:100]]
    found = copies([*rows, *planted], 0.8)
    assert sum(one is not None for one in found[:1000]) == 0
    assert sum(one is not None and one.of == place for place, one in enumerate(found[1000:])) >= 97


def test_problems_of_one_template_are_not_copies_of_each_other_and_a_repeated_one_is() -> None:
    """A family's problems differ by numbers alone, and the common subsequence would find a third of them."""
    recipe = Recipe.model_validate({
        "name": "sums", "model": "embedded", "stages": [{"name": "one", "kind": "sft", "data": "tiny-cold-start"}],
        "evaluations": {"after_each_stage": ["chain-sum"], "count": 40},
    })  # fmt: skip
    index = evaluation_tests(recipe, []).index
    trained = problems_of(recipe, [MixturePart(source="chain-sum", split="reasoning", count=200, seed=2)])
    measured = task_problems("chain-sum", 40, recipe.evaluations.seed, parameters={})
    assert len(index) == 40
    assert [one.id for one in trained if index.match(one.question)] == []
    assert all(index.match(one.question) for one in measured), "the evaluation's own problems are those of the index"
