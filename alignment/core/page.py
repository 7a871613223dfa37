"""HTML pages as one file each, without scripts, fonts or pictures from elsewhere.

The template's autoescaping escapes everything that a model, a data set or a recipe wrote. As a second line of defence, a
content security policy in each page forbids scripts and external resources. The report and the linter have a
page.html.jinja each.
"""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def page_template(package: str, **known: Any) -> Template:
    """Load page.html.jinja of a package.

    Args:
        package: the import name of the package that holds the template.
        known: functions and modules that the template may use, by name.
    """
    environment = Environment(
        loader=PackageLoader(package, "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals.update(known)
    return environment.get_template("page.html.jinja")
