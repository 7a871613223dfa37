"""The transformers engine: decoding with a slot cache, and transformers' `generate` for other models."""
