"""Rewards whose verdicts can be checked: for any GRPO trainer, without torch.

`reward_function([{"kind": "math_answer"}])` is a reward function in TRL's shape; `verdicts` takes the same specs and
gives the judgements one by one. A spec names a kind from VERIFIERS, how it enters the total (`name`, `weight`, `gate`,
`clip`) and the kind's own options. contract.py has the nouns, compose.py the arithmetic, kinds/ a file per kind.

A name is imported when it is first asked for, so that a reader of the contract alone loads no verifier and no sandbox.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rewards.compose import Component, ComposedReward, VerdictsUnavailable
    from rewards.contract import MODES, NOT_APPLICABLE, MissingColumn, Mode, Rollout, Verdict, Verifier, not_applicable
    from rewards.errors import BudgetSpent, KindUnavailable, RewardsError
    from rewards.kind import Gold, Kind, Option
    from rewards.kinds.instruction.verifier import instruction_fault
    from rewards.kinds.math_answer.verifier import check_reference, check_references
    from rewards.kinds.python_tests.verifier import check_tests
    from rewards.kinds.think_format import follows_mode, thought
    from rewards.pool import Outcome, VerificationPool, WorkerUnavailable
    from rewards.registry import VERIFIERS
    from rewards.sandbox import IsolationUnavailable
    from rewards.specs import (
        RewardSpecError,
        is_row_of,
        machine_fault,
        machine_faults,
        reward_function,
        row_columns,
        row_fault,
        spec_faults,
        verdicts,
        verifier_options,
    )

_WHERE = {
    "rewards.compose": "Component ComposedReward VerdictsUnavailable",
    "rewards.contract": "MODES NOT_APPLICABLE MissingColumn Mode Rollout Verdict Verifier not_applicable",
    "rewards.errors": "BudgetSpent KindUnavailable RewardsError",
    "rewards.kind": "Gold Kind Option",
    "rewards.kinds.instruction.verifier": "instruction_fault",
    "rewards.kinds.math_answer.verifier": "check_reference check_references",
    "rewards.kinds.python_tests.verifier": "check_tests",
    "rewards.kinds.think_format": "follows_mode thought",
    "rewards.pool": "Outcome VerificationPool WorkerUnavailable",
    "rewards.registry": "VERIFIERS",
    "rewards.sandbox": "IsolationUnavailable",
    "rewards.specs": "RewardSpecError is_row_of machine_fault machine_faults reward_function row_columns row_fault spec_faults verdicts verifier_options",
}
_MODULES = {name: module for module, names in _WHERE.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """A name of `__all__`, from the module that defines it (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


__all__ = [
    "MODES",
    "NOT_APPLICABLE",
    "VERIFIERS",
    "BudgetSpent",
    "Component",
    "ComposedReward",
    "Gold",
    "IsolationUnavailable",
    "Kind",
    "KindUnavailable",
    "MissingColumn",
    "Mode",
    "Option",
    "Outcome",
    "RewardSpecError",
    "RewardsError",
    "Rollout",
    "Verdict",
    "VerdictsUnavailable",
    "VerificationPool",
    "Verifier",
    "WorkerUnavailable",
    "check_reference",
    "check_references",
    "check_tests",
    "follows_mode",
    "instruction_fault",
    "is_row_of",
    "machine_fault",
    "machine_faults",
    "not_applicable",
    "reward_function",
    "row_columns",
    "row_fault",
    "spec_faults",
    "thought",
    "verdicts",
    "verifier_options",
]
