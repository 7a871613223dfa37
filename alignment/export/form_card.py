"""What a model card says of a policy's other forms: GGUF files, and a quantised folder, beside the original.

Neighbours: card.py (the whole card), records/export.py (what was made and measured).
"""

from collections.abc import Iterator, Sequence

from alignment.records.export import GgufFile, QuantisedExport, QuantisedMode
from alignment.report import phrases
from alignment.report.render.markdown import cell, table


def gguf_files(files: Sequence[GgufFile]) -> Iterator[str]:
    """Each file: what was compared, and what its answers are worth where its form rounds weights away."""
    for file in files:
        yield (
            f"`{file.file}` is the same for llama.cpp: {file.tensors} tensors ({file.stored}), read back and compared; the largest "
            f"difference of a weight is {file.largest_difference:.2g}. "
            + (
                "Answers of its weights, on the same problems:"
                if file.modes
                else "Its answers were not measured apart."
            )
        )
        if file.modes:
            yield _beside_original(file.modes)


def quantised_form(found: QuantisedExport) -> Iterator[str]:
    """What a quantised form is worth beside the original, on the recipe's tasks."""
    made = ", ".join(f"{cell(name)} {cell(version)}" for name, version in found.versions.items())
    on = f" on {found.rows} rows ({cell(found.calibration)})" if found.calibration else ""
    yield "## This form"
    yield (
        f"Quantised to {found.form} ({cell(found.scheme)}) by {made}{on}: {found.bytes / 1e6:.1f} MB in place of "
        f"{found.original_bytes / 1e6:.1f} MB. vLLM and transformers with compressed-tensors read it. The other figures of this "
        "card are the original's; on the same problems:"
    )
    yield _beside_original(found.modes)


def _beside_original(modes: Sequence[QuantisedMode]) -> str:
    """The accuracies of a form with rounded weights and of the original."""
    rows = [
        (phrases.MODE_NAMES[one.mode], phrases.with_interval(one.original), phrases.with_interval(one.quantised),
         phrases.points(one.difference), one.verdict, phrases.count(one.count))
        for one in modes
    ]  # fmt: skip
    return table(("mode", "original %", "this form %", "difference", "z-test at 95%", "answers"), rows)
