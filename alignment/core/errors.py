"""The errors a user can meet. Each says where, what was found, why it cannot work, and what to write instead.

cli/ prints them without a traceback; anything else that escapes is a defect of this project.
"""


class AlignmentError(Exception):
    """The root of every error meant for a user's eyes."""

    exit_status = 1


class RecipeError(AlignmentError):
    """A recipe, or what it names, cannot work. Holds every problem found, not only the first."""

    exit_status = 2


class DataError(AlignmentError):
    """A data file or row is not what it was declared to be."""

    exit_status = 2


class ArtifactError(AlignmentError):
    """Something in a run directory is missing, damaged or not what its manifest says."""


class StaleInputsError(AlignmentError):
    """A finished stage no longer matches the recipe. Names the fields that changed."""

    exit_status = 2


class StageFailed(AlignmentError):
    """A stage's process ended with an error; carries where its log is."""


class WeightsNotSynchronised(AlignmentError):
    """The sampling engine does not hold the weights that the trainer holds."""


class EngineError(AlignmentError):
    """A sampling engine cannot start or cannot do what was asked."""


class OptionError(AlignmentError):
    """What was written on the command line cannot work. Says what to write instead."""

    exit_status = 2
