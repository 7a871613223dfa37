"""The work of `alignment export`: writes the folder in a scratch one beside it, then the GGUF file, the card, and the hub.

An export that is there already is not written again: what it lacks is added, and what is of another policy is refused.
Neighbours: export/ (each form), records/export.py (what an export remembers).
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from alignment.commands.export.gguf_file import gguf_lines, with_gguf
from alignment.commands.export.process_model import refuse_other_forms, write_process_card, write_process_model
from alignment.core.console import open_console
from alignment.core.errors import OptionError
from alignment.core.files import write_text
from alignment.export.quantised.forms import FORMS, Form, FormName
from alignment.records.export import EXPORT, ExportRecord
from alignment.records.policies import Policy, leaves_process_model, named_policies
from alignment.records.run_folder import RunFolder

if TYPE_CHECKING:
    from alignment.recipe.schema import Recipe

FEW_KEPT = 0.9  # of an adapter's updates: below it the loss is said


@dataclass(frozen=True)
class ExportOptions:
    """What the command line says."""

    run: Path
    stage: str | None
    into: Path | None
    dtype: Literal["auto", "float32", "bfloat16", "float16"]
    gguf: Literal["auto", "f32", "f16", "bf16", "q8_0"] | None
    splitting: str | None
    quantise: FormName | None
    quantiser: Path
    calibration: str | None
    licence: str | None
    push: str | None
    upload: bool
    private: bool


def exported(options: ExportOptions) -> None:
    """Export one stage's policy. Raises OptionError, ArtifactError or HubError, and leaves nothing half done."""
    if options.upload and options.push is None:
        raise OptionError("--upload sends to a repository of the hub; write --push OWNER/NAME beside it")
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    run = RunFolder.open(options.run)
    recipe = _recipe(run)
    if options.stage is not None and leaves_process_model(run.find(options.stage)):
        _process_model(options, run, recipe)
        return
    policy = named_policies(options.run, [] if options.stage is None else [options.stage])[0]
    folder = options.into or run.path / "export" / policy.name
    wanted = ExportRecord(recipe.name, policy.name, policy.output_hash(), options.dtype, 0.0)
    record = _existing(folder, wanted) or _written(recipe, policy, folder, wanted)
    if options.gguf is not None:
        record = with_gguf(options.run, recipe, policy, folder, record, options.gguf, options.splitting)
    _write_card(options, recipe, folder, record)
    _say(f"{folder}: the policy of {policy.name}; on a probe its logits are {record.logits_distance:.1e} standard deviations "
         "from the run's")  # fmt: skip
    for line in gguf_lines(folder, record):
        _say(line)
    if options.quantise is not None:
        folder = _quantised(FORMS[options.quantise], options, recipe, policy, folder)
    if options.push is not None:
        _push(options, folder)


def _process_model(options: ExportOptions, run: RunFolder, recipe: "Recipe") -> None:
    """Export a prm stage's model with the figures that were measured of it."""
    name = str(options.stage)
    refuse_other_forms(name, dtype=options.dtype, gguf=options.gguf, quantise=options.quantise)
    folder = options.into or run.path / "export" / name
    found = run.find(name)
    wanted = ExportRecord(recipe.name, name, found.verified_manifest().output_hash, options.dtype, 0.0)
    if _existing(folder, wanted) is None:
        write_process_model(found, folder, wanted)
    write_process_card(run, recipe, name, folder, options.licence)
    _say(f"{folder}: the process reward model of {name}, byte for byte the run's")
    if options.push is not None:
        _push(options, folder)


def _quantised(form: Form, options: ExportOptions, recipe: "Recipe", policy: Policy, original: Path) -> Path:
    """Add the folder of a quantised form beside the original's; returns it."""
    from alignment.commands.export.quantising import Asked, quantised_export, summary_lines

    folder = original.parent / f"{original.name}-{form.name}"
    wanted = ExportRecord(recipe.name, policy.name, policy.output_hash(), options.dtype, 0.0)
    record = _existing(folder, wanted)
    if record is None or record.quantised is None:
        asked = Asked(options.run, recipe, policy, form, options.quantiser, options.calibration)
        record = quantised_export(asked, original, folder, wanted)
    _write_card(options, recipe, folder, record)
    for line in summary_lines(folder, record):
        _say(line)
    return folder


def _recipe(run: RunFolder) -> "Recipe":
    from alignment.run.plan import RunPlan

    return RunPlan.load(run.recipe, [], run.path).recipe


def _existing(folder: Path, wanted: ExportRecord) -> ExportRecord | None:
    """The record of an export of this policy that is there already. Raises OptionError if the folder holds another thing."""
    if not folder.exists():
        return None
    if not (folder / EXPORT).is_file():
        raise OptionError(f"{folder} exists and is no export; write another folder for --into")
    found = ExportRecord.read(folder / EXPORT)
    if (found.policy, found.dtype) != (wanted.policy, wanted.dtype):
        raise OptionError(
            f"{folder} is an export of the policy {found.policy[:12]} with dtype {found.dtype}, and {wanted.stage} is now "
            f"{wanted.policy[:12]} with dtype {wanted.dtype}; write another folder for --into, or remove that one"
        )
    return found


def _written(recipe: "Recipe", policy: Policy, folder: Path, wanted: ExportRecord) -> ExportRecord:
    """Write the model in a scratch folder, prove it, and put it in its place."""
    from alignment.export.whole import write_whole_policy

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        made = Path(scratch) / "model"
        dtype = wanted.dtype
        written = write_whole_policy(policy.folder, made, dtype, trust_remote_code=recipe.trust_remote_code)  # type: ignore[arg-type]
        record = replace(wanted, logits_distance=written.distance)
        record.write(made / EXPORT)
        made.rename(folder)
    if written.kept is not None and written.kept < FEW_KEPT:
        _say(f"warning: {written.kept:.0%} of the adapter's updates are left; the others are smaller than the rounding of "
             "these weights. Write --dtype float32")  # fmt: skip
    return record


def _write_card(options: ExportOptions, recipe: "Recipe", folder: Path, record: ExportRecord) -> None:
    from alignment.export.card import CardFacts, model_card
    from alignment.report import build_report, read_run

    template = folder / "chat_template.jinja"
    facts = CardFacts(
        report=build_report(read_run(options.run)),
        recipe=recipe,
        stage=record.stage,
        licence=options.licence,
        thinks=template.is_file() and "enable_thinking" in template.read_text(encoding="utf-8"),
        gguf=record.gguf,
        quantised=record.quantised,
    )
    write_text(folder / "README.md", model_card(facts))


def _push(options: ExportOptions, folder: Path) -> None:
    """List what would be sent, and send it if that was asked for."""
    from alignment.export.push import planned_upload, push

    upload = planned_upload(folder, str(options.push), private=options.private)
    kind = "private" if upload.private else "public"
    _say(f"{upload.repository} ({kind}): {len(upload.files)} files, {upload.bytes / 1e6:.1f} MB")
    for name, size in upload.files:
        _say(f"  {name}  {size / 1e6:.3f} MB")
    if not options.upload:
        _say("nothing was sent; write --upload as well to send it")
        return
    _say(f"sent: {push(folder, upload)}")


def _say(text: str) -> None:
    open_console().print(text, highlight=False, markup=False, soft_wrap=True)
