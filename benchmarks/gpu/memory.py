"""The peak of memory of the log-prob gap: what the trainer's log-probs of one long rollout take.

Every RL step holds the engine's log-probs of a few rollouts against the trainer's (training/rl/trainer.py). At 17,408
tokens and a vocabulary of 151,936 whole logits are 5 GB in bfloat16, and several times that once they are turned into
log-probs. Three ways: all at once, some hundred tokens at a time, and the project's own. They have to agree.
"""

import math
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from shape import Setting, free, peak_gigabytes

from alignment.core.resources import resource
from alignment.inference.attention import packed

if TYPE_CHECKING:
    from alignment.training.rl.trainer import PolicyGradientTrainer


def main() -> None:
    """Write the lines of the part."""
    setting = Setting.of("memory")
    if setting.results.lacks("trl", "peft", "datasets"):
        return
    from alignment.training.rl.batch import Row

    prompt, completion, chunk = (16, 64, 8) if setting.rehearse else (1_024, 16_384, 256)
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(setting.config.vocab_size, (prompt + completion,), generator=draw).tolist()
    # The engine's log-probs are zero here, so that the gap is the mean distance of the trainer's own from zero.
    row = Row(ids[:prompt], ids[prompt:], [0.0] * completion, [True] * completion, truncated=False)
    ids_1T = torch.tensor([ids], device=setting.device)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = trainer_of(setting, scratch)
    model = trainer.model
    ways = {
        "whole logits": lambda: mean_logprob(model, ids_1T, prompt, completion),
        f"{chunk} tokens at a time": lambda: mean_logprob(model, ids_1T, prompt, chunk),
        "the project's": lambda: trainer.policy_logprobs.gap([row]),
    }
    compare(setting, f"log-prob gap at {prompt + completion:,} tokens", ways)


def compare(setting: Setting, what: str, ways: dict[str, Callable[[], float]]) -> None:
    """The peak of each way, and that all find the same."""
    gaps: dict[str, float] = {}
    for name, way in ways.items():
        whole, label = name == "whole logits", f"{what}, {name}"
        expect = "about 25" if whole else "less than 1.5; at most 3"
        free()
        before = peak_gigabytes()
        try:
            gaps[name] = way()
        except torch.cuda.OutOfMemoryError:
            setting.results.without(label, "out of memory", expect=expect, ok=None if whole else False)
            continue
        peak = peak_gigabytes() - before
        setting.results.add_on_gpu(label, peak, "GB more", expect=expect, ok=None if whole else peak <= 3)
    spread = max(gaps.values()) - min(gaps.values()) if len(gaps) > 1 else math.nan
    setting.results.add("the ways agree", spread, "nats", expect="at most 1e-2", ok=spread <= 1e-2, anywhere=True)


@torch.no_grad()
def mean_logprob(model: torch.nn.Module, ids_1T: torch.Tensor, prompt: int, chunk: int) -> float:
    """The mean distance from zero of the completion's log-probs, with the logits of so many tokens at a time."""
    from alignment.training.packing import pack

    inputs = pack(ids_1T, torch.ones_like(ids_1T)).model_inputs()
    hidden_TH = model.base_model(**inputs, use_cache=False).last_hidden_state[0, prompt - 1 : -1]
    drawn_T = ids_1T[0, prompt:]
    total = 0.0
    for hidden_NH, drawn_N in zip(hidden_TH.split(chunk), drawn_T.split(chunk), strict=True):
        logits_NV = model.lm_head(hidden_NH).float()
        total += float((logits_NV.gather(-1, drawn_N[:, None])[:, 0] - logits_NV.logsumexp(-1)).abs().sum())
    return total / len(drawn_T)


def trainer_of(setting: Setting, scratch: str) -> "PolicyGradientTrainer":
    """A grpo stage's trainer around a policy in bfloat16; it is never trained."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import GRPOConfig

    from alignment.recipe.blocks.algorithm import Dapo
    from alignment.training.rl.batch import RolledOut
    from alignment.training.rl.trainer import PolicyGradientTrainer

    class Nothing:
        """A source of rollouts that is not asked for any."""

        def roll_out(self, problem_ids: object, step: int, weights: object, following: object = ()) -> RolledOut:
            raise AssertionError("nothing is trained here")

    return PolicyGradientTrainer(
        algorithm=Dapo(type="dapo"),
        rollouts=Nothing(),
        max_logprob_gap=math.inf,
        model=setting.model(torch.bfloat16, packed.register()),
        args=GRPOConfig(
            output_dir=scratch, report_to="none", use_cpu=setting.rehearse, bf16=not setting.rehearse,
            per_device_train_batch_size=2, num_generations=2,
        ),
        train_dataset=Dataset.from_dict({"problem": ["0"]}),
        processing_class=AutoTokenizer.from_pretrained(resource("data/base")),
    )  # fmt: skip


if __name__ == "__main__":
    main()
