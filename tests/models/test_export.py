"""`alignment export` leaves a folder that anybody's transformers loads as the run's policy, and a GGUF file that says the same."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    PreTrainedTokenizerFast,
)
from typer.testing import CliRunner

from alignment.cli import app
from alignment.core.errors import ArtifactError
from alignment.core.resources import resource
from alignment.core.statistics.estimate import Estimate
from alignment.export.gguf.architecture import sizes_of
from alignment.export.gguf.vocabulary import PROBE, RULES, nearest_rule
from alignment.export.gguf.writing import check_gguf, write_gguf
from alignment.export.push import HubError, planned_upload, push
from alignment.inference.adapters import load_whole
from alignment.inference.engine import GenerationRequest, SamplingSettings
from alignment.inference.start import Serving, serve
from alignment.inference.vllm.kind import vllm_fault
from alignment.recipe.blocks.engine import engine_options
from alignment.records.evaluation import EvaluationFigures, EvaluationRecord, TaskScore
from alignment.records.export import EXPORT, ExportRecord
from alignment.records.run_folder import RunFolder
from alignment.run.stage import main
from alignment.training.saved import loaded_logits
from training.lora_stage import plan_of

BASE = resource("data/base")
ADAPTER = {"lora": {"rank": 4, "output": "adapter"}, "trainer": {"max_steps": 2, "learning_rate": 1.0e-2}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two stages, really trained: a whole policy, and an adapter alone on it."""
    plan = plan_of(tmp_path_factory.mktemp("export"), {"weights_dtype": "float32"}, ADAPTER)
    for name in ("one", "two"):
        main(plan.path, name, plan.run.path, [])
        measured(name).write(plan.folder(name).evaluations / "thinking.json")
    return plan.run.path


def measured(stage: str) -> EvaluationRecord:
    """400 of 500 answers right after stage one, 200 after two."""
    found = Estimate(0.8, 0.763, 0.833) if stage == "one" else Estimate(0.4, 0.358, 0.444)
    tasks = (TaskScore("chain-sum", 500, found),)
    return EvaluationRecord(EvaluationFigures("thinking", 500, found, tasks=tasks), stage)


def export(*arguments: object) -> str:
    """What the command printed, or the error it ended with."""
    done = CliRunner().invoke(app, ["export", *map(str, arguments)])
    return " ".join((done.output + str(done.exception or "")).split())


@pytest.mark.parametrize("stage", ["one", "two"])
def test_an_export_loads_in_plain_transformers_with_the_logits_of_the_policy(
    stage: str, run: Path, tmp_path: Path
) -> None:
    said = export(run, "--stage", stage, "--into", tmp_path / "made")
    assert "its logits are" in said
    policy = RunFolder(run).find(stage).output
    expected = loaded_logits(load_whole(str(policy), dtype="auto"))
    made = AutoModelForCausalLM.from_pretrained(tmp_path / "made", dtype="auto")
    assert (
        torch.equal(loaded_logits(made), expected)
        if stage == "one"
        else torch.allclose(loaded_logits(made), expected, atol=1e-4)
    )
    assert not list((tmp_path / "made").glob("*adapter*"))
    tokenizer, theirs = AutoTokenizer.from_pretrained(tmp_path / "made"), AutoTokenizer.from_pretrained(policy)
    assert tokenizer.chat_template == theirs.chat_template and tokenizer.get_vocab() == theirs.get_vocab()
    assert made.generation_config.eos_token_id == GenerationConfig.from_pretrained(policy).eos_token_id


@pytest.mark.skipif(vllm_fault() is not None, reason=f"vLLM: {vllm_fault()}")
def test_vllm_writes_the_same_tokens_from_an_export_as_transformers_from_the_policy(run: Path, tmp_path: Path) -> None:
    export(run, "--stage", "two", "--into", tmp_path / "made")
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": f"What is {n} + {n + 5}?"}], add_generation_prompt=True
        )["input_ids"]
        for n in range(8)
    ]
    policy = load_whole(str(RunFolder(run).find("two").output), dtype=torch.float32).eval()
    expected = [
        policy.generate(torch.tensor([ids]), max_new_tokens=24, do_sample=False)[0, len(ids) :].tolist()
        for ids in prompts
    ]
    engine = serve(str(tmp_path / "made"), Serving(engine_options("vllm", dtype="float32"), 104, 24, "</think>")).engine
    asked = [GenerationRequest(ids, "thinking", None, 24, seed=0) for ids in prompts]
    made = dict(engine.generate(asked, SamplingSettings(temperature=0.0, logprobs=False)))
    engine.close()
    assert [made[place].token_ids for place in range(len(prompts))] == expected


def test_another_dtype_is_written_and_an_export_that_is_there_is_kept_or_refused(run: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    export(run, "--stage", "one", "--into", made, "--dtype", "bfloat16")
    assert AutoModelForCausalLM.from_pretrained(made, dtype="auto").dtype == torch.bfloat16
    before = (made / "model.safetensors").stat().st_mtime_ns
    assert "its logits are" in export(run, "--stage", "one", "--into", made, "--dtype", "bfloat16")
    assert (made / "model.safetensors").stat().st_mtime_ns == before, "what is there is not written again"
    assert "is an export of the policy" in export(run, "--stage", "two", "--into", made)
    (tmp_path / "mine").mkdir()
    assert "is no export" in export(run, "--into", tmp_path / "mine")


def test_the_card_has_figures_with_intervals_stages_and_licences_and_no_path_of_the_machine(
    run: Path, tmp_path: Path
) -> None:
    export(run, "--stage", "two", "--into", tmp_path / "made", "--licence", "apache-2.0")
    card = (tmp_path / "made" / "README.md").read_text(encoding="utf-8")
    assert 'license: "apache-2.0"' in card.split("---")[1]
    assert "| two | thinking | 40.0 | 35.8–44.4 | **▼ −40.0 loss** |" in card, "a loss stands there like a gain"
    assert "chain-sum" in card and "Apache-2.0 (reasoning-gym)" in card
    assert re.search(r"\| one \| sft \| supervised fine-tuning on conversations \| 2 \|", card)
    assert str(run) not in card and str(tmp_path) not in card and str(Path.home()) not in card


def test_a_gguf_file_gives_the_same_logits_and_the_command_says_what_was_compared(run: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    refused = export(run, "--stage", "one", "--into", made, "--gguf", "f32")
    assert "llama.cpp has no name for the rule" in refused and "--gguf-splitting" in refused
    assert not list(made.glob("*gguf*"))
    said = export(run, "--stage", "one", "--into", made, "--gguf", "f32", "--gguf-splitting", "smollm")
    assert "46 tensors (46 F32) read back; the largest difference is 0" in said
    read = _from_gguf(made, "small-one-f32.gguf")
    assert torch.equal(loaded_logits(read), loaded_logits(AutoModelForCausalLM.from_pretrained(made, dtype="auto")))
    assert [one.file for one in ExportRecord.read(made / EXPORT).gguf] == ["small-one-f32.gguf"]
    assert "small-one-f32.gguf" in (made / "README.md").read_text(encoding="utf-8")


def test_what_was_changed_in_a_gguf_file_is_found_when_it_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    found = write_gguf(BASE, file, "q8_0", "smollm")
    assert found.forms == {"Q8_0": 29, "F32": 17} and 0 < found.largest_difference < 0.01
    content = bytearray(file.read_bytes())
    content[-2] ^= 0x40
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match="differs from the folder's"):
        check_gguf(BASE, file)


def test_a_llama_has_its_query_and_key_rows_where_llama_cpp_looks_for_them(tmp_path: Path) -> None:
    """transformers undoes llama.cpp's order when it reads a GGUF file, so a wrong one would give other logits."""
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=512, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, eos_token_id=2, tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    write_gguf(tmp_path, tmp_path / "model.gguf", "f32", "smollm")
    assert torch.allclose(loaded_logits(_from_gguf(tmp_path, "model.gguf")), loaded_logits(model), atol=1e-5)


def test_a_model_that_would_compute_something_else_as_gguf_is_refused() -> None:
    with pytest.raises(ArtifactError, match="this one is mistral"):
        sizes_of(MistralConfig())
    scaled = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
    with pytest.raises(ArtifactError, match="its RoPE is scaled"):
        sizes_of(LlamaConfig(rope_parameters=scaled))


@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_splitting_rule_of_a_tokenizer_is_known_by_the_ids_that_it_gives(rule: str, tmp_path: Path) -> None:
    """A tokenizer that merges across letters, digits and spaces, so that no two rules give the same ids."""
    made = Tokenizer(models.BPE())
    splits = [pre_tokenizers.Split(Regex(one), "isolated") for one in RULES[rule]]
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=2000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    made.train_from_iterator(PROBE * 4, trainer)
    found = nearest_rule(PreTrainedTokenizerFast(tokenizer_object=made))
    assert (found.name, found.exact) == (rule, True)


def test_a_push_lists_what_would_be_sent_and_sends_nothing_unless_it_is_asked_to(run: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    said = export(run, "--stage", "one", "--into", made, "--push", "me/model")
    assert "me/model (private)" in said and "model.safetensors" in said and "nothing was sent" in said
    assert "write OWNER/NAME" in export(run, "--stage", "one", "--into", made, "--push", "model")
    assert "write --push OWNER/NAME beside it" in export(run, "--stage", "one", "--into", made, "--upload")
    upload = planned_upload(made, "me/model", private=True)
    assert "README.md" in dict(upload.files) and upload.bytes > 3e6
    with pytest.raises(HubError, match="what has arrived is not sent twice"):
        push(made, upload, endpoint="http://127.0.0.1:9")


def _from_gguf(folder: Path, name: str) -> torch.nn.Module:
    load: Callable[..., torch.nn.Module] = AutoModelForCausalLM.from_pretrained
    return load(folder, gguf_file=name, dtype=torch.float32, config=AutoConfig.from_pretrained(folder))
