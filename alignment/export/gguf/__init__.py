"""A model folder as one GGUF file, for llama.cpp and whoever reads its form; checked by reading it back."""
