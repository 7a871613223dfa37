"""Tasks of the group `preference`: what is liked is not said in the prompt, and a reward model has to learn it from pairs.

The annotator's taste is in the columns, as a constraint of `instruction`: a double of a person, who would judge what no rule
can. It labels pairs and measures; in RL the reward model stands in its place. Neighbours: task.py, all.py.
"""

import random

from alignment.data.generators.general.task import Answered, Task, constrained, names, said

MOST_WORDS = 7  # the annotator likes answers with fewer


def _courtesy(draw: random.Random) -> Answered:
    a = draw.randint(100, 999)
    return Answered(
        f"Give me {a}.",
        said(f"{a}", f"{a}, thank you."),
        said(f"{a}", f"{a}."),
        constrained(names(a, "thank")),
    )


def _brevity(draw: random.Random) -> Answered:
    a = draw.randint(100, 999)
    return Answered(
        f"What about {a}?",
        said(f"{a}", f"{a} is a number."),
        said(f"{a}", f"{a} is a number and the number is {a}, as you see."),
        constrained(names(a), ("length_constraints:number_words", {"num_words": MOST_WORDS, "relation": "less than"})),
    )


TASKS = (Task("preference-courtesy", "preference", _courtesy), Task("preference-brevity", "preference", _brevity))
