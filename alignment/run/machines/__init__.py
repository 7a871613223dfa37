"""A run on several machines: first.py holds the list of who joined, join.py is the other side, slurm.py writes a script."""
