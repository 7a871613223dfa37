"""Environment `verifiers`: episodes of verifiers v1 environment servers (PrimeIntellect's package), without the package.

There the environment asks the model: its harness is a program that sends chat requests. policy.py answers them, each when the
sampler has the policy's turn · wire.py speaks the server's protocol · episode.py is one rollout, and the kind · options.py what a
recipe may write · outside.py runs in a Python that has the package: it serves a taskset, and writes its rows.
"""

from alignment.rollout.environments.verifiers_v1.episode import KIND

__all__ = ["KIND"]
