"""How a turn of the policy becomes an action of an OpenEnv server, and an observation a text.

    text   the answer is the text of one field, such as `message`
    act    the policy calls one tool, `act`, whose arguments are the server's action (`GET /schema`)
    mcp    the policy calls the server's own tools, which `tools/list` names

Neighbours: environment.py (asks), connection.py (sends).
"""

import json
from collections.abc import Mapping
from typing import Any

from alignment.core.typed_json import Json
from alignment.data.rows import ToolSchema
from alignment.rollout.environments.calls import NO_CALL
from alignment.rollout.environments.openenv.connection import Session
from alignment.rollout.environments.openenv.options import Form
from alignment.rollout.environments.protocol import EnvironmentFault
from alignment.rollout.environments.servers import Answer
from rewards.kinds.tool_call.schema import Tool, read_tools
from rewards.kinds.tool_call.verifier import Call

ACT = "act"
NOT_SHOWN = ("metadata",)  # of an observation or an action


class NoAction(Exception):
    """A turn that is no action; the message is shown to the policy."""


def act_tool(schema: Mapping[str, Json]) -> ToolSchema:
    """The tool `act` from the JSON schema of a server's actions."""
    properties = schema.get("properties")
    shown = (
        {name: one for name, one in properties.items() if name not in NOT_SHOWN} if isinstance(properties, dict) else {}
    )
    required = schema.get("required")
    parameters: dict[str, Any] = {"type": "object", "properties": shown}
    parameters["required"] = [one for one in required if one in shown] if isinstance(required, list) else []
    if "$defs" in schema:
        parameters["$defs"] = schema["$defs"]
    described = str(schema.get("description") or "").strip().partition("\n\n")[0] or "Act in the environment."
    return {"type": "function", "function": {"name": ACT, "description": described, "parameters": parameters}}


def listed_tools(session: Session) -> list[ToolSchema]:
    """The tools of a server by MCP's `tools/list`. Raises EnvironmentFault for one that has none."""
    reply = session.ask("mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}})
    result = reply.get("result")
    tools = result.get("tools") if isinstance(result, dict) else None
    if not isinstance(tools, list) or not tools:
        raise EnvironmentFault(f"{session.url} lists no tools ({str(reply.get('error'))[:150]}); write `action: act`")
    return [_tool(one) for one in tools if isinstance(one, dict)]


def _tool(one: Mapping[str, Json]) -> ToolSchema:
    parameters = one.get("inputSchema") or one.get("input_schema") or {"type": "object", "properties": {}}
    described = str(one.get("description") or "")
    return {
        "type": "function",
        "function": {"name": one.get("name"), "description": described, "parameters": parameters},
    }


class Actions:
    """Turns into actions, in one form. tools: what the prompt offers; none for `text`."""

    def __init__(self, form: Form, field: str, tools: list[ToolSchema]) -> None:
        self._form, self._field, self.tools = form, field, tools
        self._known: dict[str, Tool] = read_tools(tools) or {}

    def of_text(self, answer: str) -> dict[str, Json]:
        """The action of a turn without calls, in the form `text`."""
        return {self._field: answer}

    def of_call(self, call: Call) -> dict[str, Json]:
        """The action of a call. Raises NoAction, in words, for one that is malformed or of no tool."""
        if call.name is None:
            raise NoAction(NO_CALL)
        if call.name not in self._known:
            raise NoAction(f"there is no tool {call.name[:50]!r}; there are: {', '.join(self._known)}")
        if self._form == "mcp":
            return {"type": "call_tool", "tool_name": call.name, "arguments": dict(call.arguments)}
        return dict(call.arguments)


def observed(answer: Answer, field: str) -> str:
    """An observation as text: one field of it, or all that it holds, as JSON."""
    found = answer.get("observation")
    if not isinstance(found, dict):
        return ""
    if field:
        value = found.get(field)
        return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    kept = {name: value for name, value in found.items() if name not in NOT_SHOWN and value not in (None, "", [], {})}
    return json.dumps(kept, ensure_ascii=False) if kept else ""
