"""Trains the embedded model from scratch: corpus, tokenizer, pretraining."""
