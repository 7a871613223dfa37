"""The learning rate of a LoRA stage that sets none.

Neighbours: recipe/blocks/lora.py (the block), recipe/trainer_keys.py (the default of a kind for all weights), run/identity.py and
training/context.py (which use it).
"""

from alignment.recipe.kinds import kind_of
from alignment.recipe.stage import StageFields, TrainingStage

LORA_FACTOR = 10  # "LoRA Without Regret" (Thinking Machines Lab, 2025): about ten times the best rate of full training


def default_learning_rate(stage: StageFields) -> float | None:
    """Ten times the kind's default for a LoRA stage that sets no rate; None for any other, whose rate is TRL's or its own."""
    keys = kind_of(stage).trainer
    if not isinstance(stage, TrainingStage) or stage.lora is None or keys is None or keys.learning_rate is None:
        return None
    return None if "learning_rate" in stage.trainer else float(f"{LORA_FACTOR * keys.learning_rate:.6g}")
