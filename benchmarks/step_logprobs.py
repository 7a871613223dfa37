"""How well a policy's own log-probs find planted errors: in the text that it writes itself, and in the same steps without
their think block. What a process reward model on that policy can read; python benchmarks/step_logprobs.py POLICY

A step's score is the probability of its least likely token.
"""

from typing import Annotated

import torch
import typer
from transformers import AutoModelForCausalLM, AutoTokenizer

from alignment.data.generators.corrupted import corrupted
from alignment.data.rows import Stepwise
from alignment.data.steps.template import render_steps, step_token_id
from alignment.evaluation.process.bench import NO_ERROR, Marked, bench_figures, best_threshold
from alignment.evaluation.task import task_problems
from alignment.inference.process_model import Solution


def main(
    policy: Annotated[str, typer.Argument(help="A policy's folder.")],
    count: Annotated[int, typer.Option(help="Problems that are measured, and as many others for the threshold.")] = 100,
    seed: int = 17,
) -> None:
    """Print F1, and its two accuracies, for both forms."""
    tokenizer, model = AutoTokenizer.from_pretrained(policy), AutoModelForCausalLM.from_pretrained(policy)
    line_break = step_token_id(tokenizer, "\n")
    problems = task_problems("chain-sum", 2 * count, seed, parameters={})
    rows = list(corrupted(problems, seed))

    def marked(row: Stepwise, thinking_steps: int) -> Marked:
        """A row's first wrong step, and the score of each of its steps."""
        (rendered,) = render_steps(tokenizer, [Solution(row.prompt, row.steps, thinking_steps)], line_break)
        ids_T = torch.tensor(rendered.input_ids)
        with torch.inference_mode():
            logprobs_TV = model.eval()(ids_T[None]).logits[0].float().log_softmax(dim=-1)
        own_T = logprobs_TV[:-1].gather(1, ids_T[1:, None])[:, 0].exp()
        lengths = [len(tokenizer(step, add_special_tokens=False)["input_ids"]) for step in row.steps]
        scores = [
            own_T[end - length - 1 : end - 1].min().item()
            for end, length in zip(rendered.positions, lengths, strict=True)
        ]
        return Marked(NO_ERROR if row.first_error is None else row.first_error, scores)

    for name, inside in (("as the policy writes", True), ("without its think block", False)):
        found = [marked(row, row.thinking_steps if inside else 0) for row in rows]
        threshold = best_threshold(found[count:])
        figures = bench_figures(found[:count], threshold)
        print(
            f"{name}: F1 {100 * figures.f1:.1f}, with error {figures.with_error.value:.3f} of {figures.errors}, "
            f"without {figures.without_error.value:.3f} of {figures.right}, threshold {threshold:.4f}"
        )


if __name__ == "__main__":
    typer.run(main)
