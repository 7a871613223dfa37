"""Runs a TRL script against a tiny random Qwen3 model made here: `python bare_trl.py SCRIPT FOLDER`.

test_bare_trl.py starts it in a process of its own, with the script that stands in docs/rewards.md. It prints what the
trainer logged as one line of JSON.
"""

import json
import runpy
import sys
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

END = "<|im_end|>"
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_model(folder: Path) -> None:
    """A character-level tokenizer and a two-layer model, saved as a model directory."""
    pieces = [END, "<|im_start|>", "<pad>", *map(chr, range(32, 127)), "\n"]
    tokenizer = Tokenizer(models.WordLevel({piece: index for index, piece in enumerate(pieces)}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token="<pad>", additional_special_tokens=["<|im_start|>"]
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(17)
    config = Qwen3Config(
        vocab_size=len(pieces),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=512,
        eos_token_id=0,
        pad_token_id=2,
        bos_token_id=None,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)


def main() -> None:
    """Make the model, run the script as a user would, and report."""
    script, folder = sys.argv[1], Path(sys.argv[2])
    make_model(folder / "model")
    sys.argv = [script, str(folder / "model"), str(folder / "output")]
    trainer = runpy.run_path(script, run_name="__main__")["trainer"]
    logged: dict[str, float] = {}
    for entry in trainer.state.log_history:
        logged.update({key: value for key, value in entry.items() if isinstance(value, (int, float))})
    report = {"steps": trainer.state.global_step, "alignment": "alignment" in sys.modules, "logged": logged}
    print("\n" + json.dumps(report))


if __name__ == "__main__":
    main()
