"""Kind `http_verify`: the reward that a service gives, in the shape of NeMo Gym's `/verify`.

verifier.py asks it · responses.py writes a rollout as it reads it · table.py is the audit table.
"""

from rewards.kind import AuditSettings, Kind
from rewards.kinds.http_verify.table import ROWS
from rewards.kinds.http_verify.verifier import HttpVerify

AUDIT = AuditSettings(
    options={"retries": 0},  # a service that nobody runs is found out at once
    unavailable=("unreachable", "timed_out", "http_error", "unparsable", "api_key_missing", "masked"),
    advice=(
        "no service gave a verdict ({reason}); start NeMo Gym's `string_match`, for which the table is, and name it: "
        "`alignment audit http_verify --option url=URL`"
    ),
)

KIND = Kind("http_verify", HttpVerify, ROWS, audit=AUDIT)
