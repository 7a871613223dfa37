"""Environment `openenv`: episodes of OpenEnv servers, over their WebSocket protocol and without their package.

connection.py holds a session and finds a server for it · actions.py writes a turn as an action, an observation as a message ·
environment.py is one rollout, and the kind.
"""

from alignment.rollout.environments.openenv.environment import KIND

__all__ = ["KIND"]
