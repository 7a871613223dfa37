"""Rewards whose verdicts can be checked: for any GRPO trainer, without torch.

`reward_function([{"kind": "math_answer"}])` is a reward function in TRL's shape; `verdicts` takes the same specs and
gives the judgements one by one. A spec names a kind from VERIFIERS, how it enters the total (`name`, `weight`, `gate`,
`clip`) and the kind's own options. contract.py has the nouns, compose.py the arithmetic, kinds/ a file per kind.
"""

from rewards.compose import Component, ComposedReward, VerdictsUnavailable
from rewards.contract import MODES, NOT_APPLICABLE, MissingColumn, Mode, Rollout, Verdict, Verifier, not_applicable
from rewards.errors import BudgetSpent, KindUnavailable, RewardsError
from rewards.kind import Gold, Kind, Option
from rewards.kinds.instruction.verifier import instruction_problem
from rewards.kinds.math_answer.verifier import check_reference, check_references
from rewards.kinds.python_tests.verifier import check_tests
from rewards.kinds.think_format import follows_mode, thought
from rewards.pool import Outcome, VerificationPool, WorkerUnavailable
from rewards.registry import VERIFIERS
from rewards.sandbox import IsolationUnavailable
from rewards.specs import (
    RewardSpecError,
    is_row_of,
    machine_problem,
    machine_problems,
    reward_function,
    row_columns,
    row_problem,
    spec_problems,
    verdicts,
    verifier_options,
)

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
    "instruction_problem",
    "is_row_of",
    "machine_problem",
    "machine_problems",
    "not_applicable",
    "reward_function",
    "row_columns",
    "row_problem",
    "spec_problems",
    "thought",
    "verdicts",
    "verifier_options",
]
