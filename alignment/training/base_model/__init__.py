"""Makes the embedded model: corpus, tokenizer, pretraining."""
