"""The tokens of a GGUF file, and the name of the rule that splits text before byte-pair merges.

llama.cpp knows splitting rules by name alone, so a tokenizer is compared with each: the rule is put into a copy of the
tokenizer, and a probe is tokenized with both. A tokenizer whose rule llama.cpp does not have is refused, because the file
would load and give other ids. Neighbours: writing.py.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alignment.core.errors import ArtifactError

if TYPE_CHECKING:
    from gguf import GGUFWriter
    from transformers import PreTrainedTokenizerBase

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# llama.cpp's names of splitting rules, and their expressions, one after another (src/llama-vocab.cpp).
RULES: dict[str, tuple[str, ...]] = {
    "qwen2": (_QWEN2,),
    "llama-bpe": (_QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|"),),
    "smollm": (r"\p{N}", _GPT2),
    "gpt-2": (_GPT2,),
}
# Words, contractions, digits, spaces, line ends, signs, other scripts: whatever the rules treat differently.
PROBE = (
    "The quick brown fox, it's 12345 - 678 = 3! don't DON'T we'll",
    "\n\n  \\boxed{215}\t(a+b)^2 \r\n\r\n   x = 3.14e-7;... ??!!",
    "State the final answer to the following: 78 - 98 + 97 = 77\n69 - 31 = 38\n",
    "été Grüße 日本語のテキスト 한국어 русский ١٢٣ ½ 🚀🚀 'quoted' \"text\"",
    "def f(x):\n    return [i**2 for i in range(10)]  # 100% of_it\n\n\n",
    " " * 7 + "end" + " " * 3,
)


@dataclass(frozen=True)
class Rule:
    """A splitting rule by llama.cpp's name, and on how many texts of the probe it gives the tokenizer's own ids."""

    name: str
    same: int

    @property
    def exact(self) -> bool:
        """Whether no text of the probe tells the two apart."""
        return self.same == len(PROBE)


def nearest_rule(tokenizer: "PreTrainedTokenizerBase") -> Rule:
    """The splitting rule with the most texts of the probe in common. Raises ArtifactError for no byte-level BPE."""
    written = json.loads(tokenizer.backend_tokenizer.to_str())
    if written["model"]["type"] != "BPE" or "ByteLevel" not in json.dumps(written["pre_tokenizer"]):
        raise ArtifactError("its tokenizer is no byte-level BPE, and only that is written into GGUF here; convert the "
                            "exported folder with llama.cpp's own convert_hf_to_gguf.py")  # fmt: skip
    expected = _ids(written)
    found = [Rule(name, sum(map(list.__eq__, _ids(_with(written, rule)), expected))) for name, rule in RULES.items()]
    return max(found, key=lambda one: one.same)


def _with(written: dict[str, Any], rule: Sequence[str]) -> dict[str, Any]:
    """A tokenizer's JSON with another splitting rule."""
    splits = [{"type": "Split", "pattern": {"Regex": one}, "behavior": "Isolated", "invert": False} for one in rule]
    as_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {**written, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*splits, as_bytes]}}


def _ids(written: dict[str, Any]) -> list[list[int]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(json.dumps(written))
    return [tokenizer.encode(text, add_special_tokens=False).ids for text in PROBE]


def add_vocabulary(writer: "GGUFWriter", tokenizer: "PreTrainedTokenizerBase", rows: int, rule: str) -> None:
    """Write tokens, merges, special ids and the chat template. rows: of the embedding; those without a token are unused."""
    from gguf import TokenType

    written = json.loads(tokenizer.backend_tokenizer.to_str())
    names = {token_id: token for token, token_id in written["model"]["vocab"].items()}
    types = dict.fromkeys(names, TokenType.NORMAL)
    for added in written["added_tokens"]:
        names[added["id"]] = added["content"]
        types[added["id"]] = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
    if max(names) >= rows:
        raise ArtifactError(f"its tokenizer has ids up to {max(names)}, and its embedding {rows} rows")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(rule)
    writer.add_token_list([names.get(one, f"[PAD{one}]") for one in range(rows)])
    writer.add_token_types([types.get(one, TokenType.UNUSED) for one in range(rows)])
    merges = written["model"]["merges"]
    writer.add_token_merges([one if isinstance(one, str) else " ".join(one) for one in merges])
    _add_special(writer, tokenizer)


def _add_special(writer: "GGUFWriter", tokenizer: "PreTrainedTokenizerBase") -> None:
    starts = tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id] and tokenizer.bos_token_id is not None
    writer.add_add_bos_token(starts)
    if tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(tokenizer.bos_token_id)
    if tokenizer.eos_token_id is not None:
        writer.add_eos_token_id(tokenizer.eos_token_id)
    if tokenizer.pad_token_id is not None:
        writer.add_pad_token_id(tokenizer.pad_token_id)
    if isinstance(tokenizer.chat_template, str):
        writer.add_chat_template(tokenizer.chat_template)
