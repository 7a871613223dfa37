"""Data: typed rows, chat template and modes, sources and splits, mixtures, and procedural generators."""
