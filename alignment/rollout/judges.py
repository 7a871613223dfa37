"""What rewards/ is given of a recipe's judges: where one is that the runner serves, and the file that keeps what it says.

The runner tells a stage's process by its environment. Neighbours: scoring.py (asks), run/judges/served.py (serves
them), recipe/blocks/judges.py (what a recipe says), judge_agreement.py (whether one may train).
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alignment.core.errors import RecipeError
from alignment.core.typed_json import Json
from alignment.recipe.blocks.rewards import Reward
from alignment.records.judges import JudgesSpending
from rewards.spending import Spending

PATIENCE_SECONDS = 3600.0  # for a server that the runner starts again; it ends the stage where that cannot help


def url_variable(name: str) -> str:
    """The environment variable with the address of a served judge."""
    return f"ALIGNMENT_JUDGE_{name.upper()}"


def key_variable(name: str) -> str:
    """The environment variable with the key of a served judge."""
    return f"{url_variable(name)}_KEY"


def model_variable(name: str) -> str:
    """The environment variable with the name under which a served judge answers, which changes with its weights."""
    return f"{url_variable(name)}_MODEL"


def reward_options(spec: Reward, judgements: Path | None = None) -> dict[str, Any]:
    """The spec for rewards/ of a recipe's reward. judgements: the folder that keeps what judges say.

    Raises RecipeError for a served judge that nobody serves here.
    """
    options = spec.spec()
    if spec.kind != "judge":
        return options
    if judgements is not None and "judgements" not in options:
        options["judgements"] = str(judgements / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', spec.called)}.jsonl")
    return options if spec.judge is None else {**options, **_served(spec.judge)}


def spending_figures(spent: Spending, processes: int) -> dict[str, float]:
    """A step's spending under the names of metrics.jsonl, as sums over processes, over which figures are averaged."""
    if not (spent.asked or spent.cached):
        return {}
    figures = {"asked": spent.asked, "cached": spent.cached, "tokens": spent.tokens, "cost": spent.cost}
    return {f"judge_{name}": float(value) * processes for name, value in figures.items()}


def spending_counts(spent: Spending, models: Mapping[str, str] | None = None) -> Mapping[str, Json]:
    """What all processes of the run have spent, for a manifest's counts, and by which model each reward judges."""
    if not spent.asked:
        return {}
    return JudgesSpending(spent.asked, spent.tokens, round(spent.cost, 6), dict(models or {})).count()


def _served(name: str) -> dict[str, Any]:
    address = os.environ.get(url_variable(name))
    if not address:
        raise RecipeError(
            f"the judge `{name}` is served by `alignment run`, and this process was started without it; run the recipe, or "
            f"set {url_variable(name)} to the address of a server of your own"
        )
    found: dict[str, Any] = {"base_url": address, "patience_seconds": PATIENCE_SECONDS}
    if os.environ.get(key_variable(name)):
        found["api_key_env"] = key_variable(name)
    if os.environ.get(model_variable(name)):
        found["model"] = os.environ[model_variable(name)]
    return found
