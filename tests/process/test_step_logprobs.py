"""A policy's own log-probs as scores of steps: they are those of plain transformers, and they find planted errors."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from alignment.commands.processbench.benching import process_model_of
from alignment.core.errors import ArtifactError
from alignment.core.resources import resource
from alignment.data.generators.corrupted import corrupted
from alignment.data.steps.definition import StepRule
from alignment.evaluation.process.bench import NO_ERROR, Marked, bench_figures
from alignment.evaluation.process.job import run
from alignment.evaluation.process.work import ProcessWork
from alignment.evaluation.task import task_problems
from alignment.inference.process_model import Solution
from alignment.inference.step_logprobs import PolicyLogprobs, tokens_of, written
from alignment.records.process import ProcessRecord
from process.step_scorers import untrained_scorer

BASE = str(resource("data/base"))
LINES = StepRule("line")
ASKED = [{"role": "user", "content": "State the final answer to the following arithmetic problem: 5 + 9 - 3 ="}]
COMPLETION = "<think>\n5 + 9 = 14\n14 - 3 = 11\n</think>\n\n\\boxed{11}"


def test_a_step_scores_the_probability_of_its_least_likely_token() -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(BASE), AutoModelForCausalLM.from_pretrained(BASE).float().eval()
    prompt = tokenizer.apply_chat_template(ASKED, tokenize=False, add_generation_prompt=True)
    before = tokenizer(f"{prompt}<think>\n5 + 9 = 14\n", add_special_tokens=False)["input_ids"]
    step = tokenizer("14 - 3 = 11", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        chances_TV = model(torch.tensor([[*before, *step]])).logits[0].softmax(-1)
    expected = [chances_TV[len(before) + place - 1, token].item() for place, token in enumerate(step)]
    solution = Solution.of(ASKED, COMPLETION, LINES.split(COMPLETION))
    (least,), (mean,) = (PolicyLogprobs(BASE, how, LINES).scores([solution]) for how in ("minimum", "mean"))
    assert least is not None and len(least) == 3
    assert least[1] == pytest.approx(min(expected), rel=1e-3)
    product = torch.tensor(expected).prod().item()
    assert mean is not None and mean[1] == pytest.approx(product ** (1 / len(step)), rel=1e-3)


def test_steps_without_their_text_are_read_as_a_policy_writes_them() -> None:
    policy, steps = PolicyLogprobs(BASE, "minimum", LINES), LINES.split(COMPLETION)
    from_row = Solution(ASKED, [one.text for one in steps], thinking_steps=2)
    scores = policy.scores([from_row, Solution.of(ASKED, COMPLETION, steps)])
    assert scores[0] == scores[1]
    text, spans = written(["a", "b", "c"], 2, "\n", opened=False)
    assert (text, [text[a:b] for a, b in spans]) == ("<think>\na\nb\n</think>\n\nc", ["a", "b", "c"])
    assert written(["a"], 1, "\n", opened=True)[0] == "a"


def test_a_token_that_holds_a_steps_end_and_the_line_break_is_the_steps() -> None:
    assert tokens_of([(0, 3), (5, 7)], [(0, 2), (2, 5), (5, 7), (7, 7)]) == [[0, 1], [2]]


def test_the_base_models_log_probs_find_planted_errors() -> None:
    rows = list(corrupted(task_problems("chain-sum", 40, 17, parameters={}), 17))
    scores = PolicyLogprobs(BASE, "minimum", LINES).scores(
        [Solution(one.prompt, one.steps, one.thinking_steps) for one in rows]
    )
    # The base model has never seen a boxed answer, so that the last step is left out.
    marked = [
        Marked(NO_ERROR if row.first_error is None else row.first_error, (found or [])[:-1])
        for row, found in zip(rows, scores, strict=True)
    ]
    figures = bench_figures(marked, 0.002)
    assert min(figures.errors, figures.right) > 10
    assert figures.f1 > 0.85


def test_what_a_policy_cannot_read_has_no_score_and_no_steps_have_none() -> None:
    long, empty = Solution(ASKED, ["1 + 1 = 2"] * 400, 400), Solution(ASKED, [])
    assert PolicyLogprobs(BASE, "minimum", LINES).scores([long, empty]) == [None, []]


def test_a_classifier_is_no_policy_and_a_run_without_one_says_so(tmp_path: Path) -> None:
    folder = untrained_scorer(tmp_path / "scorer")
    with pytest.raises(ArtifactError, match="name a policy"):
        PolicyLogprobs(str(folder), "minimum", LINES)
    assert process_model_of(folder, None, leaves="policy").folder == str(folder)


def test_processbench_measures_a_policy_in_place_of_a_model(tmp_path: Path) -> None:
    work = ProcessWork(
        model=BASE, name="log-probs of base", tasks=("chain-sum",), count=8, threshold_rows=8, logprobs="minimum",
        steps="line",
    )  # fmt: skip
    run(work, tmp_path / "process.json")
    record = ProcessRecord.read(tmp_path / "process.json")
    assert record.model == "log-probs of base" and record.subsets[0].unscored == 0
    assert len(record.traces[0].scores) == len(record.traces[0].steps)
