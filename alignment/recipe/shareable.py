"""Which models' packs of rows can be shared by several processes (`sequence_parallel`), by their config.json.

Neighbours: checks/shared_packs.py (says so before a stage starts), training/sequence_parallel.py (looks again).
"""

from collections.abc import Mapping
from typing import Any


def unshareable(config: Mapping[str, Any], processes: int) -> str | None:
    """Why a model's packs cannot be shared by so many processes, and what to write, or None. config: of its text model."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kinds = {str(one.get("rope_type") or one.get("type")) for one in (rope, *rope.values()) if isinstance(one, Mapping)}
    if by_length := [kind for kind in sorted(kinds) if "longrope" in kind or "dynamic" in kind]:
        return (
            f"its rotary embedding ({by_length[0]}) goes by the longest position that a process sees, and each sees a part of a "
            "row: queries and keys of one row would be turned differently"
        )
    if config.get("model_type") == "gpt_oss":
        return "its attention has a learned sink for each head, and processes have a part of the heads"
    heads = int(config.get("num_attention_heads") or 0)
    keys = int(config.get("num_key_value_heads") or heads)
    if heads and not divides_heads(processes, heads, keys):
        return (
            f"{processes} processes cannot divide {heads} attention heads and {keys} of keys equally among them; write a number "
            "that divides both, or that the second divides"
        )
    return None


def divides_heads(processes: int, heads: int, key_heads: int) -> bool:
    """Whether processes can have an equal part of the attention heads each; those of keys may be there several times."""
    return heads % processes == 0 and (key_heads % processes == 0 or processes % key_heads == 0)
