"""NeMo Gym's own resources server example_session_state_mgmt: run by a Python that has `nemo-gym`, which this project does not need.

    python counting_nemo.py PORT SESSIONS

A row's `initial_count` is the session's, `increment_counter` adds to it, and `/verify` compares it with `expected_count`. NeMo Gym starts
its servers by a head server and configuration files; here the one server is made by itself. guessing_gym.py is the double.
"""

import sys

import uvicorn
from nemo_gym.config_types import BaseServerConfig
from nemo_gym.server_utils import ServerClient
from omegaconf import OmegaConf
from resources_servers.example_session_state_mgmt.app import (
    StatefulCounterResourcesServer,
    StatefulCounterResourcesServerConfig,
)

if __name__ == "__main__":
    port = int(sys.argv[1])
    nowhere = ServerClient(
        head_server_config=BaseServerConfig(host="127.0.0.1", port=port), global_config_dict=OmegaConf.create({})
    )
    config = StatefulCounterResourcesServerConfig(host="127.0.0.1", port=port, entrypoint="app.py", name="counting")
    app = StatefulCounterResourcesServer(config=config, server_client=nowhere).setup_webserver()
    app.get("/health")(lambda: {"status": "healthy"})  # what tests wait for
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
