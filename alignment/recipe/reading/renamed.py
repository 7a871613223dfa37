"""Old names of recipe keys, so that the error for an old recipe names the new key.

Neighbour: explain.py (writes the error for an unknown key).
"""

from pydantic import BaseModel

# For each block, its old keys and what they are now; `block.key` for a key that moved into a block.
RENAMED: dict[str, dict[str, str]] = {
    "Sampling": {
        "budget": "thinking_budget.most",
        "budget_stop_text": "thinking_budget.stop_text",
        "flag_share": "flag_fraction",
        "dtype": "engine.dtype",
        "gpu_memory_fraction": "engine.gpu_memory_fraction",
        "gpu_memory_share": "engine.gpu_memory_fraction",
        "minimum_thinking": "thinking_budget.least",
        "thinking_share": "thinking_fraction",
        "wait_text": "thinking_budget.wait_text",
    },
    "Rollout": {"largest_logprob_gap": "max_logprob_gap"},
    "FusionStage": {
        "multi_turn_share": "multi_turn_fraction",
        "switched_share": "switched_fraction",
        "system_flag_share": "system_flag_fraction",
        "thinking_share": "thinking_fraction",
        "unflagged_share": "unflagged_fraction",
    },
    "MixturePart": {
        "flag_share": "flag_fraction",
        "reviews": "max_review_passes",
        "told_budgets": "target_lengths",
        "told_share": "length_matched_fraction",
    },
    "DataOverrides": {"largest_failing_share": "max_failing_fraction"},
    "Evaluations": {
        "budget_stop_text": "thinking_budget.stop_text",
        "dtype": "engine.dtype",
        "told_budgets": "target_lengths",
        "told_count": "target_length_count",
    },
}


def renamed(key: str, block: type[BaseModel]) -> str | None:
    """What to write in place of an old key of a block; None if the key is not an old one."""
    names = [RENAMED.get(base.__name__, {}).get(key) for base in block.__mro__]
    found = next((name for name in names if name is not None), None)
    if found is None:
        return None
    outer, _, inner = found.partition(".")
    if not inner:
        return f"was renamed; write `{outer}`"
    return f"is now `{inner}` of `{outer}`; write `{outer}: {{{inner}: ...}}`"
