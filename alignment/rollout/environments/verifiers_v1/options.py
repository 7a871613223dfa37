"""What a recipe may write for a verifiers server. Neighbours: episode.py (the kind), wire.py."""

import re

from pydantic import Field, field_validator

from alignment.rollout.environments.protocol import EnvironmentOptions

_LOOPBACK = re.compile(r"tcp://(127\.\d+\.\d+\.\d+|localhost|\[::1\]):\d+|ipc://.+")


class VerifiersOptions(EnvironmentOptions):
    """What a recipe may write beside `kind: verifiers`."""

    addresses: list[str] = Field(
        min_length=1, description="Environment servers on this machine, such as tcp://127.0.0.1:5000."
    )
    sessions: int = Field(8, ge=1, description="Episodes of each server at one time.")
    timeout_seconds: float = Field(
        120.0, gt=0, description="Longest wait for the harness's next request, or for the end of the episode."
    )
    patience_seconds: float = Field(60.0, ge=0, description="Longest wait for a server that takes an episode.")
    result_characters: int = Field(4000, ge=1, description="Longest message of the harness; more is cut.")

    @field_validator("addresses")
    @classmethod
    def _here(cls, addresses: list[str]) -> list[str]:
        """The protocol knows neither keys nor encryption, and the server sends its requests to this machine."""
        for address in addresses:
            if not _LOOPBACK.fullmatch(address):
                raise ValueError(f"{address} cannot be used: write an address of this machine, as tcp://127.0.0.1:5000")
        return addresses
