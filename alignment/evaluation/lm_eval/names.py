"""Looks at a task of lm-evaluation-harness by its declaration alone: that it is there, and that it can be measured here.

`lm_eval:NAME` is a task of the installed package, `lm_eval:FILE.yaml` a declaration of the user's own in the harness's
form; `:FILTER` after either chooses one of its answer filters. Imports nothing of the harness. Neighbour: task.py.
"""

import importlib.util
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from alignment.recipe.own.code import LM_EVAL

INSTALL = "run `uv pip install 'alignment[lm-eval]'` in this environment"
GENERATES = "generate_until"
_LIKELIHOODS = ("multiple_choice", "loglikelihood", "loglikelihood_rolling")
_INCLUDE = re.compile(r"^include:\s*['\"]?([^'\"\s#]+)", re.MULTILINE)
_OUTPUT = re.compile(r"^output_type:\s*['\"]?(\w+)", re.MULTILINE)
_UNSAFE = re.compile(r"^unsafe_code:\s*true", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class LmEvalName:
    """A task's name or the path of its declaration, and the filter that is asked for, if one is."""

    task: str
    filter: str | None


def is_lm_eval(name: str) -> bool:
    """Whether a task is one of lm-evaluation-harness."""
    return name.startswith(LM_EVAL)


def lm_eval_name(name: str) -> LmEvalName:
    """A name taken apart."""
    task, _, chosen = name.removeprefix(LM_EVAL).partition(":")
    return LmEvalName(task, chosen or None)


def lm_eval_fault(name: str) -> str | None:
    """Why a task cannot be measured here, with what to write instead; None if it can."""
    package = importlib.util.find_spec("lm_eval")
    if package is None or package.origin is None:
        return f"`{name}` is a task of lm-evaluation-harness, which is not installed; {INSTALL}"
    asked = lm_eval_name(name).task
    declared = (
        _own(asked) if asked.endswith((".yaml", ".yml")) else _shipped(Path(package.origin).parent / "tasks", asked)
    )
    if declared is None:
        return f"lm-evaluation-harness has no task `{asked}` (a group is none); `lm-eval ls tasks` lists them"
    text = "\n".join(_with_included(declared))
    kind = _OUTPUT.search(text)
    if kind is not None and kind[1] in _LIKELIHOODS:
        return (
            f"`{name}` compares the likelihoods of given endings ({kind[1]}), which a policy that thinks before it answers "
            f"is not asked for; choose a {GENERATES} task, such as lm_eval:gsm8k"
        )
    if _UNSAFE.search(text):
        return f"`{name}` runs the policy's programs in this process; choose `humaneval` or `mbpp-test`, which isolate them"
    return None


def _own(path: str) -> Path | None:
    return Path(path) if Path(path).is_file() else None


@lru_cache(maxsize=64)
def _shipped(folder: Path, task: str) -> Path | None:
    """The declaration of a task of the package: usually in a file of its name."""
    declares = re.compile(rf"^task:\s*['\"]?{re.escape(task)}['\"]?\s*$", re.MULTILINE)
    named = list(folder.rglob(f"{task}.yaml"))
    for path in [*named, *folder.rglob("*.yaml")]:
        if declares.search(path.read_text(encoding="utf-8", errors="replace")):
            return path
    return None


def _with_included(path: Path) -> list[str]:
    """The text of a declaration and of those that it includes, the nearest first."""
    texts: list[str] = []
    while path.is_file() and len(texts) < 8:
        texts.append(path.read_text(encoding="utf-8", errors="replace"))
        found = _INCLUDE.search(texts[-1])
        if found is None:
            break
        path = path.parent / found[1]
    return texts
