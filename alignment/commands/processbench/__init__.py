"""`alignment processbench`: does a process reward model, or a judge, find the first wrong step?

Also calibration, outcome drift, stress tests and, with a policy, best-of-N curves. Neighbours: benching.py and
evaluation/process/ (the work).
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from alignment.commands.options import AsJson, ModelOrRun, Tasks
from alignment.core.precision import Precision

TEMPERATURE = "Sampling temperature for best-of-N, of the whole distribution (default: as evaluations sample)."

LOGPROBS = "MODEL is a policy: score a step by its own probability of the step's least likely token, or by the mean."
GENERATIVE = (
    "MODEL is a language model: score a step by its answer Yes against No when asked whether the step is right."
)
Threshold = Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Score below which a step is wrong.")]
AnsweringPolicy = Annotated[
    Path | None, typer.Option(help="A policy whose answers to the tasks best-of-N chooses from.")
]
OutcomeModel = Annotated[
    str, typer.Option(metavar="STAGE|MODEL", help="A reward model, by which best-of-N chooses whole answers as well.")
]
Beams = Annotated[
    int, typer.Option(min=0, help="Measure step-level beam search too, with so many unfinished answers (0: do not).")
]
Expansions = Annotated[int, typer.Option(min=1, help="Next steps that are sampled for each of the beams.")]
JudgeUrl = Annotated[str, typer.Option(metavar="URL", help="A judge's endpoint, measured in place of the model.")]
JudgeModel = Annotated[str, typer.Option(help="With --judge: the model's name there (default: the one it serves).")]
JudgeKey = Annotated[str, typer.Option(help="With --judge: the environment variable that holds its key.")]
JudgePrices = Annotated[
    tuple[float, float],
    typer.Option(min=0.0, help="With --judge: prices of a million tokens of requests and of replies, for its cost."),
]
LabelledRows = Annotated[
    list[Path] | None,
    typer.Option(help="Rows with step labels, such as ProcessBench's gsm8k.json; may be repeated."),
]
ScoringEngine = Annotated[
    Literal["transformers", "vllm"], typer.Option(help="What computes scores and samples answers.")
]
Stress = Annotated[
    bool, typer.Option("--stress/--no-stress", help="Stress tests: up to 256 solutions are read six times more.")
]
ScoringPrecision = Annotated[
    Precision, typer.Option(help="Weights of the model and of --policy; auto: float32 on a CPU, bfloat16 on a GPU.")
]
Logprobs = Annotated[Literal["minimum", "mean"] | None, typer.Option(help=LOGPROBS)]
Generative = Annotated[bool, typer.Option("--generative", help=GENERATIVE)]
SplitSteps = Annotated[
    Literal["blank_line", "line", "statement", "block"],
    typer.Option(help="How answers are split, with --logprobs or --generative."),
]
ModelStage = Annotated[
    str | None,
    typer.Option(
        help="A prm stage of the run, or one with a policy for --logprobs or --generative (default: the last)."
    ),
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
    judge_model: JudgeModel = "",
    judge_key_env: JudgeKey = "",
    judge_prices: JudgePrices = (0.0, 0.0),
    logprobs: Logprobs = None,
    generative: Generative = False,
    steps: SplitSteps = "blank_line",
    policy: AnsweringPolicy = None,
    samples: Annotated[int, typer.Option(min=1, help="Answers to each problem for best-of-N.")] = 8,
    outcome: OutcomeModel = "",
    beams: Beams = 0,
    expansions: Expansions = 4,
    engine: ScoringEngine = "transformers",
    dtype: ScoringPrecision = "auto",
    stress: Stress = True,
    temperature: Annotated[float | None, typer.Option(min=0.01, help=TEMPERATURE)] = None,
    max_completion_tokens: Annotated[int, typer.Option(min=1, help="Longest answer for best-of-N.")] = 1024,
    seed: Annotated[int, typer.Option(help="Seed of problems, planted errors and samples.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option(help="The file (default: the stage's evaluations/process.json; else runs/process-MODEL.json)."),
    ] = None,
    json_: AsJson = False,
) -> None:
    """Measure whether a process reward model finds the first wrong step of solutions (ProcessBench)."""
    from alignment.commands.processbench.benching import bench
    from alignment.commands.processbench.judge import judge_settings
    from alignment.evaluation.process.work import ProcessWork

    work = ProcessWork(
        model="", name=judge, files=tuple(str(path.resolve()) for path in data or ()),
        tasks=tuple(name for name in tasks.split(",") if name),
        count=count, seed=seed, threshold=threshold, engine=engine, precision=dtype, stress=stress, logprobs=logprobs,
        generative=generative, steps=steps, samples=samples, outcome=outcome or None, beams=beams, expansions=expansions,
        threshold_file=str(threshold_from.resolve()) if threshold_from else None,
        policy=str(policy.resolve()) if policy else None,
        settings=_evaluation(max_completion_tokens, engine, dtype, temperature) if policy else None,
        judge=judge_settings(judge, judge_model, judge_key_env, judge_prices),
    )  # fmt: skip
    bench(work, model, stage, output, as_json=json_)


def _evaluation(max_completion_tokens: int, engine: str, dtype: str, temperature: float | None) -> dict[str, Any]:
    """How the policy answers; at a temperature as rollouts are sampled, on which process models are trained."""
    named = {"type": engine, "dtype": dtype}
    found: dict[str, Any] = {"max_completion_tokens": max_completion_tokens, "engine": named}
    if temperature:
        found["sampling"] = {"thinking": {"temperature": temperature, "top_p": 1.0, "top_k": 0}}
    return found
