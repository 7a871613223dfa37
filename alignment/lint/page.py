"""The linter's results as one HTML file. Neighbours: page.html.jinja (layout), terminal.py (the same for a terminal)."""

from collections.abc import Sequence

from alignment.core.page import page_template
from alignment.lint.display import grouped, heading, pieces, visible
from alignment.lint.linter import Inspection


def render_page(inspections: Sequence[Inspection]) -> str:
    """Render the page: for each inspection its findings, then every row token by token."""
    template = page_template("alignment.lint", visible=visible, grouped=grouped, heading=heading, pieces=pieces)
    return template.render(inspections=inspections)
