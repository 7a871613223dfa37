"""Tiny random models of the families that people train, with the special tokens, ends and templates of the real ones.

`build(family, folder)` writes a model folder as a hub would hold it: what differs between families is in the table, not in
the code. Neighbours: family_templates.py, family_runs.py (trains them), matrix.py (makes docs/models.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from family_templates import FAMILY_TEMPLATES
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

SHAPE = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
         "num_key_value_heads": 1, "head_dim": 32, "max_position_embeddings": 512, "initializer_range": 0.2}  # fmt: skip
WINDOW = {"sliding_window": 16}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 64}
TEXT = [
    "user assistant system please think step by step and answer with one number",
    *(f"What is {a} + {b}? The answer is {a + b}." for a in range(12) for b in range(12)),
]


@dataclass(frozen=True)
class Family:
    """One family.

    specials: the tokens that stand apart, in the order of their ids. ends: what generation_config lists. own: the family's
    chat template, without generation markers unless the real one has them. template: what a recipe writes for stages that
    need the markers; None where the model's own has them.
    """

    name: str
    config: str
    specials: tuple[str, ...]
    eos: str
    ends: tuple[str, ...]
    own: str
    template: str | None
    settings: Mapping[str, Any] = field(default_factory=dict)
    bos: str | None = None
    adds_bos: bool = False
    pad: str | None = None
    words: tuple[str, ...] = ()  # added tokens that are not special, such as <think>
    padded_vocabulary: int = 0  # rows of the embeddings above the tokenizer's


CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
THINK = ("<think>", "</think>")
LAYERS = {"num_hidden_layers": 4}
FAMILIES = (
    Family("Llama 3", "LlamaConfig",
           ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
           "<|eot_id|>", ("<|end_of_text|>", "<|eot_id|>"), "llama3", "llama3", {}, "<|begin_of_text|>", adds_bos=True),
    Family("Qwen2.5 (base)", "Qwen2Config", CHATML, "<|endoftext|>", ("<|endoftext|>",), "qwen2_5", "qwen3",
           {"tie_word_embeddings": True}, pad="<|endoftext|>", padded_vocabulary=27),
    Family("Qwen3", "Qwen3Config", CHATML, "<|im_end|>", ("<|im_end|>", "<|endoftext|>"), "qwen3", "qwen3",
           {"tie_word_embeddings": True}, pad="<|endoftext|>", words=THINK, padded_vocabulary=27),
    Family("Qwen3-MoE", "Qwen3MoeConfig", CHATML, "<|im_end|>", ("<|im_end|>", "<|endoftext|>"), "qwen3", "qwen3",
           {**EXPERTS, "num_experts": 4, "norm_topk_prob": True}, pad="<|endoftext|>", words=THINK),
    Family("Gemma 3", "Gemma3TextConfig", ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"),
           "<eos>", ("<eos>", "<end_of_turn>"), "gemma3", "gemma3",
           {**WINDOW, "query_pre_attn_scalar": 32, "layer_types": ["sliding_attention", "full_attention"]},
           "<bos>", adds_bos=True, pad="<pad>"),
    Family("Mistral", "MistralConfig", ("<unk>", "<s>", "</s>", "[INST]", "[/INST]"), "</s>", ("</s>",), "mistral",
           "mistral", WINDOW, "<s>", adds_bos=True),
    Family("SmolLM3", "SmolLM3Config", CHATML, "<|im_end|>", ("<|im_end|>",), "smollm3", None,
           {**LAYERS, "no_rope_layer_interval": 4, "tie_word_embeddings": True}, pad="<|im_end|>", words=THINK),
    Family("Granite", "GraniteConfig", ("<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>"), "<|end_of_text|>",
           ("<|end_of_text|>",), "granite", "granite",
           {"embedding_multiplier": 12.0, "attention_multiplier": 0.03, "residual_multiplier": 0.22, "logits_scaling": 8.0,
            "tie_word_embeddings": True}, "<|end_of_text|>", pad="<|end_of_text|>"),
    Family("Phi-4-mini", "Phi3Config", ("<|endoftext|>", "<|assistant|>", "<|end|>", "<|user|>", "<|system|>"),
           "<|endoftext|>", ("<|end|>", "<|endoftext|>"), "phi4_mini", "phi3",
           {"tie_word_embeddings": True, "sliding_window": 512}, "<|endoftext|>", pad="<|endoftext|>"),
    Family("OLMo 2", "Olmo2Config", ("<|endoftext|>", "<|pad|>"), "<|endoftext|>", ("<|endoftext|>",), "olmo2", "olmo2",
           {}, "<|endoftext|>", pad="<|pad|>"),
    Family("GPT-OSS", "GptOssConfig",
           ("<|startoftext|>", "<|endoftext|>", "<|return|>", "<|channel|>", "<|start|>", "<|end|>", "<|message|>", "<|call|>"),
           "<|return|>", ("<|return|>", "<|endoftext|>", "<|call|>"), "gpt_oss", "gpt-oss",
           {**WINDOW, "num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 64,
            "layer_types": ["sliding_attention", "full_attention"],
            "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}},
           "<|startoftext|>", pad="<|endoftext|>"),
    Family("LFM2", "Lfm2Config", ("<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"),
           "<|im_end|>", ("<|im_end|>",), "lfm2", "qwen3", {"layer_types": ["conv", "full_attention"]},
           "<|startoftext|>", adds_bos=True, pad="<|pad|>"),
    Family("Qwen3-Next", "Qwen3NextConfig", CHATML, "<|im_end|>", ("<|im_end|>", "<|endoftext|>"), "qwen3", "qwen3",
           {**EXPERTS, "num_experts": 4, "shared_expert_intermediate_size": 64, "linear_num_value_heads": 2,
            "linear_num_key_heads": 1, "linear_key_head_dim": 32, "linear_value_head_dim": 32,
            "layer_types": ["linear_attention", "full_attention"]}, pad="<|endoftext|>", words=THINK),
    Family("Granite 4 hybrid", "GraniteMoeHybridConfig",
           ("<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>", "<|pad|>"), "<|end_of_text|>", ("<|end_of_text|>",),
           "granite", "granite",
           {"layer_types": ["mamba", "attention"], "mamba_n_heads": 4, "mamba_d_head": 32, "mamba_d_state": 16,
            "mamba_n_groups": 1, "mamba_expand": 2, "num_local_experts": 0, "num_experts_per_tok": 0,
            "shared_intermediate_size": 128, "tie_word_embeddings": True}, "<|end_of_text|>", pad="<|pad|>"),
)  # fmt: skip


def family(name: str) -> Family:
    """The family of that name."""
    return {one.name: one for one in FAMILIES}[name]


def build(chosen: Family, folder: Path) -> Path:
    """Write a family's model, tokenizer, chat template and generation_config; returns the folder."""
    tokenizer = tokenizer_of(chosen)
    ends = [int(tokenizer.convert_tokens_to_ids(one)) for one in chosen.ends]
    settings = {**SHAPE, **chosen.settings}
    if chosen.config in ("GraniteConfig", "Olmo2Config", "Phi3Config", "Lfm2Config", "GraniteMoeHybridConfig"):
        del settings["head_dim"]  # hidden_size over heads
    config = getattr(transformers, chosen.config)(
        **settings,
        vocab_size=len(tokenizer) + chosen.padded_vocabulary,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    _as_if_trained(model)
    model.generation_config.eos_token_id = ends if len(ends) > 1 else ends[0]
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _as_if_trained(model: torch.nn.Module) -> None:
    """Norms, biases and sinks that are not at their initial values, so that leaving one out changes the logits."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.rand_like(parameter) * 0.3)


def tokenizer_of(chosen: Family) -> PreTrainedTokenizerFast:
    """A family's tokenizer: a byte-level BPE of a few merges with its special tokens and template."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320 + len(chosen.specials),
        special_tokens=list(chosen.specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(TEXT, trainer)
    if chosen.adds_bos:
        mark = (str(chosen.bos), core.token_to_id(str(chosen.bos)))
        core.post_processor = processors.TemplateProcessing(single=f"{chosen.bos} $A", special_tokens=[mark])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=chosen.bos, eos_token=chosen.eos, pad_token=chosen.pad,
        clean_up_tokenization_spaces=False,
    )  # fmt: skip
    _add_words(tokenizer, chosen.words)
    tokenizer.chat_template = FAMILY_TEMPLATES[chosen.own]
    return tokenizer


def _add_words(tokenizer: PreTrainedTokenizerFast, words: Sequence[str]) -> None:
    if words:
        tokenizer.add_tokens(list(words), special_tokens=False)
