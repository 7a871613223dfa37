"""`alignment export --quantise`: a form that is made by llm-compressor, read back by transformers and vLLM, and measured.

llm-compressor lies in a folder of its own: ALIGNMENT_QUANTISER names it (docs/export.md), and without it only what
leads there is tested.
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from alignment.cli import app
from alignment.core.errors import OptionError, StageFailed
from alignment.export.quantised.rows import calibration_rows
from alignment.inference.start import Serving, serve
from alignment.inference.vllm.kind import vllm_fault
from alignment.recipe.blocks.engine import engine_options
from alignment.records.export import EXPORT, ExportRecord
from alignment.run.plan import RunPlan
from alignment.run.stage import main
from training.lora_stage import plan_of

QUANTISER = os.environ.get("ALIGNMENT_QUANTISER", "")
real = pytest.mark.skipif(not QUANTISER, reason="ALIGNMENT_QUANTISER names no folder with llm-compressor")
MEASURED = {"after_each_stage": ["chain-sum"], "count": 16, "follow_count": 1, "max_prompt_tokens": 128,
            "max_completion_tokens": 64, "engine": "transformers"}  # fmt: skip


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> RunPlan:
    """A run of one stage, really trained."""
    found = plan_of(tmp_path_factory.mktemp("quantised"), {"weights_dtype": "float32"}, evaluations=MEASURED)
    main(found.path, "one", found.run.path, [])
    return found


def export(*arguments: object) -> str:
    """What the command printed, or the error it ended with."""
    done = CliRunner().invoke(app, ["export", *map(str, arguments)])
    return " ".join((done.output + str(done.exception or "")).split())


def test_without_llm_compressor_the_command_says_how_to_install_it_and_leaves_the_whole_export(
    plan: RunPlan, tmp_path: Path
) -> None:
    said = export(plan.run.path, "--into", tmp_path / "made", "--quantise", "fp8", "--quantiser", tmp_path / "nothing")
    assert "llmcompressor, compressed-tensors, loguru is not in it; write `pip install --no-deps --target" in said
    assert (tmp_path / "made" / EXPORT).is_file() and not (tmp_path / "made-fp8").exists()


def test_a_form_is_calibrated_on_what_the_run_was_trained_on_or_on_a_source_that_is_named(
    plan: RunPlan, tmp_path: Path
) -> None:
    def rows(named: str | None) -> tuple[str, list[list[int]]]:
        return calibration_rows(plan.recipe, plan.run, policy, "one", named)

    policy = plan.run.find("one").output
    what, found = rows(None)
    tokenizer = AutoTokenizer.from_pretrained(policy)
    assert (what, len(found)) == ("rows of the stage one", 16)
    assert all("<think>" in tokenizer.decode(ids) for ids in found)
    chat = [{"role": "user", "content": "Say 7."}, {"role": "assistant", "content": "7"}]
    (tmp_path / "chats.jsonl").write_text(json.dumps({"messages": chat}), encoding="utf-8")
    what, found = rows(str(tmp_path / "chats.jsonl"))
    assert what == "chats.jsonl" and [tokenizer.decode(ids).count("7") for ids in found] == [2]
    with pytest.raises(OptionError, match="--calibration"):
        rows("no-such-source")


def test_a_gguf_file_of_8_bits_is_measured_beside_the_original(plan: RunPlan, tmp_path: Path) -> None:
    made = tmp_path / "made"
    said = export(plan.run.path, "--into", made, "--gguf", "q8_0", "--gguf-splitting", "smollm")
    assert "46 tensors (29 Q8_0, 17 F32) read back" in said and "non_thinking: 0." in said
    (file,) = ExportRecord.read(made / EXPORT).gguf
    assert [(one.mode, one.count) for one in file.modes] == [("thinking", 16), ("non_thinking", 16)]
    card = (made / "README.md").read_text(encoding="utf-8")
    assert "Answers of its weights, on the same problems:" in card and "| thinking |" in card
    assert [one.name for one in (*made.iterdir(), *tmp_path.iterdir()) if one.name.startswith(".")] == []
    before = ExportRecord.read(made / EXPORT)
    unmeasured = replace(before, gguf=(replace(file, modes=()),))
    unmeasured.write(made / EXPORT)  # as an earlier version left it
    export(plan.run.path, "--into", made, "--gguf", "q8_0", "--gguf-splitting", "smollm")
    assert ExportRecord.read(made / EXPORT) == before


def test_a_gguf_file_that_could_not_be_measured_is_not_left_in_the_export(
    plan: RunPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(*_: object) -> None:
        raise StageFailed("the engine ended")

    monkeypatch.setattr("alignment.commands.export.gguf_file.answered", ends)
    said = export(plan.run.path, "--into", tmp_path / "made", "--gguf", "q8_0", "--gguf-splitting", "smollm")
    assert "the engine ended" in said
    assert not [one for one in tmp_path.rglob("*") if one.suffix == ".gguf" or one.name.startswith(".")]
    assert ExportRecord.read(tmp_path / "made" / EXPORT).gguf == ()


def test_a_form_that_rounds_nothing_away_is_not_measured(plan: RunPlan, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    export(plan.run.path, "--into", whole, "--gguf", "f32", "--gguf-splitting", "smollm")
    assert "Its answers were not measured apart." in (whole / "README.md").read_text(encoding="utf-8")


@real
@pytest.mark.long
@pytest.mark.parametrize(("form", "group"), [("fp8", None), ("gptq", 128), ("awq", 128)])
def test_a_quantised_form_is_smaller_reads_back_elsewhere_and_is_measured_beside_the_original(
    form: str, group: int | None, plan: RunPlan, tmp_path: Path
) -> None:
    made = tmp_path / f"made-{form}"
    asked = (plan.run.path, "--into", tmp_path / "made", "--quantise", form, "--quantiser", QUANTISER)
    said = export(*asked)
    assert f"{made}: {form}," in said and "non_thinking: 0." in said
    record = ExportRecord.read(made / EXPORT)
    found = record.quantised
    assert found is not None and found.bytes < 0.45 * found.original_bytes and 0 < record.logits_distance < 0.5
    assert [(one.mode, one.count, one.verdict) for one in found.modes] == [
        ("thinking", 16, "no clear change"),
        ("non_thinking", 16, "no clear change"),
    ]
    assert found.rows == (0 if form == "fp8" else 16) and found.versions["llmcompressor"]
    config = json.loads((made / "config.json").read_text(encoding="utf-8"))["quantization_config"]
    assert config["config_groups"]["group_0"]["weights"]["group_size"] == group
    card = (made / "README.md").read_text(encoding="utf-8")
    assert f"Quantised to {form}" in card and "| thinking |" in card and str(tmp_path) not in card
    again = (made / "model.safetensors").stat().st_mtime_ns
    assert f"{made}: {form}," in export(*asked) and (made / "model.safetensors").stat().st_mtime_ns == again
    if vllm_fault() is None:
        apart = [abs(one - other) for one, other in zip(_by_vllm(made), _by_transformers(made), strict=True)]
        assert max(apart) < 0.25 and sum(apart) / len(apart) < 0.05, (
            "vLLM computes what transformers does, but for bfloat16"
        )


def _by_vllm(folder: Path) -> list[float]:
    """Log-probs of the prompts' tokens."""
    sampler = serve(str(folder), Serving(engine_options("vllm", dtype="bfloat16"), 32, 8, "</think>"))
    found = sampler.engine.logprobs(PROMPTS)
    sampler.engine.close()
    return [one for row in found for one in row]


def _by_transformers(folder: Path) -> list[float]:
    model, found = AutoModelForCausalLM.from_pretrained(folder, dtype="bfloat16"), []
    for ids in PROMPTS:
        with torch.no_grad():
            logprobs_TV = model(torch.tensor([ids])).logits[0].float().log_softmax(-1)
        found += [float(logprobs_TV[place, token]) for place, token in enumerate(ids[1:])]
    return found


PROMPTS = [list(range(start, start + 24)) for start in (30, 60, 90, 120)]
