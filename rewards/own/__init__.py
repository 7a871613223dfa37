"""Rewards of one's own by name: `my_rewards.py:brevity` or `python:my_rewards.brevity`, a plain function or a verifier.

loading.py finds and imports the code, always in a worker process (inside.py); signature.py and description.py say what it
takes, verifier.py judges with it. The registry makes a Kind of such a name, so that specs, weights, gates and checks are
those of every other reward.
"""
