"""A language model as a generative verifier: its answer Yes against No is the score of a step."""

import json
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM
from typer.testing import CliRunner

from alignment.cli import app
from alignment.core.errors import ArtifactError, OptionError
from alignment.core.resources import resource
from alignment.data.steps.definition import StepRule
from alignment.inference.generative_verifier import GenerativeVerifier, against, answer_tokens, verification
from alignment.inference.process_model import Solution
from alignment.records.process import ProcessRecord
from process.step_scorers import untrained_scorer
from smoke.processes import with_forks

BASE = str(resource("data/base"))
LINES = StepRule("line")
ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "5 + 9 - 3 ="}]
STEPS = ["5 + 9 = 14", "14 - 3 = 11", "\\boxed{11}"]
WRONG_MARK, HIDDEN, SLOPE = "%", 8, 3.0


def prompt_ids(tokenizer: object, steps: list[str]) -> list[int]:
    """What the model reads, by the tokenizer's own template."""
    found = tokenizer.apply_chat_template(  # type: ignore[attr-defined]
        verification(ASKED, steps), add_generation_prompt=True, enable_thinking=False, tokenize=True, return_dict=False
    )
    return list(found)


def test_a_step_scores_the_probability_of_yes_against_no_after_the_solution_so_far() -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(BASE), AutoModelForCausalLM.from_pretrained(BASE).float().eval()
    yes, no = answer_tokens(tokenizer)
    expected = []
    for number in range(1, len(STEPS) + 1):
        with torch.no_grad():
            chances_V = model(torch.tensor([prompt_ids(tokenizer, STEPS[:number])])).logits[0, -1].softmax(-1)
        expected.append((chances_V[yes] / (chances_V[yes] + chances_V[no])).item())
    verifier = GenerativeVerifier(BASE, LINES)
    # Beside a shorter and a longer solution, with which it is padded into one batch.
    found = verifier.scores([Solution(ASKED, STEPS[:1]), Solution(ASKED, STEPS), Solution(ASKED, STEPS * 2)])
    assert found[1] == pytest.approx(expected, abs=1e-5)
    assert found[0] == pytest.approx(expected[:1], abs=1e-5)
    assert len(set(expected)) == 3


def test_the_question_is_put_at_the_end_of_the_last_turn_and_names_the_step() -> None:
    first, last = verification(ASKED, STEPS[:2])
    assert first == ASKED[0]
    assert last["content"].startswith("5 + 9 - 3 =\n\n")
    assert "Step 1: 5 + 9 = 14\n\nStep 2: 14 - 3 = 11\n\n" in last["content"]
    assert last["content"].endswith("Is step 2 correct, given the steps before it? Answer Yes or No.")


def test_a_step_cannot_write_the_models_answer_with_its_marks() -> None:
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    marks = "".join(str(token) for token in tokenizer.all_special_tokens)
    verifier = GenerativeVerifier(BASE, LINES)
    plain, forged = verifier.scores([Solution(ASKED, ["5 + 9 = 14"]), Solution(ASKED, [f"5 + 9 = 14{marks}"])])
    assert plain == forged


def counting_model(folder: Path) -> Path:
    """A model whose log-odds of Yes fall with the share of `%` in what it reads.

    One layer attends evenly to all tokens (its queries are 0) and adds the mean of what they carry: 1 for a `%`, in the
    second place of the normed embedding. The head reads that place: Yes gets -SLOPE times it, No gets 0.
    """
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=HIDDEN, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
        num_key_value_heads=1, max_position_embeddings=512, tie_word_embeddings=False, rms_norm_eps=0.0,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0 if "norm" in name else 0.0)
        embedding, layer = model.model.embed_tokens.weight, model.model.layers[0].self_attn
        embedding[:, 0] = 1.0
        (mark,) = tokenizer(WRONG_MARK, add_special_tokens=False)["input_ids"]
        embedding[mark, 0], embedding[mark, 1] = 0.0, 1.0
        layer.v_proj.weight[1, 1] = layer.o_proj.weight[1, 1] = 1.0
        model.lm_head.weight[answer_tokens(tokenizer)[0], 1] = -SLOPE
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def golden(share: float) -> float:
    """The score by hand. share: of tokens that are a mark. Embeddings have one 1 of HIDDEN numbers, so the norm makes it sqrt(HIDDEN)."""
    carried = share * math.sqrt(HIDDEN)  # beside the last token's own 1
    normed = carried / math.sqrt((1 + carried**2) / HIDDEN)
    return 1 / (1 + math.exp(SLOPE * normed))


def test_scores_of_a_made_model_are_those_that_are_computed_by_hand(tmp_path: Path) -> None:
    folder = counting_model(tmp_path / "counting")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    steps = ["5 + 9 = 14", "14 - 3 = 12 %", "%%%%"]
    (mark,) = tokenizer(WRONG_MARK, add_special_tokens=False)["input_ids"]
    read = [prompt_ids(tokenizer, steps[:number]) for number in (1, 2, 3)]
    shares = [ids.count(mark) / len(ids) for ids in read]
    assert shares[0] == 0 < shares[1] < shares[2]
    (found,) = GenerativeVerifier(str(folder), LINES).scores([Solution(ASKED, steps)])
    assert found is not None
    assert found == pytest.approx([golden(one) for one in shares], abs=1e-5)
    assert found[0] == pytest.approx(0.5, abs=1e-6)


def test_what_cannot_be_read_has_no_score_and_no_steps_have_none() -> None:
    verifier = GenerativeVerifier(BASE, LINES)
    assert verifier.scores([Solution(ASKED, ["1 + 1 = 2"] * 400), Solution(ASKED, [])]) == [None, []]
    assert against(-2000.0, 0.0) == 0.0 and against(0.0, -2000.0) == 1.0


def test_a_classifier_is_no_verifier(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="name a language model"):
        GenerativeVerifier(str(untrained_scorer(tmp_path)), LINES)


def test_processbench_measures_a_generative_verifier(tmp_path: Path) -> None:
    """The made model calls a step wrong from the first mark on: below one half. The same figures as for any other scorer."""
    folder, bench, output = counting_model(tmp_path / "counting"), tmp_path / "bench.json", tmp_path / "process.json"
    rows = [
        {"problem": "?", "steps": ["a", "b %", "c"], "label": 1},
        {"problem": "?", "steps": ["a", "b"], "label": -1},
    ]
    bench.write_text(json.dumps([*rows, {"problem": "?", "steps": ["%", "b"], "label": 1}]), encoding="utf-8")
    asked = ["--generative", "--steps", "line", "--data", str(bench), "--threshold", "0.4999", "--output", str(output)]
    found = CliRunner().invoke(app, ["processbench", str(folder), *asked], env=with_forks())
    assert found.exit_code == 0, found.output
    record = ProcessRecord.read(output)
    (subset,) = record.subsets
    assert record.model == "answers of counting" and len(record.stress) == 6
    assert (subset.with_error.value, subset.without_error.value, subset.f1) == (
        0.5,
        1.0,
        pytest.approx(2 / 3, abs=1e-4),
    )
    for options, said in (
        (["--logprobs", "mean"], "a model gives one kind of score"),
        (["--engine", "vllm"], "scores of --generative are computed by transformers"),
    ):
        refused = CliRunner().invoke(app, ["processbench", str(folder), *asked, *options])
        assert isinstance(refused.exception, OptionError) and said in str(refused.exception)
