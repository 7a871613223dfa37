"""`alignment show`: prints a run's lineage."""

from alignment.commands.options import RunDirectory


def show(run: RunDirectory) -> None:
    """Print a run's lineage. Shows what each stage was made from, and whether its files are intact."""
    from rich.console import Console

    from alignment.records.run_folder import RunFolder
    from alignment.report.lineage import lineage_tree

    Console().print(lineage_tree(RunFolder.open(run)))
