"""Labels of programs by execution: the longest prefix of statements that can still be completed to passing tests.

The programs are run in the sandbox. What completes them is scripted, so that the first wrong statement is known.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from transformers import AutoTokenizer

from alignment.core.resources import resource
from alignment.data.rows import Problem, user_turn
from alignment.data.steps.definition import StepRule
from alignment.data_factory.step_labels.labelling import binary_search, hard_labels, run
from alignment.data_factory.step_labels.prefixes import Prefixes, Trace
from alignment.inference.engine import Generation, GenerationRequest, SamplingSettings
from alignment.inference.sampler import Sampler
from alignment.recipe.blocks.rewards import Reward
from alignment.rollout.environments.protocol import Opening
from alignment.rollout.scoring import Judged, Scorer
from alignment.rollout.trajectory import one_turn
from rewards import machine_fault

INPUTS, COMPLETIONS, MOST = (0, 1, -7), 8, 200
TOKENIZER = AutoTokenizer.from_pretrained(resource("data/base"))
pytestmark = pytest.mark.skipif(bool(machine_fault({"kind": "python_tests"})), reason="nothing isolates programs here")


class Finishing:
    """An engine that writes the rest of the known program after any prefix of it, and every other time nothing."""

    name, weight_version = "scripted", 0

    def __init__(self) -> None:
        self.rest: dict[tuple[int, ...], list[str]] = {}

    def generate(
        self, requests: Sequence[GenerationRequest], settings: SamplingSettings
    ) -> Iterator[tuple[int, Generation]]:
        for place, request in enumerate(requests):
            prompt = next(one for one in self.rest if tuple(request.prompt_ids[: len(one)]) == one)
            begun = TOKENIZER.decode(request.prompt_ids[len(prompt) :])
            lines = self.rest[prompt][begun.count("\n") + 1 :]
            text = "".join(f"\n{line}" for line in lines) if request.seed % 2 else "\n"
            ids = [*TOKENIZER(text, add_special_tokens=False)["input_ids"], TOKENIZER.eos_token_id]
            yield place, Generation(request, ids, [0.0] * len(ids), [False] * len(ids), "end")

    def logprobs(self, sequences: Sequence[list[int]]) -> list[list[float]]:
        raise NotImplementedError

    def load_weights(self, weights: Any) -> int:
        raise NotImplementedError

    def close(self) -> None: ...


def program(number: int, draw: random.Random) -> tuple[list[str], list[str], int | None, dict[str, Any]]:
    """A right program, what a policy wrote of it, its first wrong line if it has one, and its tests."""
    operands = [draw.randint(1, 9) for _ in range(draw.randint(2, 6))]
    right = ["def f(x):", *(f"    x = x + {one}" for one in operands), "    return x"]
    wrong = draw.choice([None, *range(1, len(operands) + 1)])
    written = list(right)
    if wrong is not None:
        written[wrong] = f"    x = x - {operands[wrong - 1]}"
    outputs = [value + sum(operands) for value in INPUTS]
    tests = {"form": "calls", "entry_point": "f", "calls": [[one] for one in INPUTS], "outputs": outputs}
    return right, written, wrong, tests


def labelled(count: int) -> list[tuple[list[float | None], list[float | None], int | None, int]]:
    """For each program: labels by prefix search, exhaustive ones, the first wrong statement, and statements."""
    draw, engine = random.Random(3), Finishing()
    sampler, scorer = Sampler(engine, TOKENIZER, None), Scorer([Reward(kind="python_tests")])
    made, wrongs = [], []
    for number in range(count):
        right, written, wrong, tests = program(number, draw)
        messages = [user_turn(f"Write f(x), number {number}.")]
        problem = Problem(str(number), messages, "", columns={"tests": tests})
        prompt = TOKENIZER.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        engine.rest[tuple(prompt)] = right
        ids = [*TOKENIZER("\n".join(written), add_special_tokens=False)["input_ids"], TOKENIZER.eos_token_id]
        request = GenerationRequest(prompt, "non_thinking")
        text = "\n".join(written)
        generation = Generation(request, ids, [0.0] * len(ids), [False] * len(ids), "end", text)
        made.append((problem, one_turn(Opening(messages, []), generation)))
        wrongs.append(wrong)
    judged = scorer.judge([problem for problem, _ in made], [one for _, one in made])
    prefixes = Prefixes(sampler, scorer, SamplingSettings(), MOST, is_right)
    traces = [Trace.of(one, StepRule("statement"), sampler, right=bool(is_right(one))) for one in judged]
    found = []
    for way in (binary_search, hard_labels):
        labellings = [way(len(one.steps), COMPLETIONS, right=one.right) for one in traces]
        found.append([one.labels for one in run(labellings, lambda asked: prefixes.answer(traces, asked, 0))])
    scorer.close()
    return list(zip(*found, wrongs, [len(one.steps) for one in traces], strict=True))


def is_right(judged: Judged) -> bool | None:
    return None if judged.total is None else judged.total >= 1


@pytest.mark.parametrize("count", [12, pytest.param(200, marks=pytest.mark.long)])
def test_prefix_search_finds_the_statement_from_which_no_completion_passes(count: int) -> None:
    rows = labelled(count)
    assert any(wrong is None for *_, wrong, _ in rows) and any(wrong for *_, wrong, _ in rows)
    agree = [searched == exhaustive for searched, exhaustive, *_ in rows]
    assert sum(agree) >= 0.95 * count  # a prefix whose completions all failed by chance is the exception
    placed = []
    for searched, _, wrong, steps in rows:
        expected = [1.0] * steps if wrong is None else [*[1.0] * wrong, 0.0, *[None] * (steps - wrong - 1)]
        placed.append(searched == expected)
    assert sum(placed) >= 0.9 * count
