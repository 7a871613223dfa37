"""One rank that takes the load-balancing loss of its own tokens: python expert_load.py RANK RANKS FOLDER, logits in FOLDER."""

import sys
from pathlib import Path

import torch
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
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
