"""Steps scored a second by ProcessModel on vLLM, against the bare engine's `encode` on the same token ids.

    python -m alignment.run.processes python benchmarks/step_scores.py [MODEL] [--solutions 400] [--pairs 7]

MODEL is a folder with a process reward model, such as the output of a prm stage; without it, the embedded base with a
head that has learned nothing, which takes as long. Both sides use one engine. Ours begins with solutions as text: it
renders and encodes them, and gives one list of scores a solution; theirs begins with the token ids. Timed in turn, in
pairs.
"""

import itertools
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
import typer
from transformers import AutoModelForTokenClassification, AutoTokenizer

from alignment.core.resources import resource
from alignment.data.generators.corrupted import corrupted
from alignment.data.rows import Stepwise
from alignment.data.steps.template import render_steps
from alignment.evaluation.task import task_problems
from alignment.inference.process_model import ProcessModel, Solution
from alignment.recipe.blocks.process import RIGHT, STEP_TOKEN


def main(
    model: Annotated[str, typer.Argument(help="A process reward model.")] = "",
    solutions: Annotated[int, typer.Option(help="How many are scored in each turn.")] = 400,
    pairs: Annotated[int, typer.Option(help="Turns of each side.")] = 7,
    seed: int = 17,
) -> None:
    """Print both rates, the ratio of each pair, and its median."""
    from vllm.inputs import TokensPrompt

    with tempfile.TemporaryDirectory() as scratch:
        scorer = ProcessModel(model or _untrained(Path(scratch)), "vllm")
        rows = _rows(solutions, seed)
        asked = [Solution(row.prompt, row.steps, row.thinking_steps) for row in rows]
        rendered = render_steps(scorer.tokenizer, asked, scorer.step_id)
        prompts = [TokensPrompt(prompt_token_ids=one.input_ids) for one in rendered]
        engine = scorer._backend._llm  # type: ignore[attr-defined]  # noqa: SLF001  the engine itself is the peer

        def ours() -> list[list[float] | None]:
            return scorer.scores(asked)

        def bare() -> list[list[float]]:
            found = engine.encode(prompts, pooling_task="token_classify", use_tqdm=False)
            return [one.outputs.data[:, RIGHT].tolist() for one in found]

        if not _same(ours(), bare()):  # also warms both up
            raise SystemExit("the two sides do not give the same scores, so that their rates cannot be compared")
        steps = sum(len(one.positions) for one in rendered)
        tokens = sum(len(one.input_ids) for one in rendered)
        ratios = []
        for turn in range(pairs):
            sides = (ours, bare) if turn % 2 == 0 else (bare, ours)
            seconds = {side.__name__: _seconds(side) for side in sides}
            ratios.append(seconds["bare"] / seconds["ours"])
            print(
                f"ours {steps / seconds['ours']:,.0f} steps/s, bare {steps / seconds['bare']:,.0f}, ratio {ratios[-1]:.3f}"
            )
        print(
            f"{len(rows)} solutions, {steps} steps, {tokens / len(rows):.0f} tokens each: {median(ratios):.3f} of the bare "
            f"engine's rate, median of {pairs} pairs ({min(ratios):.3f} to {max(ratios):.3f})"
        )
        scorer.close()


def _rows(count: int, seed: int) -> list[Stepwise]:
    """Worked chains of sums, an error planted in some."""
    problems = task_problems("chain-sum", count, seed, parameters={})
    return list(itertools.islice(corrupted(problems, seed), count))


def _untrained(folder: Path) -> str:
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(resource("data/base"))
    tokenizer.add_tokens([STEP_TOKEN], special_tokens=True)
    model = AutoModelForTokenClassification.from_pretrained(resource("data/base"), num_labels=2)
    model.resize_token_embeddings(max(len(tokenizer), model.get_input_embeddings().num_embeddings))
    model.config.step_token, model.config.step_split = STEP_TOKEN, {"by": "line"}
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def _same(ours: list[list[float] | None], bare: list[list[float]]) -> bool:
    return len(ours) == len(bare) and all(
        one is not None and len(one) == len(other) and max((abs(a - b) for a, b in zip(one, other, strict=True)), default=0) < 1e-4
        for one, other in zip(ours, bare, strict=True)
    )  # fmt: skip


def _seconds(side) -> float:  # type: ignore[no-untyped-def]
    began = time.perf_counter()
    side()
    return time.perf_counter() - began


if __name__ == "__main__":
    typer.run(main)
