"""The embedded model's tokenizer: byte-level BPE with single digits and Qwen3's special tokens.

Byte level can encode any text; single digits, as in Qwen3, make sums learnable. The merges are learned from the pretraining
corpus, so that the words of the problems are one or two tokens each. Neighbours: corpus.py, pretrain.py.
"""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
# Qwen3 keeps these visible when special tokens are skipped in decoding, because parsers read them.
STRUCTURE = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>")


def train_tokenizer(texts: Iterable[str], vocabulary_size: int, template: Path) -> PreTrainedTokenizerFast:
    """Learn the merges from texts, and add Qwen3's special tokens and the chat template in the file `template`."""
    tokenizer = Tokenizer(models.BPE())
    digits_apart = pre_tokenizers.Split(Regex(r"\d|\n+| ?[^\s\d]+| "), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [digits_apart, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(token, special=True, normalized=False) for token in (END_OF_TEXT, TURN_START, TURN_END)]
    visible = [AddedToken(token, special=False, normalized=False) for token in STRUCTURE]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size - len(visible),
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens(visible)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=TURN_END, pad_token=END_OF_TEXT, clean_up_tokenization_spaces=False
    )
    fast.chat_template = template.read_text(encoding="utf-8")
    return fast
