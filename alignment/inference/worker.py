"""One engine in a process of its own: `python -m alignment.inference.worker FILE_DESCRIPTOR`, started by pool.py.

Takes pieces of work over its socket, samples, and sends each generation back as it finishes. Neighbour: wire.py.
"""

import socket
import sys
from typing import Any

from alignment.core.errors import AlignmentError
from alignment.core.process import die_with_parent
from alignment.inference.engine import Engine, SamplingSettings
from alignment.inference.start import start_engine
from alignment.inference.wire import Channel, generation_to_json, request_from_json, settings_from_json


def main(descriptor: int) -> None:
    """Start the engine that the first message describes, and work until the other end closes."""
    channel = Channel(socket.socket(fileno=descriptor))
    engine: Engine | None = None
    for message in channel.messages():
        try:
            if engine is None:
                engine = start_engine(settings_from_json(message))
                channel.send({"ready": engine.name})
            elif "requests" in message:
                _generate(channel, engine, message)
            else:
                channel.send({"logprobs": engine.logprobs(message["sequences"])})
        except AlignmentError as error:  # what a user can change; anything else ends the process with its traceback
            channel.send({"error": str(error)})
    if engine is not None:
        engine.close()


def _generate(channel: Channel, engine: Engine, message: dict[str, Any]) -> None:
    numbers, call = message["numbers"], message["call"]
    requests = [request_from_json(one) for one in message["requests"]]
    for index, made in engine.generate(requests, SamplingSettings(**message["settings"])):
        channel.send({"call": call, "number": numbers[index], "made": generation_to_json(made)})


if __name__ == "__main__":
    die_with_parent()
    main(int(sys.argv[1]))
