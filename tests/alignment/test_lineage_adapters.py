"""The lineage of a run says which model an adapter belongs to."""

from pathlib import Path

from report_run import write_run
from rich.console import Console

from alignment.records.adapter import AdapterBase
from alignment.records.run_folder import RunFolder
from alignment.report.lineage import lineage_tree


def test_the_lineage_of_a_run_names_the_base_of_an_adapter(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    AdapterBase("../../base", "0123456789abcdef", "nf4").write(run / "01-cold_start" / "output" / "adapter_base.json")
    console = Console(width=200)
    with console.capture() as said:
        console.print(lineage_tree(RunFolder(run)))
    assert "an adapter on ../../base 0123456789ab in 4 bits (nf4)" in said.get()
