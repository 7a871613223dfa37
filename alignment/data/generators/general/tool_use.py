"""Tasks of the group `tools`: a calculator that a sum needs, and one that a question does not need.

Judged by `tool_call`, the sum by its answer too. Neighbours: task.py, all.py, ../tool_sums.py (the calculator and its sums).
"""

import random

from alignment.data.generators.general.task import Answered, Task, said
from alignment.data.generators.tool_sums import CALCULATOR, SYSTEM, calculator_call, tool_sum_draws

ONE_STEP = {"min_steps": 1, "max_steps": 1, "min_digits": 2, "max_digits": 2}


def _tool_sum(draw: random.Random) -> Answered:
    """With a call; the slip answers in the head."""
    seed = draw.randrange(2**40)
    called, direct = (next(tool_sum_draws(seed, {**ONE_STEP, "direct": one})) for one in (False, True))
    return Answered(
        called.question,
        called.demonstration,
        direct.demonstration,
        called.columns,
        called.answer,
        SYSTEM,
        called.tools,
    )


def _tool_none(draw: random.Random) -> Answered:
    """Without a call; the slip calls for what is given already."""
    a = draw.randint(100, 999)
    calls = [calculator_call(str(a)), {"role": "tool", "content": str(a)}]
    return Answered(
        f"Write {a}.",
        said(f"{a}", f"{a}"),
        [*calls, *said("Done.", f"{a}")],
        {"calls": []},
        system=SYSTEM,
        tools=[CALCULATOR],
    )


TASKS = (Task("tool-sum", "tools", _tool_sum), Task("tool-none", "tools", _tool_none))
