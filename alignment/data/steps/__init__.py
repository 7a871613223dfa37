"""Steps of a solution: what a step is, mixtures of labelled solutions, and their tokens for a process reward model."""
