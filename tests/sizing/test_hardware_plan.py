"""What a recipe needs of a machine is known before anything starts: sizes from configs, memory part by part, and advice."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alignment.cli import app
from alignment.core.errors import OptionError
from alignment.core.resources import resource
from alignment.recipe.blocks.hardware import Hardware
from alignment.recipe.blocks.lora import Lora
from alignment.recipe.schema import Recipe
from alignment.sizing.advice import advice_for, fits
from alignment.sizing.cluster import GIB, cluster_of
from alignment.sizing.duration import duration_of
from alignment.sizing.estimate import estimates
from alignment.sizing.memory import Memory, Training, memory_of, training_of
from alignment.sizing.shape import Shape, shape_of
from alignment.training.kinds.grpo import GrpoStage
from alignment.training.kinds.sft import SftStage

BASE = Path(__file__).parents[2] / "data" / "base"
RECIPES = Path(__file__).parents[2] / "recipes"


def known(model: str) -> Shape:
    shape = shape_of(model)
    assert shape is not None
    return shape


def sft(hardware: Hardware, *, checkpointed: bool = True, lora: Lora | None = None) -> Training:
    keys = {"per_device_train_batch_size": 1, "gradient_checkpointing": checkpointed}
    stage = SftStage(name="sft", kind="sft", data="rows", max_length=16_384, trainer=keys, lora=lora)
    found = training_of(stage, hardware)
    assert found is not None
    return found


def grpo(hardware: Hardware) -> Training:
    stage = GrpoStage.model_validate(
        {"name": "rl", "kind": "grpo", "data": "rows", "rewards": [{"kind": "math_answer"}]}
    )
    found = training_of(stage, hardware)
    assert found is not None
    return found


def test_the_embedded_model_is_counted_to_the_last_weight() -> None:
    header = (BASE / "model.safetensors").read_bytes()
    size = int.from_bytes(header[:8], "little")
    tensors = json.loads(header[8 : 8 + size])
    shapes = [one["shape"] for name, one in tensors.items() if name != "__metadata__"]
    counted = sum(shape[0] * (shape[1] if len(shape) > 1 else 1) for shape in shapes)
    assert known(str(BASE)).parameters == counted


@pytest.mark.parametrize(("model", "billions"), [
    ("Qwen/Qwen3-0.6B", 0.596), ("Qwen/Qwen3-1.7B-Base", 1.72), ("Qwen/Qwen3-8B-Base", 8.19), ("Qwen/Qwen3-32B", 32.76),
    ("Qwen/Qwen3-30B-A3B-Base", 30.5),
])  # fmt: skip
def test_qwen3_is_known_without_a_network(model: str, billions: float) -> None:
    assert known(model).parameters / 1e9 == pytest.approx(billions, rel=2e-3)


def test_a_model_of_experts_is_multiplied_with_few_of_them() -> None:
    assert known("Qwen/Qwen3-30B-A3B").active / 1e9 == pytest.approx(3.0, rel=0.03)
    dense = known("Qwen/Qwen3-8B")
    assert dense.active + dense.vocabulary * dense.hidden == pytest.approx(dense.parameters, rel=1e-3)


def test_what_is_no_decoder_or_has_no_config_has_no_shape(tmp_path: Path) -> None:
    assert shape_of(str(tmp_path)) is None
    (tmp_path / "config.json").write_text('{"hidden_size": 8}', encoding="utf-8")
    assert shape_of(str(tmp_path)) is None


@pytest.mark.parametrize(("checkpointed", "measured_gb"), [(True, 29.14), (False, 60.44)])
def test_sft_of_1_7b_takes_what_it_took_on_an_h100(checkpointed: bool, measured_gb: float) -> None:
    """docs/gpu.md: the most that tensors held at once, in 10^9 bytes, so without the CUDA context."""
    training = sft(Hardware(accelerate="gpu"), checkpointed=checkpointed)
    found = memory_of(known("Qwen/Qwen3-1.7B"), training, 79)
    assert (found.gib * GIB - found.base) / 1e9 == pytest.approx(measured_gb, rel=0.1)


def test_zero_shards_what_its_stage_says() -> None:
    shape = known("Qwen/Qwen3-8B")
    alone, two, three = (
        memory_of(shape, sft(Hardware(accelerate=name, processes=8)), 79) for name in ("gpu", "zero2", "zero3")
    )
    assert alone.weights == 4 * shape.parameters  # float32, which small steps need
    assert two.weights == 2 * shape.parameters  # DeepSpeed keeps the float32 copy, in eighths
    assert two.optimizer == 12 * shape.parameters / 8
    assert three.weights < two.weights / 3


def test_fsdp2_shards_float32_weights_as_zero_3_shards_its_own(tmp_path: Path) -> None:
    shape = known("Qwen/Qwen3-8B")
    fully = memory_of(shape, sft(Hardware(accelerate="fsdp2", processes=8)), 79)
    zero = memory_of(shape, sft(Hardware(accelerate="zero3", processes=8)), 79)
    assert fully.optimizer == 8 * shape.parameters / 8 and zero.optimizer == 12 * shape.parameters / 8
    assert fully.gib == pytest.approx(zero.gib, rel=0.15)
    own = tmp_path / "own.yaml"
    text = (resource("recipes/accelerate") / "fsdp2.yaml").read_text(encoding="utf-8")
    own.write_text(text.replace("reshard_after_forward: true", "reshard_after_forward: false"), encoding="utf-8")
    whole = memory_of(shape, sft(Hardware(accelerate=str(own), processes=8)), 79)
    assert whole.weights > 2 * shape.parameters, "gathered weights stay until the backward pass"


def test_an_adapter_takes_little_and_four_bits_less() -> None:
    shape = known("Qwen/Qwen3-8B")
    plain = memory_of(shape, sft(Hardware(accelerate="gpu"), lora=Lora()), 79)
    four = memory_of(shape, sft(Hardware(accelerate="gpu"), lora=Lora(quantise="nf4")), 79)
    assert plain.optimizer < 0.05 * 8 * shape.parameters
    assert 0.3 < four.weights / plain.weights < 0.5


def test_an_engine_beside_the_trainer_takes_its_fraction_of_the_gpu() -> None:
    found = memory_of(known("Qwen/Qwen3-0.6B"), grpo(Hardware(accelerate="gpu")), 79)
    assert found.engine == pytest.approx(0.35 * 79 * GIB)


def test_a_judge_that_the_run_serves_is_counted_where_it_shares_the_device(tmp_path: Path) -> None:
    def estimated(judge: dict[str, object], hardware: dict[str, object], on: str | None = None) -> Memory:
        stage = {"name": "rl", "kind": "grpo", "data": "rows", "rewards": [{"kind": "judge", "judge": "small"}]}
        recipe = Recipe.model_validate(
            {"name": "judged", "model": "embedded", "judges": {"small": judge}, "stages": [stage], "hardware": hardware}
        )
        found = estimates(recipe, str(BASE), None if on is None else cluster_of(on))
        assert found is not None
        return found.stages[0].memory

    judge: dict[str, object] = {"model": "Qwen/Qwen3-0.6B"}
    on_cpu = estimated(judge, {"accelerate": "cpu"}).judges / GIB
    assert on_cpu == pytest.approx(2.4 + 4 * 0.596e9 / GIB, rel=0.01)
    assert estimated(judge, {"accelerate": "cpu-ddp", "processes": 2}).judges / GIB == pytest.approx(on_cpu / 2)
    alone = estimated(judge, {"accelerate": "gpu"}, "2xH100")
    assert alone.judges == 0, "it has the second GPU to itself"
    bounded = {**judge, "engine": {"gpu_memory_fraction": 0.3}}
    assert estimated(bounded, {"accelerate": "gpu"}, "1xH100").judges / GIB == pytest.approx(0.3 * 79)


def test_advice_is_given_only_where_it_makes_the_stage_fit() -> None:
    shape, device = known("Qwen/Qwen3-8B"), cluster_of("8xH100").device
    alone = sft(Hardware(accelerate="gpu", processes=8))
    assert not fits(memory_of(shape, alone, device.memory_gib), device.memory_gib)
    advice = advice_for(shape, alone, device.memory_gib)
    assert advice is not None and "zero2" in advice.write and advice.gib < device.memory_gib
    assert advice_for(known("Qwen/Qwen3-32B"), sft(Hardware(accelerate="gpu")), 8) is None


def test_hours_follow_the_devices() -> None:
    shape = known("Qwen/Qwen3-1.7B")
    slow, fast = (cluster_of(one).device for one in ("A100-80", "H100"))
    one, eight = (sft(Hardware(accelerate="gpu", processes=count)) for count in (1, 8))
    lone = duration_of(shape, one, fast, rows=1_000)
    assert lone is not None and lone.training == pytest.approx(
        1_000 * 3 * 16_384 / 13_000, rel=0.6
    )  # tokens/s at full length
    shared, old = duration_of(shape, eight, fast, rows=1_000), duration_of(shape, one, slow, rows=1_000)
    assert shared is not None and shared.training == pytest.approx(lone.training / 8)
    assert old is not None and old.training == pytest.approx(lone.training * 989 / 312)
    assert duration_of(shape, one, fast, rows=None) is None


def test_parts_are_listed_from_the_largest() -> None:
    assert [name for name, _ in Memory(weights=1.0, engine=3.0, logits=2.0).parts()] == ["engine", "logits", "weights"]


@pytest.mark.parametrize("written", ["8xH900", "0xH100", "eight H100", ""])
def test_a_device_that_nobody_knows_is_refused_with_those_that_are_known(written: str) -> None:
    with pytest.raises(OptionError, match="8xH100; known: B200"):
        cluster_of(written)


def test_the_command_prints_parts_and_warns_of_what_will_not_fit() -> None:
    asked = ["plan", str(RECIPES / "qwen3-30b-a3b-thinking.yaml"), "--hardware", "8xH100"]
    done = CliRunner().invoke(app, asked, env={"COLUMNS": "160", "HF_HUB_OFFLINE": "1"})
    assert done.exit_code == 0, done.output
    assert "30,5" in done.output and "8 x H100" in done.output
    assert "warning: reasoning_rl needs about" in done.output and "it will run out of memory" in done.output
    assert "hours" in done.output


def test_check_says_the_same_of_a_hub_model() -> None:
    asked = ["check", str(RECIPES / "qwen3-8b-thinking.yaml"), "--set", "hardware.device_memory_gib=40"]
    done = CliRunner().invoke(app, asked, env={"COLUMNS": "160", "HF_HUB_OFFLINE": "1"})
    assert done.exit_code == 0, done.output
    assert "warning: reasoning_rl needs about" in done.output


def test_a_reward_model_of_unknown_size_is_named_and_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    done = CliRunner().invoke(
        app, ["plan", str(resource("recipes/qwen3-8b-lora.yaml")), "--hardware", "8xH100"], env={"COLUMNS": "200"}
    )
    assert done.exit_code == 0, done.output
    assert "notice: general_rl counts nothing for Skywork/" in done.output
