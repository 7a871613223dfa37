"""Parts of a rollout on hosts of their own: `serve ADDRESS` is a stand-in for a server, `sample ADDRESS...` asks servers for 24 completions.

Each writes lines of JSON: a server its address; who samples the number of each completion as it comes, then all tokens.
Neighbour: test_cut_network.py.
"""

import json
import sys
import time

from alignment.inference.engine import GenerationRequest, SamplingSettings, in_order
from alignment.inference.vllm.server import fleet
from alignment.inference.vllm.server.pool import ServerPool
from workers.stand_in import StandIn, settings

COUNT, TOKENS, TOKEN_SECONDS = 24, 12, 0.05
KEY = "a key of this test"
PATIENCE = 8.0  # seconds until a silent server is given up


def serve(address: str) -> None:
    server = StandIn(KEY, address)
    server.token_seconds = TOKEN_SECONDS  # so that completions are under way when the network is cut
    say(server.address)
    time.sleep(600)


def sample(addresses: list[str]) -> None:
    fleet.WATCH_SECONDS, fleet.PROBE_SECONDS, fleet.NAMED_AFTER = 0.1, 1.0, 1.0
    options = {"type": "vllm_server", "max_sequences": 4, "patience_seconds": PATIENCE}
    pool = ServerPool(settings(endpoints=addresses, **options))
    asked = [
        GenerationRequest([5 + number % 7, 20, 9], "thinking", None, TOKENS, seed=number) for number in range(COUNT)
    ]
    found = []
    for index, made in pool.generate(asked, SamplingSettings(temperature=1.2)):
        found.append((index, made))
        say(index)
    say([one.token_ids for one in in_order(found)])
    pool.close()


def say(value: object) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    serve(sys.argv[2]) if sys.argv[1] == "serve" else sample(sys.argv[2:])
