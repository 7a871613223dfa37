"""Publishing a run: one whole model folder with its card, the same as GGUF, and both on the hub."""
