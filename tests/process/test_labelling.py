"""Labels of steps: what each method asks for, and that fewer completions give the same labels."""

import random
from collections.abc import Sequence

import pytest

from alignment.data.steps.definition import Step
from alignment.data_factory.step_labels.execution import execution_labels, holds
from alignment.data_factory.step_labels.judge import labels_before
from alignment.data_factory.step_labels.labelling import (
    Ask,
    Labelling,
    Labels,
    binary_search,
    hard_labels,
    labelling_of,
    relative_labels,
    run,
    soft_labels,
)
from alignment.data_factory.step_labels.methods import Labelled, Labeller, agreed
from alignment.data_factory.step_labels.prefixes import Trace
from alignment.recipe.blocks.steps import Consensus, MonteCarlo, Steps


class World:
    """Completions whose verdict depends on the prefix and on their number alone. chances: that one of a prefix is right."""

    def __init__(self, chances: Sequence[float], unknown: bool = False) -> None:
        self.chances, self.drawn, self.unknown = chances, 0, unknown

    def verdict(self, steps: int, number: int) -> bool | None:
        self.drawn += 1
        return None if self.unknown else random.Random(f"{steps}:{number}").random() < self.chances[steps]

    def labels(self, labelling: Labelling) -> list[float | None]:
        def answer(asked: list[tuple[int, Ask]]) -> list[list[bool | None]]:
            return [[self.verdict(ask.steps, ask.first + place) for place in range(ask.count)] for _, ask in asked]

        (found,) = run([labelling], answer)
        return found.labels


def test_a_hard_label_is_1_if_any_completion_is_right_and_nothing_follows_the_first_0() -> None:
    assert World([1, 0.6, 0.6, 0, 1, 1]).labels(hard_labels(5, 8, right=False)) == [1, 1, 0, None, None]
    assert World([1, 1, 1, 1]).labels(hard_labels(4, 8, right=False)) == [1, 1, 1, 0]


def test_binary_search_finds_the_same_labels_with_a_fraction_of_the_completions() -> None:
    for first_wrong in range(1, 13):
        chances = [0.6] * first_wrong + [0.0] * (13 - first_wrong)
        plain, fast = World(chances), World(chances)
        assert fast.labels(binary_search(12, 16, right=False)) == plain.labels(hard_labels(12, 16, right=False))
        if first_wrong > 4:
            assert fast.drawn < 16 * 5
    right = World([0.0] * 13)
    assert right.labels(binary_search(12, 16, right=True)) == [1.0] * 12
    assert right.drawn == 0


def test_a_prefix_of_a_right_solution_needs_no_completion() -> None:
    lost = World([0.0] * 6)
    assert lost.labels(hard_labels(5, 8, right=False, reached=2)) == [1, 1, 0, None, None]
    assert lost.drawn == 8
    searched = World([0.0] * 6)
    assert searched.labels(binary_search(5, 8, right=False, reached=4)) == [1, 1, 1, 1, 0]
    assert searched.drawn == 0


def test_the_step_at_which_a_solution_parts_from_a_right_one_is_looked_at_first() -> None:
    for first_wrong in range(3, 13):
        world = World([1.0] * first_wrong + [0.0] * (13 - first_wrong))
        found = world.labels(binary_search(12, 8, right=False, reached=2))
        assert found == World(world.chances).labels(hard_labels(12, 8, right=False))
        assert first_wrong > 3 or world.drawn == 8


def test_a_soft_label_is_the_fraction_that_is_right() -> None:
    assert World([1, 1, 0.5, 0.5]).labels(soft_labels(4, 4, right=True)) == [1.0, 0.25, 0.25, 1.0]


def test_relative_progress_compares_with_the_step_before() -> None:
    method = MonteCarlo(type="monte_carlo", label="relative", completions=400)
    # 0.9 of 1 is progress enough, 0.5 of 0.9 is not.
    assert World([1, 0.9, 0.5, 0.5]).labels(relative_labels(4, method, right=True)) == [1.0, 0.0, None, None]
    lax = method.model_copy(update={"least_progress": 0.5})
    assert World([1, 0.9, 0.5, 0.5]).labels(relative_labels(4, lax, right=True)) == [1.0, 1.0, 1.0, 1.0]


def test_hard_problems_get_more_completions() -> None:
    method = MonteCarlo(type="monte_carlo", label="relative", completions=8, by_difficulty=[(0.9, 32), (0.1, 64)])
    easy, medium = World([1.0] * 3), World([0.5] * 3)
    easy.labels(labelling_of(method, 2, right=True))
    medium.labels(labelling_of(method, 2, right=True))
    assert (easy.drawn, medium.drawn) == (8 + 8, 8 + 32)


@pytest.mark.parametrize("label", ["hard", "soft"])
def test_hard_problems_get_more_completions_for_hard_and_soft_labels_too(label: str) -> None:
    method = MonteCarlo.model_validate(
        {"type": "monte_carlo", "label": label, "completions": 8, "by_difficulty": [(0.9, 32), (0.1, 64)]}
    )
    easy, medium, hard = World([1.0] * 3), World([0.5, 0.0, 0.0]), World([0.0] * 3)
    found = [one.labels(labelling_of(method, 2, right=False)) for one in (easy, medium, hard)]
    assert found == [[1.0, 0.0], [0.0, None], [0.0, None]]
    # A hard label stops at the first right completion; the prompt's fraction takes all of `completions`.
    assert [one.drawn for one in (easy, medium, hard)] == [8 + (1 if label == "hard" else 8), 8 + 32, 8 + 64]
    alone, begun = World([1.0] * 2), World([0.0] * 3)
    alone.labels(labelling_of(method, 1, right=False))
    begun.labels(labelling_of(method, 2, right=False, reached=1))
    assert (alone.drawn, begun.drawn) == (0, 0 if label == "hard" else 8 + 64)


def test_a_setting_that_no_label_reads_is_refused() -> None:
    assert MonteCarlo(type="monte_carlo", label="relative", least_progress=0.5).least_progress == 0.5
    with pytest.raises(
        ValueError, match=r"hard labels compare no step with the one before it; write `label: relative`"
    ):
        MonteCarlo(type="monte_carlo", least_progress=0.5)
    for pair in ((0.0, 8), (1.5, 8), (0.5, 0)):
        with pytest.raises(ValueError, match="by_difficulty"):
            MonteCarlo(type="monte_carlo", by_difficulty=[pair])
    with pytest.raises(ValueError, match=r"`by` is line; write `by: marker`"):
        Steps.model_validate({"by": "line", "marker": "Next"})


def test_steps_whose_completions_cannot_be_judged_have_no_label() -> None:
    for labelling in (hard_labels(3, 4, right=False), binary_search(3, 4, right=False), soft_labels(3, 4, right=True)):
        assert not any(World([1] * 4, unknown=True).labels(labelling))


@pytest.mark.parametrize(
    ("step", "found"),
    [
        ("14 - 3 = 11", True), ("14 - 3 = 12", False), ("so 2 * (3 + 4) = 14.", True), ("<<40*3=120>>120 dollars", True),
        ("$1,200 / 4 = $300", True), ("x + 1 = 2", None), ("no numbers", None), ("1 + 1 = 2 = 2, and 3 + 1 = 5", False),
        ("10 / 0 = 0", None), ("2 = 2x", None),
    ],
)  # fmt: skip
def test_arithmetic_in_a_step_is_computed(step: str, found: bool | None) -> None:
    assert holds(step) is found


def test_execution_finds_the_first_equation_that_does_not_hold() -> None:
    assert execution_labels(["1 + 1 = 2", "2 + 2 = 5", "5 + 1 = 6"], right=False).labels == [1.0, 0.0, None]
    assert execution_labels(["1 + 1 = 2", "So it is 2."], right=True).labels == [1.0, 1.0]
    assert execution_labels(["1 + 1 = 2", "So it is 2."], right=False).labels == [None, None]  # an error of reading


def test_consensus_keeps_a_row_only_if_both_name_the_same_step() -> None:
    first = Labelled(Labels([1.0, 0.0, None]))
    kept = agreed(first, Labelled(labels_before(2, 3), "the second step adds wrongly"))
    assert (kept.labels, kept.disagrees, kept.rationale) == (first.labels, False, "the second step adds wrongly")
    assert agreed(first, Labelled(labels_before(1, 3))).disagrees
    assert agreed(first, Labelled(labels_before(0, 3))).disagrees
    assert not agreed(first, Labelled(Labels([None] * 3))).labels.known


class FromThePrefix:
    """Completions of which none reaches the answer once a prefix holds a step that is lost. Stands for Prefixes."""

    def __init__(self, lost: Sequence[str]) -> None:
        self.lost = set(lost)

    def at(self, temperature: float | None) -> "FromThePrefix":
        return self

    def answer(self, traces: Sequence[Trace], asked: Sequence[tuple[int, Ask]], seed: int) -> list[list[bool | None]]:
        return [
            [self.lost.isdisjoint(step.text for step in traces[number].steps[: ask.steps])] * ask.count
            for number, ask in asked
        ]


def test_a_slip_from_which_the_policy_recovers_is_left_out_by_consensus_of_completions_and_execution() -> None:
    slipped = ["1 + 1 = 2", "2 + 2 = 5", "5 + 1 = 6"]
    recovered = [
        "3 + 3 = 6",
        "6 + 2 = 9",
        "so 8, and 8 + 1 = 9",
        "9 + 5 = 15",
    ]  # the next step does not build on the slip
    misread = ["1 + 1 = 2", "2 + 4 = 6"]  # every equation holds: execution cannot tell where it went wrong
    traces = [
        Trace(None, [Step(text, 0, len(text)) for text in steps], [], right=False)  # type: ignore[arg-type]
        for steps in (slipped, recovered, misread)
    ]
    method = Consensus.model_validate({"type": "consensus", "of": ["binary_search", "execution"]})
    labeller = Labeller(method, FromThePrefix(["2 + 2 = 5", "9 + 5 = 15", "2 + 4 = 6"]), 0)  # type: ignore[arg-type]
    kept, disputed, unknown = labeller.labels(traces)
    assert (kept.labels.labels, kept.disagrees) == ([1.0, 0.0, None], False)
    assert disputed.disagrees
    assert not unknown.labels.known and not unknown.disagrees
