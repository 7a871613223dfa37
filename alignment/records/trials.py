"""trials/: short runs of one stage on other rows, and what they say: how many rows will do, and which fractions of which source.

trials/KEY is a run directory of its own; trial.json in it is what was measured. Neighbours: run/trials/trial.py (runs
them), run/trials/row_curve.py and run/trials/mixture_search.py (what is made of them), report/ (shows it).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from alignment.core.statistics.estimate import Estimate
from alignment.core.typed_json import Json
from alignment.core.vocabulary import Mode
from alignment.records.file_record import FileRecord

FOLDER, TRIAL = "trials", "trial.json"
ROWS, MIXTURE = "rows-{}.json", "mixture-{}.json"  # by stage
Form = Literal["fractions", "logarithms"]
Origin = Literal["recipe", "sampled"]


@dataclass(frozen=True)
class Trial(FileRecord):
    """One training of a stage on some rows, from the policy that the stage starts from, and its evaluation."""

    key: Annotated[str, "the name of its folder: a hash of everything that decides it"]
    counts: Annotated[Mapping[str, int], "rows asked of each part of the data"]
    mode: Annotated[Mode, "the mode it was evaluated in"]
    accuracy: Annotated[Estimate, "fraction of judged answers that are right, with Wilson's interval"]
    count: Annotated[int, "answers that could be judged"]
    unknown: Annotated[int, "answers that could not be judged"]
    steps: Annotated[int, "optimizer steps"]
    tokens: Annotated[int, "tokens that carried loss"]
    seconds: Annotated[float, "wall time of training"]
    identity: Annotated[Mapping[str, Json], "what decides it"]

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class RowPoint:
    """One number of rows. Every smaller set of rows is a part of every larger one."""

    rows: Annotated[int, "rows"]
    counts: Annotated[Mapping[str, int], "rows of each part of the data"]
    accuracy: Annotated[
        Estimate, "mean over the trainings, with Wilson's interval for as many problems as one of them answered"
    ]
    count: Annotated[int, "answers of one training that could be judged"]
    accuracies: Annotated[tuple[float, ...], "of each training, which differ in their seed"]
    steps: Annotated[int, "optimizer steps of one training"]
    tokens: Annotated[int, "tokens that carried loss in one training"]


@dataclass(frozen=True)
class RowCurve(FileRecord):
    """Accuracy over the number of rows that a stage trains on."""

    stage: Annotated[str, "the stage"]
    mode: Annotated[Mode, "the mode that was evaluated"]
    tasks: Annotated[tuple[str, ...], "the tasks, weighed by their problems"]
    points: Annotated[tuple[RowPoint, ...], "from few rows to many"]
    chosen: Annotated[
        int | None,
        "the fewest rows from which on every accuracy is within the best's interval; null where only the most are",
    ]
    seeds: Annotated[int, "trainings at each number of rows"] = 1


@dataclass(frozen=True)
class MixtureTrial:
    """One mixture that was trained on and measured in a search."""

    round: Annotated[int, "the round of the search, from 1"]
    fractions: Annotated[tuple[float, ...], "of each group, in the order of `groups`"]
    accuracy: Annotated[Estimate, "with Wilson's interval"]
    origin: Annotated[Origin, "`recipe` for its own mixture, `sampled` for others"]


@dataclass(frozen=True)
class MixtureFit:
    """The ridge regression of accuracy (as logit) on fractions, over all trials up to a round."""

    round: Annotated[int, "the round, from 1"]
    form: Annotated[Form, "what of the fractions it is linear in; the form with the smaller error was taken"]
    coefficients: Annotated[tuple[float, ...], "of each group: change of the logit with one standard deviation of it"]
    error: Annotated[float, "root mean square error of trials that were left out of the fit, one by one, in accuracy"]
    spread: Annotated[float, "standard deviation of the trials' accuracies: the error of knowing nothing"]
    rank_correlation: Annotated[float | None, "Spearman's, of predicted and measured accuracy of trials left out one by one"]  # fmt: skip


@dataclass(frozen=True)
class MixtureGain:
    """The mixture that was found against the recipe's own, trained anew with further seeds."""

    predicted: Annotated[float, "difference of the two accuracies by the last regression"]
    measured: Annotated[Estimate, "mean difference over the seeds, with Student's interval from four seeds on"]
    own: Annotated[tuple[float, ...], "accuracy of the recipe's own mixture, by seed"]
    found: Annotated[tuple[float, ...], "accuracy of the mixture that was found, by seed"]
    other_problems: Annotated[bool, "whether these accuracies are on other problems than the search's"]


@dataclass(frozen=True)
class MixtureSearch(FileRecord):
    """A search for the fractions of groups that a stage trains on."""

    stage: Annotated[str, "the stage"]
    mode: Annotated[Mode, "the mode that was evaluated"]
    tasks: Annotated[tuple[str, ...], "the tasks, weighed by their problems"]
    rows: Annotated[int, "rows of every trial"]
    seed: Annotated[int, "of the mixtures that were drawn"]
    groups: Annotated[tuple[str, ...], "the parts of the stage's data"]
    own: Annotated[tuple[float, ...], "the recipe's own fractions"]
    trials: Annotated[tuple[MixtureTrial, ...], "in the order in which they were asked for"] = ()
    fits: Annotated[tuple[MixtureFit, ...], "one for each round"] = ()
    found: Annotated[tuple[float, ...], "the fractions that were found; empty before"] = ()
    counts: Annotated[tuple[int, ...], "rows of each group by these fractions"] = ()
    gain: Annotated[MixtureGain | None, "what they gain; null before they are measured"] = None
