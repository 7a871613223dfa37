"""The OpenAI-compatible server: `alignment serve`, what it does to requests, and how it keeps a thinking budget."""
