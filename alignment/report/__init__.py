"""The report: a run directory in, report.json, report.md and report.html out. Reads recorded facts and nothing else.

read.py makes values of the files, document.py makes the document of the values, and every other form is made from the
document: markdown.py, html.py, terminal.py. Nothing here imports torch, and no page loads anything from elsewhere.
"""

import json
import os
from pathlib import Path
from typing import Any

from alignment.report.document import build_document
from alignment.report.read import read_run

__all__ = ["build_document", "read_run", "write_report"]


def write_report(run: Path) -> dict[str, Any]:
    """Write report.json, report.md and report.html into a run directory and return the document.

    Each file is replaced whole or not at all. Raises ArtifactError where `run` is not a run directory.
    """
    from alignment.report.render.html import render_page
    from alignment.report.render.markdown import render_markdown

    facts = read_run(run)
    document = build_document(facts)
    written = {
        "report.json": json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n",
        "report.md": render_markdown(document),
        "report.html": render_page(document, facts),
    }
    for name, content in written.items():
        _replace(run / name, content)
    return document


def _replace(path: Path, content: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(content, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
