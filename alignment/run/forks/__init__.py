"""Processes of a run as forks of one that has the libraries imported, on a CPU."""
