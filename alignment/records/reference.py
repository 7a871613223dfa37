"""Generates docs/run-directory.md from the recorded classes.

`python -m alignment.records.reference > docs/run-directory.md`. tests/alignment/test_records_reference.py fails while the page
is stale. Neighbours: the files beside this one (the classes and their sentences), core/typed_json.py (how they are JSON).
"""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, is_dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from alignment.core.statistics.estimate import Estimate
from alignment.core.typed_json import Described, described
from alignment.records.adapter import AdapterBase
from alignment.records.adaptive import AdaptiveBudget
from alignment.records.attempt import Attempt
from alignment.records.card import DataCard
from alignment.records.comparison import ComparedPair, ComparisonRecord, RecordedAnswer
from alignment.records.constraints import ConstraintsRecord
from alignment.records.difficulty import DifficultyState
from alignment.records.evaluation import EvaluationRecord
from alignment.records.export import ExportRecord
from alignment.records.follow import FollowRecord
from alignment.records.machines import FirstMachine, OtherMachine
from alignment.records.manifest import Manifest
from alignment.records.metrics import METRICS, TASK_METRICS, VERDICT_MEAN, VERDICT_UNKNOWN, Metric, MetricsRow
from alignment.records.paired_prompts import PairedPromptsRecord
from alignment.records.process import ProcessRecord
from alignment.records.reward_model import RewardModelRecord
from alignment.records.rollout import PassRate, RolloutRow
from alignment.records.run import PreparedBase, RunRecord, StageStart
from alignment.records.sweep import ProblemOutcome, RecordedPoint, Sweep
from alignment.records.trials import MixtureSearch, RowCurve, Trial

COMMAND = "python -m alignment.records.reference > docs/run-directory.md"
TREE = """\
runs/tiny-thinking/
  recipe.yaml               the resolved recipe, overrides included
  run.json                  what the directory is a run of
  base/                     the model the run starts from, where it had to be prepared (tokens added); else absent
  before/evaluations/       what was measured of that model before the first stage, where the recipe says `base_model: true`
  machines/                 of `alignment launch`: what the machines say to each other, N-NN.log of each start on machine N, slurm.sh
  judgements/NAME.jsonl     what the judge of the reward, or of the step_labels stage, NAME said, by what it was asked, and the tokens that took: the cache and the ledger of its budget
  01-cold_start/
    stage.json              what the stage was begun from: written when it first starts
    attempts/NN.log         what the stage's process printed, one file per start
    attempts/judge-NAME.log what the server of the judge NAME printed, in all starts
    attempts/NN.json        when it started, how it ended, from which step it resumed
    metrics.jsonl           one line per logged step
    rollouts.jsonl          some rollouts of each step (grpo, sample)
    checkpoints/            what a killed stage resumes from; removed when the stage has finished
    tensorboard/            where the recipe says `report_to: [tensorboard]`
    output/                 the artifact: a policy (safetensors, tokenizer; with LoRA adapter/, or the adapter alone) or rows (rows.jsonl; of sample also preferences.jsonl and pass_rates.jsonl, of fusion card.md and card.json), or a process reward model
    evaluations/            thinking.json, non_thinking.json; where asked for: constraints.json, follow.json, paired_prompts.json; of a process reward model process.json, of a reward model reward_model.json
    manifest.json           written last: while it is missing, the stage has not finished
  budget/                   the budget sweep, the recipe's own or that of `alignment budget`: points.jsonl, outcomes/, budget.json, budget.csv, budget.png; of the command also sweep.log and sweep.progress.jsonl
  comparisons/              of `alignment compare`: answers/KEY.jsonl of each policy and mode, judgements.jsonl with what the judge said (the cache and the ledger of its budget), and of each comparison NAME.json and NAME.jsonl; answers.log
  trials/                   of `alignment rows` and `alignment mixture`: rows-STAGE.json, mixture-STAGE.json, and for each trial a run directory KEY/ with trial.json, whose policy is deleted once it is measured
  export/STAGE/             what `alignment export` made of a stage's policy: a model folder with its card; export.json says of which
  report.json  report.md  report.html
"""


@dataclass(frozen=True)
class FileSection:
    """One file of the page: where it lies, its class, and whether it holds one object for each line."""

    file: str
    kind: type
    lines: bool = False


FILES = (
    FileSection("run.json", RunRecord),
    FileSection("base/prepared.json", PreparedBase),
    FileSection("machines/0.json", FirstMachine),
    FileSection("machines/N.json", OtherMachine),
    FileSection("stage.json", StageStart),
    FileSection("attempts/NN.json", Attempt),
    FileSection("manifest.json", Manifest),
    FileSection("metrics.jsonl", MetricsRow, lines=True),
    FileSection("rollouts.jsonl", RolloutRow, lines=True),
    FileSection("checkpoints/checkpoint-N/difficulty.json", DifficultyState),
    FileSection("output/pass_rates.jsonl", PassRate, lines=True),
    FileSection("output/adapter_base.json", AdapterBase),
    FileSection("output/card.json", DataCard),
    FileSection("evaluations/MODE.json", EvaluationRecord),
    FileSection("evaluations/follow.json", FollowRecord),
    FileSection("evaluations/constraints.json", ConstraintsRecord),
    FileSection("evaluations/paired_prompts.json", PairedPromptsRecord),
    FileSection("evaluations/process.json", ProcessRecord),
    FileSection("evaluations/reward_model.json", RewardModelRecord),
    FileSection("budget/points.jsonl", RecordedPoint, lines=True),
    FileSection("budget/outcomes/KEY.jsonl", ProblemOutcome, lines=True),
    FileSection("budget/budget.json", Sweep),
    FileSection("budget/adaptive.json", AdaptiveBudget),
    FileSection("comparisons/NAME.json", ComparisonRecord),
    FileSection("comparisons/NAME.jsonl", ComparedPair, lines=True),
    FileSection("comparisons/answers/KEY.jsonl", RecordedAnswer, lines=True),
    FileSection("trials/KEY/trial.json", Trial),
    FileSection("trials/rows-STAGE.json", RowCurve),
    FileSection("trials/mixture-STAGE.json", MixtureSearch),
    FileSection("export/STAGE/export.json", ExportRecord),
)
_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "JSON"}


def reference() -> str:
    """The whole page."""
    return "\n".join([*_opening(), *(line for one in FILES for line in _file(one))]).rstrip() + "\n"


def _opening() -> Iterator[str]:
    yield f"""<!-- Made by `{COMMAND}`. Change the sentences in alignment/records/. -->
# The run directory

A run is one directory, and the only messenger between stages. Everything a stage needs from another is read from here.
The [report](report.md) is made from here and nothing else.

```
{TREE}```

Each file below is one class of `alignment/records/`: its writer makes the class, and its readers get the same one. Keys
that a reader does not know are ignored. An optional key that is missing reads as null. A damaged file is an error that
names it; the report is made without it and says so.

A figure with an interval stands under three keys: `NAME`, `NAME_low` and `NAME_high`, at 95%
([evaluation.md](evaluation.md)). Fractions are from 0 to 1, times in seconds.

In a .jsonl file an incomplete last line, left by a kill, is skipped. Lines end at `\\n` and nowhere else.
"""


def _file(one: FileSection) -> Iterator[str]:
    yield f"## {one.file}\n\n{_first_sentences(one.kind)}" + (" One object for each line." if one.lines else "") + "\n"
    seen: list[type] = []
    yield from _table(one.kind, seen)
    if one.kind is MetricsRow:
        yield from _metrics()
    for kind in seen:
        yield f"`{kind.__name__}`: {_first_sentences(kind)}\n"
        yield from _table(kind, seen)


def _table(kind: type, seen: list[type]) -> Iterator[str]:
    yield "| key | type | meaning |\n|---|---|---|"
    yield from _rows(kind, seen)
    yield ""


def _rows(kind: Any, seen: list[type]) -> Iterator[str]:
    for one in described(kind):
        if one.inline and is_dataclass(one.kind):
            yield from _rows(one.kind, seen)
            continue
        for inner in _classes(one.kind):
            if inner not in seen:
                seen.append(inner)
        key = (
            "any other" if one.inline else f"`{one.name}`, `_low`, `_high`" if one.kind is Estimate else f"`{one.name}`"
        )
        yield f"| {key} | {_type(one)} | {one.sentence} |"


def _metrics() -> Iterator[str]:
    yield "The metrics; a stage logs those that its trainer has.\n\n| key | better | meaning |\n|---|---|---|"
    listed: Mapping[str, Metric] = {
        **METRICS,
        "reward/NAME/mean": VERDICT_MEAN,
        "reward/NAME/unknown_fraction": VERDICT_UNKNOWN,
        **{f"task/NAME/{name}": one for name, one in TASK_METRICS.items()},
    }
    yield from (f"| `{name}` | {metric.better or ''} | {metric.sentence} |" for name, metric in listed.items())
    yield ""


def _first_sentences(kind: type) -> str:
    """The first paragraph of a class's docstring in one line."""
    return " ".join(str(kind.__doc__).split("\n\n")[0].split())


def _classes(kind: Any) -> Iterator[type]:
    """The classes that stand in a type, at any depth."""
    if is_dataclass(kind) and kind is not Estimate and isinstance(kind, type):
        yield kind
    for inner in get_args(kind):
        yield from _classes(inner)


def _type(one: Described) -> str:
    optional = one.default is not MISSING and type(None) not in get_args(one.kind)
    return f"{_word(one.kind)}{', optional' if optional else ''}"


def _word(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in _WORDS:
        return _WORDS[kind]
    if kind is Estimate:
        return "number or null"
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, UnionType):
        return f"{_word(next(one for one in arguments if one is not type(None)))} or null"
    if origin is tuple:
        return f"list of {_word(arguments[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"mapping of {_word(arguments[0])} to {_word(arguments[1])}"
    return f"`{kind.__name__}`"


if __name__ == "__main__":
    print(reference(), end="")
