"""Inspections as one HTML file without scripts, fonts or pictures from elsewhere.

Everything that data or a recipe wrote is escaped by the template's autoescaping, and a content security policy forbids
scripts and every load, should that ever fail. Neighbours: page.html.jinja (layout), terminal.py (the same in colour).
"""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from alignment.data.lint.display import grouped, heading, pieces, visible
from alignment.data.lint.linter import Inspection


def render_page(inspections: Sequence[Inspection]) -> str:
    """The page: for each inspection its findings, and every row token by token."""
    environment = Environment(
        loader=PackageLoader("alignment.data.lint", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["visible"] = visible
    environment.globals.update(grouped=grouped, heading=heading, pieces=pieces)
    return environment.get_template("page.html.jinja").render(inspections=inspections)
