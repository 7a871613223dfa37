"""Judgements that are kept on disk by what was asked, so that nothing is asked twice, and what asking has cost.

One JSON-lines file, to which any number of processes append under a lock, and which each reads on from where it stopped.
A line is one reply of the model: what it said if that was a judgement, and the tokens that were paid for either way. So the
file is the cache and the ledger of a budget at once, and both outlive a kill. Neighbours: endpoint.py (asks), reply.py.
"""

import fcntl
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewards.errors import RewardsError
from rewards.spending import Spending

PER_MILLION = 1_000_000


class JudgementsUnwritable(RewardsError, RuntimeError):
    """The file of judgements cannot be read or written: what was paid for would be lost."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"{path}: judgements cannot be kept there ({error.strerror or error}); free the disk, or give it rights"
        )


@dataclass(frozen=True)
class Usage:
    """Tokens of a question and of its reply. estimated: the endpoint did not say, and characters were counted."""

    input_tokens: int
    output_tokens: int
    estimated: bool = False


@dataclass(frozen=True)
class Budget:
    """What may be spent; 0 is no limit. Prices are for a million tokens, in a unit of the user's own."""

    max_tokens: int = 0
    max_cost: float = 0.0
    price_input: float = 0.0
    price_output: float = 0.0

    def cost(self, usage: Usage) -> float:
        """The price of one reply and its question."""
        return (usage.input_tokens * self.price_input + usage.output_tokens * self.price_output) / PER_MILLION

    def is_spent(self, spent: Spending) -> bool:
        """Whether nothing more may be asked."""
        tokens = bool(self.max_tokens) and spent.tokens >= self.max_tokens
        return tokens or (bool(self.max_cost) and spent.cost >= self.max_cost)

    def facts(self, spent: Spending) -> dict[str, Any]:
        """What the evidence of a verdict says that the budget left without a score."""
        limits = {"max_tokens_total": self.max_tokens, "max_cost": self.max_cost}
        return {"tokens": spent.tokens, "cost": round(spent.cost, 6)} | {
            name: one for name, one in limits.items() if one
        }


def judgement_key(model: str, settings: Mapping[str, Any], messages: Sequence[Mapping[str, str]], marker: str) -> str:
    """What a question is known by: the model, its settings, and all that it is shown but for the random marker."""
    shown = [{name: text.replace(marker, "") if marker else text for name, text in one.items()} for one in messages]
    asked = json.dumps([model, settings, shown], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(asked.encode("utf-8", "backslashreplace")).hexdigest()


class Judgements:
    """The judgements in a file, or in memory alone where there is none. May be used from several threads.

    Raises JudgementsUnwritable where the file cannot be read or written.
    """

    def __init__(self, path: Path | None = None, budget: Budget | None = None) -> None:
        self.path, self.budget = path, budget or Budget()
        self._lock = threading.RLock()
        self._kept: dict[str, str] = {}
        self._read_to = 0  # bytes of the file
        self._in_all, self._here = Spending(), Spending()
        self._answers: dict[str, str] = {}  # what a model that was asked called itself when it first gave a judgement
        self._asking: dict[str, tuple[threading.Lock, list[int]]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy has the file, where there is one, and the budget. What is kept in memory alone is each copy's own."""
        return type(self), (self.path, self.budget)

    @contextmanager
    def alone(self, key: str) -> Iterator[None]:
        """Hold a question, so that one thread asks it and the others find its answer."""
        with self._lock:
            lock, waiting = self._asking.setdefault(key, (threading.Lock(), [0]))
            waiting[0] += 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                waiting[0] -= 1
                if not waiting[0]:
                    del self._asking[key]

    def find(self, key: str) -> str | None:
        """What the model said to this question, by whatever process it was asked; None if nobody asked it."""
        with self._lock:
            if key not in self._kept:
                self._catch_up()
            return self._kept.get(key)

    def used(self) -> None:
        """Count a question that needed not be asked."""
        with self._lock:
            self._here += Spending(cached=1)

    def answers_as(self, model: str, name: str) -> str:
        """The name under which a model answers, by whatever process it was asked first: `name` where this is the first."""
        with self._lock:
            if model not in self._answers:
                self._catch_up()
            return self._answers.setdefault(model, name)

    def keep(self, key: str, model: str, content: str | None, usage: Usage, answered_by: str = "") -> None:
        """Record a reply that was paid for; content None: it was no judgement, and is asked for again.

        answered_by: what the server calls the model that answered.
        """
        line = {
            "key": key,
            "model": model,
            "content": content,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            **({"estimated": True} if usage.estimated else {}),
            **({"answered_by": answered_by} if answered_by else {}),
        }
        with self._lock:
            self._here += self._spending(usage)
            if self.path is None:
                self._take(line)
            else:
                self._append(self.path, line)

    def spending(self) -> Spending:
        """What this process has asked and spent."""
        return self._here

    def spent_in_all(self) -> Spending:
        """What all processes have spent that ever wrote to the file."""
        with self._lock:
            self._catch_up()
            return self._in_all

    def _append(self, path: Path, line: Mapping[str, Any]) -> None:
        """Add a line, on a line of its own even after one that a kill cut short."""
        data = (json.dumps(line, ensure_ascii=True) + "\n").encode()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if file.seek(0, 2):
                    file.seek(-1, 2)
                    data = data if file.read(1) == b"\n" else b"\n" + data
                file.write(data)
                file.flush()
        except OSError as error:
            raise JudgementsUnwritable(path, error) from error

    def _catch_up(self) -> None:
        """Read what was added to the file since; a line that is still being written is left for the next time."""
        if self.path is None or not self.path.exists():
            return
        try:
            with self.path.open("rb") as file:
                file.seek(self._read_to)
                whole, newline, _ = file.read().rpartition(b"\n")
        except OSError as error:
            raise JudgementsUnwritable(self.path, error) from error
        self._read_to += len(whole) + len(newline)
        for line in whole.split(b"\n"):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue  # empty, or cut short by a kill
            if isinstance(found, dict):
                self._take(found)

    def _take(self, line: Mapping[str, Any]) -> None:
        usage = Usage(_count(line.get("input_tokens")), _count(line.get("output_tokens")))
        self._in_all += self._spending(usage)
        if isinstance(line.get("content"), str) and isinstance(line.get("key"), str):
            self._kept[line["key"]] = line["content"]
            model, name = line.get("model"), line.get("answered_by")
            if isinstance(model, str) and isinstance(name, str):
                self._answers.setdefault(model, name)

    def _spending(self, usage: Usage) -> Spending:
        return Spending(asked=1, tokens=usage.input_tokens + usage.output_tokens, cost=self.budget.cost(usage))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
