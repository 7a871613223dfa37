"""The judge of `alignment processbench --judge`: its settings, and why it cannot be asked. Neighbours: __init__.py, refused.py."""

import os
from collections.abc import Mapping

from alignment.core.typed_json import Json
from rewards.posting import url_fault


def judge_settings(
    base_url: str, model: str, key_variable: str, prices: tuple[float, float]
) -> Mapping[str, Json] | None:
    """The block of a judge, by the names that it has in a recipe; None where nothing is given. The key stays in the environment."""
    if not (base_url or model or key_variable or any(prices)):
        return None
    return {
        "base_url": base_url,
        "model": model,
        "api_key_env": key_variable,
        "price_per_million_input": prices[0],
        "price_per_million_output": prices[1],
    }


def judge_fault(base_url: str, key_variable: str) -> str | None:
    """Why a judge cannot be asked there, or None."""
    if key_variable and not os.environ.get(key_variable, "").strip():
        return f"--judge-key-env names {key_variable}, which holds no key here; export it, or leave the option out"
    fault = url_fault(base_url, sends_key=bool(key_variable))
    return f"--judge cannot be used: {fault}" if fault else None
