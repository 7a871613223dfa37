"""Ranks that take the load-balancing loss of their own tokens: python expert_load.py RANKS FOLDER, logits in FOLDER."""

import sys
from functools import partial
from pathlib import Path

import torch
from forked import side_by_side
from safetensors.torch import load_file, save_file

from alignment.training.load_balance import ExpertLoad


def main(rank: int, ranks: int, folder: Path) -> None:
    """Two micro-batches of one step; saves the losses and the gradients of the logits."""
    torch.distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=ranks)
    load, saved = ExpertLoad(), {}
    for micro in ("first", "second"):
        held = load_file(folder / f"{rank}.safetensors")
        logits = [held[f"{micro}.{layer}"].requires_grad_() for layer in (0, 1)]
        loss = load.loss(tuple(logits), num_experts=4, top_k=2)
        loss.backward()
        saved |= {f"{micro}.loss": loss.detach()} | {f"{micro}.{layer}": one.grad for layer, one in enumerate(logits)}
    save_file(saved, folder / f"found-{rank}.safetensors")


if __name__ == "__main__":
    ranks, folder = int(sys.argv[1]), Path(sys.argv[2])
    raise SystemExit(side_by_side([partial(main, rank, ranks, folder) for rank in range(ranks)]))
