"""What a vLLM server costs beside vLLM in the process: `python -m alignment.run.processes python benchmarks/server.py [POLICY]`.

sampling: completion tokens/s of the same requests, in turn in one run, and the median of the ratios. Bound: at least
0.9. weights: seconds for one version of all weights to reach the engine, pause and resume included, and the log-prob
distance afterwards. Bound: 0.2 s for 135M parameters through shared memory. adapter: the same for an adapter alone, and
its bytes as a fraction of the weights'. Bound: 0.02. `--make FOLDER` first makes a random policy of 135M parameters
there.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import torch
import typer
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from alignment.core.resources import resource
from alignment.inference.engine import Engine, EngineSettings, Generation, GenerationRequest, SamplingSettings
from alignment.inference.start import end_tokens, start_engine
from alignment.inference.weights.merged import adapter_weights
from alignment.recipe.blocks.engine import engine_options

Made = TypeVar("Made")
HOT = SamplingSettings(temperature=1.0)


def main(
    policy: Annotated[str, typer.Argument(help="Model folder.")] = str(resource("data/base")),
    completions: Annotated[int, typer.Option(help="Completions of one measurement.")] = 128,
    tokens: Annotated[int, typer.Option(help="Tokens of each completion.")] = 64,
    rounds: Annotated[int, typer.Option(help="Measurements of each engine, in turn.")] = 5,
    workers: Annotated[int, typer.Option(help="Servers.")] = 1,
    way: Annotated[str, typer.Option(help="How weights travel: shm or tcp.")] = "shm",
    rank: Annotated[int, typer.Option(help="Of an adapter on all linear layers, which is sent as well.")] = 8,
    dtype: Annotated[str, typer.Option(help="Of the engines: float32 or bfloat16.")] = "float32",
    make: Annotated[Path | None, typer.Option(help="Make a policy here, and measure it.")] = None,
) -> None:
    """Print one JSON line each for sampling, weights and the adapter."""
    if make is not None:
        policy = random_policy(make)
    engines = {
        "vllm": started(policy, tokens, "vllm", dtype=dtype),
        "vllm_server": started(policy, tokens, "vllm_server", dtype=dtype, workers=workers, weight_transfer=way),
    }
    asked = [
        GenerationRequest([5 + number % 200, 20, 9, 33], "non_thinking", max_tokens=tokens, seed=number)
        for number in range(completions)
    ]
    speeds: dict[str, list[float]] = {name: [] for name in engines}
    for round_ in range(rounds + 1):
        for name, engine in engines.items():
            seconds, made = timed(partial(_generated, engine, asked))
            if round_:  # the first fills caches
                speeds[name].append(sum(len(one.token_ids) for _, one in made) / seconds)
    ratios = [server / here for server, here in zip(speeds["vllm_server"], speeds["vllm"], strict=True)]
    shown = {name: [round(speed) for speed in found] for name, found in speeds.items()}
    print(json.dumps({"sampling": shown, "workers": workers, "median_ratio": round(statistics.median(ratios), 3)}))
    model = AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float32)
    probe = asked[0].prompt_ids
    for name, engine in engines.items():
        before = engine.logprobs([probe])[0]
        found = [timed(partial(engine.load_weights, iter(model.named_parameters())))[0] for _ in range(5)]
        moved = max(abs(a - b) for a, b in zip(before, engine.logprobs([probe])[0], strict=True))
        millions = sum(one.numel() for one in model.parameters()) / 1e6
        line = {"weights": name, "way": way if name == "vllm_server" else "reload", "parameters_M": round(millions, 2)}
        print(json.dumps({**line, "seconds": [round(one, 3) for one in found], "largest_change_nats": moved}))
    for engine in engines.values():
        engine.close()
    print(json.dumps(adapter(policy, tokens, workers, rank, dtype)))


def adapter(policy: str, tokens: int, workers: int, rank: int, dtype: str) -> dict[str, object]:
    """Seconds for an adapter to reach the servers, and its bytes as a fraction of all weights'."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float32)
    whole = sum(one.numel() for one in model.parameters())
    trained = get_peft_model(model, LoraConfig(r=rank, target_modules="all-linear", task_type="CAUSAL_LM"))
    options = {"dtype": dtype, "workers": workers, "weight_transfer": "lora"}
    engine = started(policy, tokens, "vllm_server", trained.peft_config["default"], **options)
    found = [timed(lambda: engine.load_weights(adapter_weights(trained)))[0] for _ in range(5)]
    fraction = sum(one.numel() for _, one in adapter_weights(trained)) / whole
    engine.close()
    return {"adapter_rank": rank, "seconds": [round(one, 3) for one in found], "fraction_of_bytes": round(fraction, 4)}


def _generated(engine: Engine, requests: Sequence[GenerationRequest]) -> list[tuple[int, Generation]]:
    return list(engine.generate(requests, HOT))


def random_policy(folder: Path) -> str:
    """A random policy of 135M parameters in the shape of SmolLM2-135M, with the embedded model's tokenizer."""
    config = AutoConfig.for_model(
        "qwen3",
        hidden_size=576,
        num_hidden_layers=30,
        intermediate_size=1536,
        num_attention_heads=9,
        num_key_value_heads=3,
        head_dim=64,
        vocab_size=49152,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    AutoTokenizer.from_pretrained(resource("data/base")).save_pretrained(folder)
    return str(folder)


def started(policy: str, tokens: int, name: str, adapter: LoraConfig | None = None, **options: object) -> Engine:
    """An engine for prompts of a few tokens. adapter: which the trainer will send alone."""
    chosen = engine_options(name, **options)
    ends = end_tokens(policy, AutoTokenizer.from_pretrained(policy))
    return start_engine(EngineSettings(policy, tokens + 16, ends, 0, chosen, adapter=adapter))


def timed(work: Callable[[], Made]) -> tuple[float, Made]:
    """Seconds, and what was made."""
    begun = time.monotonic()
    made = work()
    return time.monotonic() - begun, made


if __name__ == "__main__":
    typer.run(main)
