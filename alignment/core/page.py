"""HTML pages as one file each, without scripts, fonts or pictures from elsewhere.

Everything that a model, data or a recipe wrote is escaped by the template's autoescaping, and a content security policy
in each page forbids scripts and every load, should that ever fail. The report and the linter have a page.html.jinja each.
"""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def page_template(package: str, **known: Any) -> Template:
    """page.html.jinja of a package; `known` are the functions and modules that it may use."""
    environment = Environment(
        loader=PackageLoader(package, "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals.update(known)
    return environment.get_template("page.html.jinja")
