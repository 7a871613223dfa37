"""Kind `judge`: the verdict of a model, for what no rule can check.

verifier.py judges by options.py · endpoint.py asks the model, judgements.py keeps what it said and what that cost, reply.py
reads the wire · prompt.py fences what it is shown · forms.py and rubric.py say in which shape its reply counts · pairs.py
compares two answers · agreement.py counts how far it may be trusted · table.py is the audit table.
"""

from rewards.kind import AuditSettings, Kind
from rewards.kinds.judge.options import JudgeOptions
from rewards.kinds.judge.table import ROWS
from rewards.kinds.judge.verifier import Judge

AUDIT = AuditSettings(
    options={"retries": 0},  # a judge that nobody runs is found out at once
    unavailable=("judge_unreachable", "judge_http_error", "judge_timed_out", "api_key_missing", "api_key_unusable"),
    advice=(
        "no judge gave a verdict ({reason}); start one, or name yours: `alignment audit judge --option base_url=URL`, "
        f"which is {JudgeOptions.base_url} where nothing is written"
    ),
)

KIND = Kind("judge", Judge, ROWS, audit=AUDIT)
