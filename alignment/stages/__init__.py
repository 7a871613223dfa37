"""Stage kinds, one file each; train.py is the entry that a launcher starts. TRL lives in this folder only."""
