"""Guided decoding: a search takes what its scorer prefers, and beam search repairs an answer step by step."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from alignment.core.errors import DataError
from alignment.core.resources import resource
from alignment.data.rows import Problem
from alignment.data.steps.definition import StepRule
from alignment.data_factory.step_labels.execution import holds
from alignment.evaluation.process.job import run
from alignment.evaluation.process.work import ProcessWork
from alignment.inference.engine import Generation, GenerationRequest, SamplingSettings, as_generation
from alignment.inference.process_model import Solution
from alignment.inference.sampler import Sampler
from alignment.recipe.blocks.environment import EnvironmentChoice
from alignment.recipe.blocks.search import BeamSearch, BestOfN
from alignment.records.process import ProcessRecord
from alignment.rollout.episode import RolloutRequest
from alignment.rollout.guided import GuidedSampler
from alignment.rollout.sampler import TrajectorySampler
from process.stages import in_process
from recipes.what_check_says import what_check_says

BASE = str(resource("data/base"))
PROBLEM = Problem("p", [{"role": "user", "content": "5 + 9 - 3 ="}], "11", "chain-sum")
LINE_BY_LINE = StepRule("line")
SCORER = {"model": "./scorer", "aggregate": "minimum"}
HOT = SamplingSettings()
# The next line after so many lines, right and wrong; a slip is as likely as the right line.
LINES = [
    ("<think>\n",),
    ("5 + 9 = 14\n", "5 + 9 = 15\n"),
    ("14 - 3 = 11\n", "14 - 3 = 12\n"),
    ("</think>\n\n\\boxed{11}",),
]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    """The embedded model's tokenizer."""
    found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(BASE)
    return found


class Slipping:
    """An engine whose every line is right or wrong by the request's seed. Implements Engine."""

    name, weight_version = "slipping", 0

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer

    def generate(
        self, requests: Sequence[GenerationRequest], settings: SamplingSettings
    ) -> Iterator[tuple[int, Generation]]:
        for index, request in enumerate(requests):
            begun = self.tokenizer.decode(request.prompt_ids).rpartition("assistant\n")[2].count("\n")
            text, drawn = "", request.seed
            for number, choices in enumerate(LINES[begun:]):
                text += choices[(drawn >> number) % len(choices)]
                if request.stop_after:
                    break
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            ended = "boxed" in text
            yield (
                index,
                as_generation(
                    request,
                    [*ids, self.tokenizer.eos_token_id] if ended else ids,
                    [-0.5] * (len(ids) + ended),
                    None,
                    ended=ended,
                ),
            )

    def logprobs(self, sequences: Sequence[list[int]]) -> list[list[float]]:
        return [[-0.5] * (len(one) - 1) for one in sequences]

    def load_weights(self, weights: Iterable[object]) -> int:
        return 0

    def rest(self) -> None:
        """Nothing to free."""

    def close(self) -> None:
        """Nothing to end."""


@dataclass
class Arithmetic:
    """Scores a step by whether its equation holds. Implements StepModel."""

    rule: StepRule = LINE_BY_LINE
    name: str = "arithmetic"

    def scores(self, solutions: Sequence[Solution]) -> list[list[float] | None]:
        return [[0.1 if holds(step) is False else 0.9 for step in one.steps] for one in solutions]

    def close(self) -> None:
        """Nothing to free."""


def answered(tokenizer: PreTrainedTokenizerBase, search: dict[str, Any], count: int = 24) -> tuple[float, float]:
    """The fraction of answers without a slip, and the mean tokens that they took."""
    trajectories = TrajectorySampler(Sampler(Slipping(tokenizer), tokenizer, None), EnvironmentChoice(), 60)  # type: ignore[arg-type]
    kind = BeamSearch if search["type"] == "beam" else BestOfN
    guided = GuidedSampler(trajectories, Arithmetic(), kind.model_validate({**search, "process": SCORER}), 60)
    found = guided.sample([RolloutRequest(PROBLEM, "thinking", seed=number << 8) for number in range(count)], HOT)
    assert all(one.trajectory.stop_reason == "end" and "\\boxed{11}" in one.trajectory.text for one in found)
    right = [all(holds(line) is not False for line in one.trajectory.text.split("\n")) for one in found]
    assert [one.score for one in found] == [0.9 if one else 0.1 for one in right]
    return sum(right) / count, sum(one.tokens for one in found) / count


def test_beam_search_drops_a_slip_at_its_step_and_best_of_n_with_the_whole_answer(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    alone, tokens = answered(tokenizer, {"type": "best_of", "answers": 1})
    assert alone < 0.6  # a quarter has neither slip
    best, best_tokens = answered(tokenizer, {"type": "best_of", "answers": 16})
    beam, beam_tokens = answered(tokenizer, {"type": "beam", "beams": 2, "expansions": 6})
    assert best > 0.9 and beam > 0.9
    assert best_tokens == pytest.approx(16 * tokens, rel=0.01)
    assert tokens < beam_tokens < 14 * tokens


def test_a_search_gives_the_same_answers_again_whatever_is_asked_beside_them(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    trajectories = TrajectorySampler(Sampler(Slipping(tokenizer), tokenizer, None), EnvironmentChoice(), 60)  # type: ignore[arg-type]
    search = BeamSearch.model_validate({"type": "beam", "beams": 1, "expansions": 1, "process": SCORER})
    guided = GuidedSampler(trajectories, Arithmetic(), search, 60)
    asked = [RolloutRequest(PROBLEM, "thinking", seed=number << 8) for number in range(6)]
    together, alone = guided.sample(asked, HOT), guided.sample(asked[3:4], HOT)[0]
    assert together[3].trajectory.text == alone.trajectory.text
    assert len({one.trajectory.text for one in together}) > 1


def test_steps_that_are_known_in_whole_programs_alone_are_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    trajectories = TrajectorySampler(Sampler(Slipping(tokenizer), tokenizer, None), EnvironmentChoice(), 60)  # type: ignore[arg-type]
    search = BeamSearch.model_validate({"type": "beam", "process": SCORER})
    with pytest.raises(DataError, match="steps by statement, which are known in a whole answer alone"):
        GuidedSampler(trajectories, Arithmetic(StepRule("statement")), search, 60)


def test_a_sample_stage_keeps_what_a_search_found_with_its_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    stage = {
        "name": "drawn", "kind": "sample", "data": [{"source": "chain-sum", "split": "fusion", "count": 4, "seed": 3}],
        "rollout": {"engine": "transformers", "generations": 1, "max_prompt_tokens": 128, "max_completion_tokens": 24},
        "rewards": [{"kind": "math_answer"}, {"kind": "think_format", "weight": 0.0}], "accept_score": 0.0,
        "search": {"type": "beam", "beams": 2, "expansions": 2, "process": {"policy": BASE, "steps": "line"}},
    }  # fmt: skip
    with pytest.raises(DataError, match="cut off at max_completion_tokens"):  # the base model has learnt no answers
        in_process(tmp_path, Path(BASE), stage, monkeypatch)
    (kept,) = tmp_path.glob("run/01-drawn/checkpoints/chunk-*.jsonl")
    rows = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 4
    assert all(row["verdicts"]["process"]["reason"] in ("scored", "no_steps") for row in rows)
    searched = json.loads(kept.with_suffix(".searched.json").read_text(encoding="utf-8"))
    assert searched["tokens"] > sum(row["completion_tokens"] for row in rows)


def test_processbench_measures_beam_search_beside_best_of_n(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    torch.set_num_threads(1)
    work = ProcessWork(
        model=BASE, name="log-probs", logprobs="minimum", steps="line", tasks=("chain-sum",), count=4, threshold_rows=4,
        policy=BASE, samples=2, beams=2, expansions=2, settings={"max_completion_tokens": 24, "engine": "transformers"},
    )  # fmt: skip
    run(work, tmp_path / "process.json")
    found = ProcessRecord.read(tmp_path / "process.json").beam_search
    assert found is not None and (found.beams, found.expansions, found.answers) == (2, 2, 4)
    assert found.mean_tokens > 24


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"type": "beam", "process": {"policy": "nobody"}}, "found `nobody`, which is no stage before this one"),
        ({"type": "beam", "process": {"completions": 4}}, "write one of `stage`, `model` and `policy`"),
        ({"type": "best_of", "process": {"policy": "./a", "weight": 1.0}}, "a search compares scores alone"),
        ({"type": "beam", "process": {"policy": "./a", "steps": "statement"}}, "are known in a whole answer alone"),
    ],
)
def test_a_search_that_cannot_work_is_named(tmp_path: Path, search: dict[str, Any], said: str) -> None:
    stage = {
        "name": "drawn", "kind": "sample", "data": [{"source": "chain-sum", "split": "fusion", "count": 4}],
        "rewards": [{"kind": "math_answer"}], "search": search,
    }  # fmt: skip
    assert said in what_check_says(tmp_path / "r.yaml", {"name": "r", "model": "embedded", "stages": [stage]})
