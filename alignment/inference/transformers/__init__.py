"""The transformers engine: slot decoding, and `generate` for other models."""
