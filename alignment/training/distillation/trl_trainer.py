"""TRL's DistillationTrainer and its fused loss, imported without vLLM. Neighbours: trainer.py, ../rl/trl_trainer.py (how, and why)."""

from alignment.training.rl.trl_trainer import vllm_hidden

with vllm_hidden():
    from trl import DistillationTrainer
    from trl.trainer.distillation_trainer import _chunked_divergence_loss as fused_divergence

__all__ = ["DistillationTrainer", "fused_divergence"]
