"""Kind `instruction`: are the constraints followed that a program can check, such as "no commas"?

verifier.py judges · constraints/ has each constraint · table.py is the audit table.
"""

from collections.abc import Mapping
from typing import Any

from rewards.kind import Kind
from rewards.kinds.instruction.constraints import listed
from rewards.kinds.instruction.table import ROWS
from rewards.kinds.instruction.verifier import Instruction, instruction_fault


def row_fault(columns: Mapping[str, Any]) -> str | None:
    """Why a row's constraints can never be judged, or None."""
    names, kwargs = listed(columns.get("instruction_id_list")) or (), listed(columns.get("kwargs"))
    if kwargs is not None and len(kwargs) != len(names):
        return (
            f"it has {len(names)} constraints and {len(kwargs)} kwargs; write one mapping, or null, for each constraint"
        )
    found = (instruction_fault(*one) for one in zip(names, kwargs or [None] * len(names), strict=True))
    return next((fault for fault in found if fault is not None), None)


KIND = Kind("instruction", Instruction, ROWS, row_fault=row_fault, optional=("kwargs",))
