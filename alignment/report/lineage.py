"""`alignment show`: each stage of a run, what it was made from, and whether its files are intact.

Neighbours: records/run_folder.py (checks the files), commands/show.py (prints the tree).
"""

from rich.text import Text
from rich.tree import Tree

from alignment.core.errors import ArtifactError
from alignment.core.statistics.intervals import as_text
from alignment.records.adapter import ADAPTER_BASE, AdapterBase, is_adapter_alone
from alignment.records.evaluation import EvaluationRecord
from alignment.records.manifest import Manifest
from alignment.records.rollout import RolloutRow
from alignment.records.run import RunRecord
from alignment.records.run_folder import RunFolder, StageFolder
from alignment.report.render.turns import shown_turns

MAX_TURN = 100  # characters of a turn that are shown


def lineage_tree(run: RunFolder) -> Tree:
    """A tree of stages with the hashes of their inputs. Damaged stages are marked, not refused."""
    facts = RunRecord.read(run.facts)
    tree = Tree(f"{run.path}  recipe {facts.recipe}  seed {facts.seed}  model {facts.model}")
    producers = {"": ""}
    for path in sorted(run.path.glob("[0-9][0-9]-*")):
        folder = StageFolder(path)
        if "." in path.name:
            tree.add(Text(f"{path.name}  set aside", style="dim"))
            continue
        if not folder.finished:
            tree.add(f"{path.name[3:]}  unfinished ({len(list(path.glob('attempts/*.log')))} attempts)")
            continue
        try:
            manifest = folder.verified_manifest()
        except ArtifactError as error:
            tree.add(Text(f"{path.name[3:]}  damaged: {error}", style="red"))
            continue
        producers[manifest.output_hash] = manifest.name
        _add(tree, folder, manifest, producers)
    return tree


def _add(tree: Tree, folder: StageFolder, manifest: Manifest, producers: dict[str, str]) -> None:
    branch = tree.add(
        f"{manifest.name}  [{manifest.kind}]  {manifest.output_hash[:12]}  {manifest.seconds:.0f} s  {manifest.steps} steps".replace(
            "[", "\\["
        )
    )
    for name, digest in manifest.inputs.items():
        known = "" if producers.get(digest) == name or name == "model" else "  (run again since)"
        branch.add(f"from {name} {digest[:12]}{known}")
    noted = folder.output / ADAPTER_BASE
    if noted.is_file():
        base = AdapterBase.read(noted)
        form = f" in 4 bits ({base.quantised})" if base.quantised else ""
        what = "an adapter alone" if is_adapter_alone(folder.output) else "an adapter"
        branch.add(Text(f"{what} on {base.base} {(base.sha256 or '')[:12]}{form}"))
    for path in sorted(folder.evaluations.glob("*thinking.json")):
        try:
            found = EvaluationRecord.read(path).figures
        except ArtifactError as error:
            branch.add(Text(f"damaged: {error}", style="red"))
            continue
        branch.add(f"{found.mode}: accuracy {as_text(found.accuracy, found.unknown)}")
        if found.calls_right.value is not None:
            branch.add(f"{found.mode}: calls right {as_text(found.calls_right, 0)}")
    _add_turns(branch, folder)


def _add_turns(branch: Tree, folder: StageFolder) -> None:
    """Show the turns of the last recorded rollout with several, for a stage with an environment of several turns."""
    if not folder.rollouts.exists():
        return  # a stage that samples nothing
    try:
        rows = [row for row in RolloutRow.read_lines(folder.rollouts) if row.messages]
    except ArtifactError as error:
        branch.add(Text(f"damaged: {error}", style="red"))
        return
    if not rows:
        return
    last = rows[-1]
    turns = branch.add(Text(f"a rollout of step {last.step}, reward {last.reward}: {last.question}", style="dim"))
    for turn in shown_turns(last.messages):
        turns.add(Text(f"{turn.role}: {' '.join(turn.text.split())[:MAX_TURN]}", style="dim"))
