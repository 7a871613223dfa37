"""Generation: the Engine protocol, the thinking budget, and the engines behind it (transformers, vLLM)."""
