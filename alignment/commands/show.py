"""`alignment show`: prints a run's lineage."""

from alignment.commands.options import RunDirectory


def show(run: RunDirectory) -> None:
    """Print a run's lineage. Shows what each stage was made from, and whether its files are intact."""

    from alignment.core.console import open_console
    from alignment.records.run_folder import RunFolder
    from alignment.report.lineage import lineage_tree

    open_console().print(lineage_tree(RunFolder.open(run)))
