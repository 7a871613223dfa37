"""Environment `bfcl`: the multi-turn part of the Berkeley Function Calling Leaderboard (BFCL v4), for evaluation.

rows.py makes an evaluation's rows of the leaderboard's files · simulator.py runs its simulated services, in a process of its own ·
environment.py is one rollout, and the kind.
"""

from alignment.rollout.environments.bfcl.environment import KIND

__all__ = ["KIND"]
