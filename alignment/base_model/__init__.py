"""The embedded base model, made from nothing: tokenizer.py, corpus.py, pretrain.py (`make base-model`)."""
