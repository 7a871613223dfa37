"""What a process reward model is in a recipe: how it is served, and how its step scores become one number.

Neighbours: training/kinds/prm.py (trains one), rewards.py (the reward `process` names one), inference/process_model.py.
"""

from typing import Literal

Aggregate = Literal["product", "minimum", "last", "mean"]
AGGREGATES: tuple[Aggregate, ...] = ("product", "minimum", "last", "mean")
STEP_TOKEN = "<extra_0>"  # noqa: S105  Qwen2.5-Math-PRM's, and no password
RIGHT = 1  # the class of a right step; 0 is that of a wrong one
