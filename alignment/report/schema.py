"""Generates docs/report.schema.json from the classes of document.py.

`python -m alignment.report.schema > docs/report.schema.json`. tests/alignment/test_records_reference.py fails while it is stale.
"""

import json

from alignment.core.json_schema import json_schema
from alignment.report.document import Report

COMMAND = "python -m alignment.report.schema > docs/report.schema.json"


def schema() -> str:
    """The JSON schema of report.json."""
    return json.dumps(json_schema(Report), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema(), end="")
