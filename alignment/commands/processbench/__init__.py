"""`alignment processbench`: does a process reward model, or a judge, find the first wrong step?

Also calibration, outcome drift, stress tests and, with a policy, best-of-N curves. Neighbours: benching.py and
evaluation/process/ (the work).
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from alignment.commands.options import AsJson, ModelOrRun, Tasks

TEMPERATURE = "Sampling temperature for best-of-N, of the whole distribution (default: as evaluations sample)."

LOGPROBS = "MODEL is a policy: score a step by its own probability of the step's least likely token, or by the mean."
Threshold = Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Score below which a step is wrong.")]
AnsweringPolicy = Annotated[
    Path | None, typer.Option(help="A policy whose answers to the tasks best-of-N chooses from.")
]
Beams = Annotated[
    int, typer.Option(min=0, help="Measure step-level beam search too, with so many unfinished answers (0: do not).")
]
Expansions = Annotated[int, typer.Option(min=1, help="Next steps that are sampled for each of the beams.")]
JudgeUrl = Annotated[str, typer.Option(metavar="URL", help="A judge's endpoint, measured in place of the model.")]
LabelledRows = Annotated[
    list[Path] | None,
    typer.Option(help="Rows with step labels, such as ProcessBench's gsm8k.json; may be repeated."),
]
ScoringEngine = Annotated[
    Literal["transformers", "vllm"], typer.Option(help="What computes scores and samples answers.")
]
Logprobs = Annotated[Literal["minimum", "mean"] | None, typer.Option(help=LOGPROBS)]
SplitSteps = Annotated[
    Literal["blank_line", "line", "statement"], typer.Option(help="How answers are split, with --logprobs.")
]
ModelStage = Annotated[
    str | None, typer.Option(help="A prm stage of the run, or one with a policy for --logprobs (default: the last).")
]


def processbench(
    model: ModelOrRun,
    data: LabelledRows = None,
    stage: ModelStage = None,
    tasks: Tasks = "",
    count: Annotated[int, typer.Option(min=1, help="Problems per task.")] = 256,
    threshold: Threshold = None,
    threshold_from: Annotated[Path | None, typer.Option(help="Other rows, on which the threshold is chosen.")] = None,
    judge: JudgeUrl = "",
    logprobs: Logprobs = None,
    steps: SplitSteps = "blank_line",
    policy: AnsweringPolicy = None,
    samples: Annotated[int, typer.Option(min=1, help="Answers to each problem for best-of-N.")] = 8,
    beams: Beams = 0,
    expansions: Expansions = 4,
    engine: ScoringEngine = "transformers",
    temperature: Annotated[float | None, typer.Option(min=0.01, help=TEMPERATURE)] = None,
    max_completion_tokens: Annotated[int, typer.Option(min=1, help="Longest answer for best-of-N.")] = 1024,
    seed: Annotated[int, typer.Option(help="Seed of problems, planted errors and samples.")] = 0,
    output: Annotated[
        Path | None, typer.Option(help="The file (default: the stage's evaluations/process.json, or here).")
    ] = None,
    json_: AsJson = False,
) -> None:
    """Measure whether a process reward model finds the first wrong step of solutions (ProcessBench)."""
    from alignment.commands.processbench.benching import measured, process_model_of, shown
    from alignment.core.errors import OptionError
    from alignment.evaluation.process.work import ProcessWork
    from alignment.report import write_report

    names = tuple(name for name in tasks.split(",") if name)
    if problem := _problem(names, data, policy, logprobs, engine) or _no_search(beams, steps, policy, logprobs):
        raise OptionError(problem)
    found = None if judge else process_model_of(model, stage, leaves="policy" if logprobs else "process_model")
    work = ProcessWork(
        model=str(found.folder) if found else "",
        name=f"log-probs of {found.name}" if found and logprobs else found.name if found else judge,
        files=tuple(str(path.resolve()) for path in data or ()),
        tasks=names,
        count=count,
        seed=seed,
        threshold=threshold,
        threshold_file=str(threshold_from.resolve()) if threshold_from else None,
        engine=engine,
        logprobs=logprobs,
        steps=steps,
        policy=str(policy.resolve()) if policy else None,
        samples=samples,
        beams=beams,
        expansions=expansions,
        settings=_evaluation(max_completion_tokens, engine, temperature) if policy else None,
        judge={"base_url": judge} if judge else None,
    )
    target = output or (found.record if found else None) or Path("process.json")
    shown(measured(work, target), target, as_json=json_)
    if found and target == found.record:
        write_report(model)


def _problem(
    tasks: tuple[str, ...], data: list[Path] | None, policy: Path | None, logprobs: str | None, engine: str
) -> str | None:
    """Why options do not go together."""
    if not (data or tasks):
        return "there is nothing to measure on: write --data FILE with step labels, or --tasks chain-sum"
    if policy is not None and not tasks:
        return "best-of-N needs problems: write --tasks NAME beside --policy"
    if logprobs and engine == "vllm":
        return "--logprobs are computed by transformers: leave out --engine vllm"
    return None


def _no_search(beams: int, steps: str, policy: Path | None, logprobs: str | None) -> str | None:
    """Why there can be no beam search."""
    if beams and policy is None:
        return "a beam search needs a policy that answers: write --policy beside --beams"
    if beams and logprobs and steps == "statement":
        return "beam search samples one step at a time, and statements are known in a whole program: write --steps line"
    return None


def _evaluation(max_completion_tokens: int, engine: str, temperature: float | None) -> dict[str, Any]:
    """How the policy answers; at a temperature as rollouts are sampled, on which process models are trained."""
    found: dict[str, Any] = {"max_completion_tokens": max_completion_tokens, "engine": engine}
    if temperature:
        found["sampling"] = {"thinking": {"temperature": temperature, "top_p": 1.0, "top_k": 0}}
    return found
