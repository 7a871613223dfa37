"""The report: a run directory in, report.json, report.md and report.html out. Reads recorded facts and nothing else.

run.py collects a run's records, build.py makes the report of them, and every form is made from the report: render/.
Nothing here imports torch, and no page loads anything from elsewhere.
"""

from pathlib import Path

from alignment.core.files import write_json, write_text
from alignment.report.build import build_report
from alignment.report.document import Report
from alignment.report.run import read_run

__all__ = ["Report", "build_report", "read_run", "write_report"]


def write_report(run: Path) -> Report:
    """Write report.json, report.md and report.html into a run directory and return the report.

    Each file is written atomically. Raises ArtifactError if `run` is not a run directory.
    """
    from alignment.report.render.html import render_page
    from alignment.report.render.markdown import render_markdown

    found = read_run(run)
    report = build_report(found)
    pages = {"report.md": render_markdown(report), "report.html": render_page(report, found)}
    write_json(run / "report.json", report)
    for name, content in pages.items():
        write_text(run / name, content)
    return report
