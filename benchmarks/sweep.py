"""What a budget sweep costs beside bare vLLM: `python benchmarks/sweep.py POLICY [--engine vllm|transformers]`.

The sweep samples, marks, decodes and grades every point of the demo's budgets. Bare vLLM then generates from the same
prompts as many tokens for each as the sweep drew, with its own sampler and nothing around it: no seed for each request,
no budget. Pairs in turn, the median of the ratios of tokens per second. Bound: at least 0.9.
"""

import json
import statistics
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from alignment.core.resources import resource
from alignment.evaluation.answering import Evaluator, Question
from alignment.evaluation.task import held_out
from alignment.inference.vllm.in_process import generators_kept
from alignment.recipe.blocks.engine import engine_options
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.rollout.scoring import Judged
from alignment.run.plan import RunPlan

RECIPE = resource("recipes/tiny-thinking.yaml")


def bare_seconds(engine: Any, points: list[list[Judged]]) -> float:
    """Seconds that vLLM alone takes for the prompts and lengths of each point."""
    from vllm import SamplingParams

    started = time.monotonic()
    for rows in points:
        prompts = [{"prompt_token_ids": row.trajectory.prompt_ids} for row in rows]
        lengths = [len(row.trajectory.token_ids) for row in rows]
        shared: dict[str, Any] = {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "detokenize": False}
        engine.generate(
            prompts, [SamplingParams(max_tokens=n, ignore_eos=True, **shared) for n in lengths], use_tqdm=False
        )
    return time.monotonic() - started


def bare_vllm(policy: str, settings: Evaluations) -> Any:
    """vLLM as its user would start it, with room for as many sequences as the sweep has."""
    from vllm import LLM

    with generators_kept():
        return LLM(
            model=policy,
            dtype=settings.engine.resolved_dtype(on_gpu=False),
            enforce_eager=True,
            max_model_len=settings.max_prompt_tokens + settings.max_completion_tokens,
            max_num_seqs=settings.engine.max_sequences,
            enable_prefix_caching=False,
            disable_log_stats=True,
        )


def main(
    policy: Annotated[Path, typer.Argument(help="A policy that thinks, as runs/tiny-thinking/05-general_rl/output.")],
    engine: Annotated[str, typer.Option(help="What samples the sweep: vllm or transformers.")] = "vllm",
    count: Annotated[int, typer.Option(help="Problems at each budget.")] = 240,
    pairs: Annotated[int, typer.Option(help="Pairs of runs.")] = 3,
) -> None:
    """Ratio of the sweep's tokens per second to bare vLLM's."""
    recipe = RunPlan.load(RECIPE, []).recipe
    settings = recipe.evaluations.model_copy(update={"engine": engine_options(engine)})
    problems = held_out(recipe, count, settings.seed)
    evaluator = Evaluator(settings, str(policy), "sweep")
    vllm = bare_vllm(str(policy), settings.model_copy(update={"engine": engine_options("vllm")}))
    ratios = []
    for number in range(pairs + 1):
        started = time.monotonic()
        points = [
            evaluator.answers([Question(problem, "thinking", False, budget) for problem in problems], number)
            for budget in settings.budgets
        ]
        ours, theirs = time.monotonic() - started, bare_seconds(vllm, points)
        if number:  # the first pair warms both up
            ratios.append(theirs / ours)
            print(f"pair {number}: sweep {ours:.1f} s, bare vLLM {theirs:.1f} s, ratio {ratios[-1]:.2f}", flush=True)
    print(json.dumps({"benchmark": f"sweep {engine}", "ratio": round(statistics.median(ratios), 2), "bound": 0.9}))


if __name__ == "__main__":
    typer.run(main)
