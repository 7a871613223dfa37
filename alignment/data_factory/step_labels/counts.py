"""What became of solutions whose steps are labelled, for the manifest of a step_labels stage.

Neighbours: training/stages/step_labels.py (counts chunk by chunk), methods.py (the labels).
"""

from dataclasses import asdict, dataclass


@dataclass
class Counts:
    """What became of a chunk's solutions, and what their labels cost."""

    solutions: int = 0
    right: int = 0
    left_out_unfinished: int = 0  # cut off at the token limit, or without a known verdict
    left_out_unsolved: int = 0  # of problems that no solution answered right: nothing says where they fail
    left_out_right: int = 0  # right ones that keep_right_fraction leaves out
    left_out_unknown: int = 0  # a method had no label for any step
    left_out_too_long: int = 0  # a judge is not shown so much
    left_out_unanswered: int = 0  # a judge refused, or said nothing that is an answer
    left_out_disagreeing: int = 0  # two methods named different steps
    left_out_few_steps: int = 0  # without any step
    unparsed_programs: int = 0  # split by lines, since `statement` and `block` need a program that parses
    states: int = 0  # steps with the values of the program's names after them
    odd_steps: int = 0  # rows with empty or duplicate steps, which stay
    labels: int = 0
    wrong_labels: int = 0
    sampled_tokens: int = 0  # of the solutions themselves
    label_completions: int = 0
    label_tokens: int = 0
    seconds_labelling: float = 0.0

    def add(self, other: "Counts") -> None:
        """Add another chunk's counts."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)
