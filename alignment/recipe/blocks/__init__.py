"""The blocks that a recipe is made of: `rollout`, `rewards`, `algorithm`, `lora` and the others, a file each."""
