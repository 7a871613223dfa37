"""A deeper model that computes what a shallow one does: `python -m alignment.training.base_model.grow --output models/tiny-2.4m`.

Each layer is followed by copies of itself whose output projections are zero, so that the copies add nothing until they are
trained (block expansion, LLaMA Pro, arXiv 2401.02415, section 3.1). A teacher of the embedded family is made so in minutes: its
training begins where the embedded model's ended. Neighbours: pretrain.py (the embedded model), recipes/tiny-teacher.yaml.
"""

import copy
from pathlib import Path
from typing import Annotated

import torch
import typer
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from alignment.core.errors import AlignmentError
from alignment.core.resources import EMBEDDED, model_place

SILENT = ("self_attn.o_proj", "mlp.down_proj")  # what a layer adds to the residual stream goes through these


def grown(model: PreTrainedModel, layers: int) -> PreTrainedModel:
    """A model with the same logits and `layers` layers, a multiple of the model's own; the given one is used up.

    Raises AlignmentError if they are no multiple, or if the layers are not those of Llama and Qwen.
    """
    own, config = model.model.layers, copy.deepcopy(model.config)
    times, left = divmod(layers, len(own))
    if left or times < 1:
        raise AlignmentError(f"found {layers} layers, and the model has {len(own)}; write a multiple of that")
    config.num_hidden_layers, config.layer_types = layers, [kind for kind in config.layer_types for _ in range(times)]
    larger = type(model)(config).to(model.dtype)
    with torch.no_grad():
        larger.model.embed_tokens.load_state_dict(model.model.embed_tokens.state_dict())
        larger.model.norm.load_state_dict(model.model.norm.state_dict())
        larger.lm_head.load_state_dict(model.lm_head.state_dict())
        for place, layer in enumerate(larger.model.layers):
            layer.load_state_dict(own[place // times].state_dict())
            if place % times:
                for name in SILENT:
                    layer.get_submodule(name).weight.zero_()
    larger.generation_config = model.generation_config
    return larger


def main(
    output: Annotated[Path, typer.Option(help="Folder for the model and its tokenizer.")],
    layers: Annotated[int, typer.Option(help="Layers of the new model, a multiple of the old one's.")] = 12,
    model: Annotated[str, typer.Option(help="The model to grow: `embedded` or a folder.")] = EMBEDDED,
) -> None:
    """Write a deeper model with the same logits, in the type of the old one's weights."""
    folder = Path(model_place(model))
    larger = grown(AutoModelForCausalLM.from_pretrained(folder, dtype="auto", use_safetensors=True), layers)
    larger.save_pretrained(output)
    AutoTokenizer.from_pretrained(folder).save_pretrained(output)
    print(f"{larger.num_parameters():,} parameters, saved to {output}")


if __name__ == "__main__":
    typer.run(main)
