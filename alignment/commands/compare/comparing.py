"""`alignment compare`: samples what is missing of either policy, asks the judge, and prints what it said.

Each policy answers in a separate process; the judge is asked from this one. Neighbours: options.py (the plan),
evaluation/comparison/ (the work), report/render/pairwise.py (the table).
"""

import json
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from rich.console import Console

from alignment.commands.compare.options import CompareOptions
from alignment.core.errors import OptionError
from alignment.core.locks import hold
from alignment.core.progress import Progress
from alignment.core.typed_json import encode
from alignment.evaluation.comparison.judging import judged, open_judge
from alignment.evaluation.comparison.plan import AnswersWork, ComparisonPlan
from alignment.records.comparison import ComparisonRecord
from alignment.report.render.pairwise import HEADINGS, table
from alignment.report.render.terminal import plain_table
from alignment.run.forks import Forks
from alignment.run.processes import environment
from alignment.run.watch import refuse_failure, watched


def compare_policies(options: CompareOptions, *, as_json: bool) -> ComparisonRecord:
    """Sample, judge, write the comparison's files and print its figures.

    Raises OptionError for options that cannot work or a budget that was spent, StageFailed if sampling fails, DataError if the
    judge gives no verdict. What was sampled and judged stays.
    """
    plan, console = options.plan(), Console(stderr=True)
    judge = open_judge(options.judge(plan))
    with hold(plan.output / ".lock", "another comparison is under way here; wait for it, or write --output DIRECTORY"):
        for _, policy in plan.sides:
            work = plan.work(policy)
            if work is not None:
                _sample(plan, work, console)
        progress: list[Progress] = []

        def report(done: int, total: int) -> None:
            if not as_json:
                progress[:] = progress or [Progress("pairs judged", total)]
                progress[0].report(done)

        found = judged(plan, judge, report)
    file = plan.record_file(found.record.identity or {})
    if as_json:
        print(json.dumps(encode(found.record), indent=2, ensure_ascii=False))
    else:
        _print(found.record, file)
    if found.budget_is_spent:
        raise OptionError(
            f"the judge's budget is spent, and {sum(found.record.unjudged.values())} pairs have no verdict: raise max_tokens_total or "
            "max_cost and run the same command again, which pays for nothing twice"
        )
    return found.record


def _sample(plan: ComparisonPlan, work: AnswersWork, console: Console) -> None:
    """The missing answers of one policy, in one process."""
    title, log = f"sampling answers of {work.name}", plan.output / "answers.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)  # what an earlier process said must not pass for this one's
    with tempfile.TemporaryDirectory() as scratch, closing(Forks(own=False)) as forks:
        file = Path(scratch) / "work.json"
        work.write(file)
        command = [sys.executable, "-m", "alignment.evaluation.comparison.job", str(file)]
        env = environment(plan.hardware, offline=plan.offline)
        refuse_failure(watched(title, command, log, console, env, start=forks.start), title, log)


def _print(record: ComparisonRecord, file: Path) -> None:
    console = Console()
    console.print(
        plain_table(f"{record.a.name} against {record.b.name}, judged by {record.judge}", HEADINGS, table([record]))
    )
    for text in record.cautions:
        console.print(text, style="yellow", highlight=False, markup=False)
    spent = record.spending
    console.print(
        f"the judge was asked {spent.asked:,} questions ({spent.cached:,} more were known), {spent.tokens:,} tokens; each pair is in "
        f"{file.with_suffix('.jsonl')}", highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
