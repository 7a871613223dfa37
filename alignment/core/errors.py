"""The errors a user can meet. Each says where, what was found, why it cannot work, and what to write instead.

core/entry.py prints them without a traceback; anything else that escapes is a defect of this project.
"""


class AlignmentError(Exception):
    """Base class of every error that is shown to the user. `exit_status` is that of the command that raised it."""

    exit_status = 1


class RecipeError(AlignmentError):
    """A recipe, or something it names, cannot work. Lists every error found, not only the first."""

    exit_status = 2


class DataError(AlignmentError):
    """A data file or row is not what it was declared to be."""

    exit_status = 2


class ArtifactError(AlignmentError):
    """A file in a run directory is missing, damaged, or differs from what its manifest records."""


class StaleInputsError(AlignmentError):
    """A finished stage no longer matches the recipe. Names the fields that changed."""

    exit_status = 2


class StageFailed(AlignmentError):
    """A stage's process ended with an error. The message holds the path of its log."""


class WeightsNotSynchronised(AlignmentError):
    """The sampling engine does not hold the weights that the trainer holds."""


class EngineError(AlignmentError):
    """A sampling engine cannot start, or cannot serve a request."""


class OptionError(AlignmentError):
    """A command-line option or argument cannot work. Says what to write instead."""

    exit_status = 2


class JudgeRefused(AlignmentError):
    """A judge disagrees with known verdicts, or can be talked round: training on it would teach its mistakes."""
