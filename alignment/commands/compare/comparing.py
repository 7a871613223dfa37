"""`alignment compare`: samples what is missing of either policy, asks the judge, and prints what it said.

Each policy answers in a separate process; the judge is asked from this one. Neighbours: options.py (the plan),
evaluation/comparison/ (the work), report/render/pairwise.py (the table).
"""

import json
from pathlib import Path

from alignment.commands.compare.options import CompareOptions
from alignment.core.console import open_console
from alignment.core.errors import OptionError
from alignment.core.locks import hold
from alignment.core.progress import Progress
from alignment.core.typed_json import encode
from alignment.evaluation.comparison.judging import judged, open_judge
from alignment.evaluation.comparison.plan import AnswersWork, ComparisonPlan
from alignment.records.comparison import ComparisonRecord
from alignment.report.render.pairwise import HEADINGS, table
from alignment.report.render.terminal import plain_table
from alignment.run.work_process import run_work


def compare_policies(options: CompareOptions, *, as_json: bool) -> ComparisonRecord:
    """Sample, judge, write the comparison's files and print its figures.

    Raises OptionError for options that cannot work or a budget that was spent, StageFailed if sampling fails, DataError if the
    judge gives no verdict. What was sampled and judged stays.
    """
    plan = options.plan()
    judge = open_judge(options.judge(plan))
    with hold(plan.output / ".lock", "another comparison is under way here; wait for it, or write --output DIRECTORY"):
        for _, policy in plan.sides:
            work = plan.work(policy)
            if work is not None:
                _sample(plan, work)
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


def _sample(plan: ComparisonPlan, work: AnswersWork) -> None:
    """The missing answers of one policy, in one process."""
    title, log = f"sampling answers of {work.name}", plan.output / "answers.log"
    module = "alignment.evaluation.comparison.job"
    run_work(work, module, title, log, plan.hardware, offline=plan.offline)


def _print(record: ComparisonRecord, file: Path) -> None:
    console = open_console()
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
