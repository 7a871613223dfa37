"""Kind `tool_call`: does an answer make the calls that its row asks for, and no other?

verifier.py judges · schema.py knows what a tool takes · values.py what a reference accepts · table.py is the audit table.
"""

import json
from collections.abc import Mapping
from typing import Any

from rewards.kind import Gold, Kind
from rewards.kinds.tool_call.schema import read_tools
from rewards.kinds.tool_call.table import ROWS
from rewards.kinds.tool_call.values import read_calls
from rewards.kinds.tool_call.verifier import CALL_CLOSE, CALL_OPEN, ToolCall


def gold_calls(columns: Mapping[str, Any]) -> str:
    """A row's reference calls as Qwen writes them; a plain sentence where none is to be made."""
    tools, calls = read_tools(columns.get("tools")), read_calls(columns.get("calls"))
    if tools is None or calls is None or any(call.name not in tools for call in calls):
        return "Nothing."
    made = [json.dumps(call.gold(tools[call.name]), ensure_ascii=False) for call in calls]
    return "\n".join(f"{CALL_OPEN}\n{text}\n{CALL_CLOSE}" for text in made) or "None of the tools is needed."


KIND = Kind("tool_call", ToolCall, ROWS, Gold(gold_calls, "calls"), may_be_empty=("calls",))
