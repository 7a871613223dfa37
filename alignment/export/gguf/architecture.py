"""What a GGUF file says of a model: its architecture by llama.cpp's name, and its sizes.

Only dense Llama, Qwen2 and Qwen3 models with plain RoPE are written; anything else is refused before a file is begun, because
a file with a wrong key loads and computes something else. Neighbours: vocabulary.py (tokens), writing.py (weights).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alignment.core.errors import ArtifactError

if TYPE_CHECKING:
    from gguf import GGUFWriter
    from transformers import PretrainedConfig

# transformers' model_type to llama.cpp's architecture.
ARCHITECTURES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}


@dataclass(frozen=True)
class Sizes:
    """A dense decoder's sizes, in llama.cpp's terms."""

    architecture: str
    layers: int
    context: int
    hidden: int
    feed_forward: int
    heads: int
    key_value_heads: int
    head_dim: int
    vocabulary: int
    rope_theta: float
    norm_epsilon: float

    @property
    def permutes(self) -> bool:
        """Whether the rows of q and k change places: llama.cpp rotates neighbours in a Llama, and halves in a Qwen."""
        return self.architecture == "llama"


def sizes_of(config: "PretrainedConfig") -> Sizes:
    """The sizes of a model. Raises ArtifactError for one that would compute something else as GGUF."""
    name = ARCHITECTURES.get(config.model_type)
    if name is None:
        raise ArtifactError(
            f"a GGUF file is written of dense {', '.join(ARCHITECTURES)} models, and this one is {config.model_type}; leave "
            "--gguf out, and convert the exported folder with llama.cpp's own convert_hf_to_gguf.py"
        )
    rope = dict(config.rope_parameters)
    if rope.get("rope_type", "default") != "default":
        raise ArtifactError(f"its RoPE is scaled ({rope['rope_type']}), which this export does not write into GGUF; "
                            "convert the exported folder with llama.cpp's own convert_hf_to_gguf.py")  # fmt: skip
    if getattr(config, "use_sliding_window", False):
        raise ArtifactError("it attends through a sliding window, which llama.cpp does not do for this architecture")
    return Sizes(
        architecture=name,
        layers=config.num_hidden_layers,
        context=config.max_position_embeddings,
        hidden=config.hidden_size,
        feed_forward=config.intermediate_size,
        heads=config.num_attention_heads,
        key_value_heads=config.num_key_value_heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        vocabulary=config.vocab_size,
        rope_theta=float(rope["rope_theta"]),
        norm_epsilon=float(config.rms_norm_eps),
    )


def add_sizes(writer: "GGUFWriter", sizes: Sizes) -> None:
    """Write the sizes into a file."""
    writer.add_block_count(sizes.layers)
    writer.add_context_length(sizes.context)
    writer.add_embedding_length(sizes.hidden)
    writer.add_feed_forward_length(sizes.feed_forward)
    writer.add_head_count(sizes.heads)
    writer.add_head_count_kv(sizes.key_value_heads)
    writer.add_key_length(sizes.head_dim)
    writer.add_value_length(sizes.head_dim)
    writer.add_rope_dimension_count(sizes.head_dim)
    writer.add_rope_freq_base(sizes.rope_theta)
    writer.add_layer_norm_rms_eps(sizes.norm_epsilon)
    writer.add_vocab_size(sizes.vocabulary)
