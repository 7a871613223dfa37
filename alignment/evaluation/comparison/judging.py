"""Asks a judge about the answers of two policies to the same prompts, pair by pair in both orders, and records what it says.

What was asked before is not asked again: replies are kept in judgements.jsonl by content (rewards/kinds/judge/judgements.py).
Neighbours: plan.py (where the answers are), figures.py (what the pairs say), commands/compare/.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from alignment.core.errors import DataError, RecipeError
from alignment.core.files import write_json_lines
from alignment.core.typed_json import Json
from alignment.core.vocabulary import Mode
from alignment.evaluation.comparison.figures import PairOutcome, cautions, figures
from alignment.evaluation.comparison.plan import ComparisonPlan
from alignment.records.comparison import ComparedPair, ComparedSide, ComparisonRecord, JudgeSpending, RecordedAnswer
from alignment.records.policies import Policy
from rewards import spec_faults
from rewards.kinds.judge.pairs import Pair, PairVerdict
from rewards.kinds.judge.verifier import Judge
from rewards.spending import BUDGET_SPENT

AT_ONCE = 64  # pairs between two progress reports
# Options of a judge that change no verdict.
NOT_DECIDING = (
    "base_url", "api_key_env", "timeout_seconds", "concurrency", "retries", "patience_seconds", "judgements", "max_tokens_total",
    "max_cost", "price_per_million_input", "price_per_million_output", "model",
)  # fmt: skip
OF_PAIRS = ("temperature", "reply_tokens", "reasoning", "max_characters")  # what a judge of pairs reads beside these


@dataclass(frozen=True)
class Judged:
    """A comparison with the pairs behind it."""

    record: ComparisonRecord
    pairs: Sequence[ComparedPair]

    @property
    def budget_is_spent(self) -> bool:
        """Whether pairs are unjudged because nothing was left to spend."""
        return BUDGET_SPENT in self.record.unjudged


def open_judge(options: Mapping[str, Json]) -> Judge:
    """A judge of pairs with these options of the kind `judge`. Raises RecipeError for options that it does not read."""
    unread = sorted(set(options) - {*NOT_DECIDING, *OF_PAIRS})
    if unread:
        raise RecipeError(
            f"a judge of pairs does not read the option {unread[0]!r}; write one of: {', '.join(sorted({*NOT_DECIDING, *OF_PAIRS}))}"
        )
    faults = spec_faults([{"kind": "judge", **options}])
    if faults:
        raise RecipeError("\n".join(faults))
    return Judge(**options)


def judged(plan: ComparisonPlan, judge: Judge, report: Callable[[int, int], None]) -> Judged:
    """Judge all pairs of a plan whose answers are sampled; both files are written.

    report: is told how many of how many pairs are judged. Raises DataError where no pair could be judged.
    """
    matched = {mode: _matched(plan, mode) for mode in plan.modes}
    total, done = sum(len(both) for both, _ in matched.values()), 0
    outcomes: dict[Mode, list[PairOutcome]] = {}
    for mode, (both, _) in matched.items():
        outcomes[mode] = []
        for start in range(0, len(both), AT_ONCE):
            outcomes[mode] += _judged(judge, mode, both[start : start + AT_ONCE])
            report(done + len(outcomes[mode]), total)
        done += len(both)
    every = [one.pair for found in outcomes.values() for one in found]
    unjudged = Counter(one.reason for one in every if one.winner is None)
    if sum(unjudged.values()) == len(every):
        reasons = ", ".join(f"{reason} {count}" for reason, count in unjudged.items()) or "there are no pairs"
        raise DataError(
            f"the judge gave no verdict on any of {len(every)} pairs ({reasons}); is it served at {judge.options.base_url}, and does it "
            "reply in JSON? What was sampled is kept, and the same command goes on"
        )
    found = [one for mode, each in outcomes.items() for one in figures(mode, each)]
    spent = judge.spending()
    record = ComparisonRecord(
        a=_side(plan.a),
        b=_side(plan.b),
        judge=judge.model,
        figures=tuple(found),
        unjudged=dict(unjudged),
        left_out=sum(alone for _, alone in matched.values()),
        spending=JudgeSpending(spent.asked, spent.cached, spent.tokens, round(spent.cost, 6)),
        cautions=tuple(cautions(found)),
        identity=plan.identity(_judge_identity(judge)),
    )
    file = plan.record_file(record.identity or {})
    write_json_lines(file.with_suffix(".jsonl"), every)
    record.write(file)
    return Judged(record, every)


def _side(policy: Policy) -> ComparedSide:
    return ComparedSide(policy.name, policy.output_hash())


def _judge_identity(judge: Judge) -> Mapping[str, Json]:
    return {"model": judge.model, **{name: getattr(judge.options, name) for name in OF_PAIRS}}


def _matched(plan: ComparisonPlan, mode: Mode) -> tuple[list[tuple[RecordedAnswer, RecordedAnswer]], int]:
    """(answers of both policies to the same problem, how many answers have no counterpart)."""
    first, second = ({_place(row): row for row in _answers(plan, policy, mode)} for _, policy in plan.sides)
    both = [(row, second[place]) for place, row in first.items() if place in second]
    return both, len(first) + len(second) - 2 * len(both)


def _answers(plan: ComparisonPlan, policy: Policy, mode: Mode) -> Iterator[RecordedAnswer]:
    return RecordedAnswer.read_lines(plan.answers_file(policy, mode))


def _place(row: RecordedAnswer) -> tuple[str, str, int]:
    return row.task, row.problem, row.sample


def _judged(judge: Judge, mode: Mode, both: Sequence[tuple[RecordedAnswer, RecordedAnswer]]) -> list[PairOutcome]:
    known = [_known(a, b) for a, b in both]
    open_ = [pair for pair, verdict in zip(both, known, strict=True) if verdict is None]
    said = iter(judge.compare_pairs([Pair([dict(one) for one in a.prompt], a.answer, b.answer) for a, b in open_]))
    verdicts = [next(said) if verdict is None else verdict for verdict in known]
    return [PairOutcome(_pair(mode, a, b, one), a, b) for (a, b), one in zip(both, verdicts, strict=True)]


def _known(a: RecordedAnswer, b: RecordedAnswer) -> PairVerdict | None:
    """The verdict on a pair that needs no judge: a fault of an environment, no answer on a side, or one answer twice."""
    if a.fault or b.fault:
        return PairVerdict(None, "environment_fault")
    if a.answer == b.answer:
        return PairVerdict("tie", "same_answer" if a.answer else "no_answer")
    if not a.answer or not b.answer:
        return PairVerdict("b" if not a.answer else "a", "no_answer")
    return None


def _pair(mode: Mode, a: RecordedAnswer, b: RecordedAnswer, verdict: PairVerdict) -> ComparedPair:
    return ComparedPair(
        task=a.task,
        mode=mode,
        problem=a.problem,
        winner=verdict.winner,
        reason=verdict.reason,
        a_first=verdict.evidence.get("a_first"),
        b_first=verdict.evidence.get("b_first"),
        prompt=a.prompt,
        a=a.answer,
        b=b.answer,
    )
