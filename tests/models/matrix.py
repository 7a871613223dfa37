"""docs/models.md: which families train by which kind, and what their output samples, as it was found by doing it.

    python tests/models/matrix.py            every family, minutes; writes docs/models.md
    python tests/models/matrix.py Granite    the rows of some families, the others as they are on the page

test_families.py compares cells of a few families with the page, and with `--long` tests all of them. Neighbours:
families.py (the models), family_runs.py (the stages).
"""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from families import FAMILIES, Family, build, family
from family_runs import Trained, engine_greedy, plain_greedy, train

from alignment.core.errors import EngineError

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
COLUMNS = ("family", "SFT", "DPO", "GRPO", "GRPO, vLLM", "same tokens: transformers", "same tokens: vLLM")
HEAD = """# Models

Each row is a tiny random model with the architecture, special tokens, end-of-text list and chat template of its family.
It is trained for two steps by each kind on a CPU, and the output of its SFT stage samples greedily in both engines.
`python tests/models/matrix.py` made this table; a test compares its rows with what the code does.

- **packed** and **padded**: how the rows of a batch are laid out. A stage compares the logits of packed rows with those
  of rows alone before its first step, and pads where they differ.
- A stage is finished only if plain transformers loads its output with no key missing or left over, and computes the
  trainer's logits.
- **same tokens**: greedy tokens of the engine are those of plain `transformers.generate` with the output's own
  `generation_config`: it ends where the engine ends.
- **refused**: the stage or engine says so before it trains, and what to write.

"""
TAIL = """
## Templates

SFT needs a chat template that marks what the assistant wrote with `{% generation %}`; most models' own do not. A recipe
names one that does, in the format of the model's own tokens, with thinking and tools:

| `chat_template` | for |
|---|---|
| `qwen3` | Qwen, LFM2, SmolLM and every ChatML model; the one for a base model without a format |
| `llama3` | Llama 3 |
| `gemma3` | Gemma 2 and 3; a system turn goes into the first question |
| `mistral` | Mistral; likewise |
| `phi3` | Phi-3, Phi-3.5 and Phi-4-mini |
| `granite` | Granite 3 and 4 |
| `olmo2` | OLMo 2 |
| `gpt-oss` | GPT-OSS; thinking stands in the final channel, between `<think>` and `</think>` |
| `./mine.jinja` | a file of your own, relative to the recipe |

Many models' own templates write user and assistant turns alone. Rows may have a turn, a call or tools that the template
drops or refuses. A stage or evaluation with such a row ends before the model is loaded, and names the row.

The begin-of-text token is written where the model's tokenizer or own template would have put one. The token that ends a
turn is read off the template. Engines stop at it and at every token of `generation_config.eos_token_id`, and a stage's
output lists both. DPO's prompts are token for token those of rollouts.

## What a model lacks

`alignment model inspect FOLDER` reads a folder's files, without its weights and without torch. It prints family, size,
layers, tokens, ends, what its template renders, and what LoRA can target. It also says which stages and engines take
the model, and what to write.
"""


def cells(chosen: Family, folder: Path, columns: tuple[str, ...] = COLUMNS) -> dict[str, str]:
    """The row of a family, or some of its cells, each as found by training and sampling."""
    model = build(chosen, folder / "model")
    sft = train(model, chosen.template, "sft", folder / "sft")
    found = {"family": chosen.name, "SFT": cell_of(sft, chosen.template)}
    if "DPO" in columns:
        found["DPO"] = cell_of(train(model, None, "dpo", folder / "dpo"), None, "dpo")
    if "GRPO" in columns:
        found["GRPO"] = cell_of(train(model, None, "grpo", folder / "grpo"), None)
    if "GRPO, vLLM" in columns:
        found["GRPO, vLLM"] = cell_of(train(model, None, "grpo", folder / "grpo-vllm", "vllm"), None)
    for engine in ("transformers", "vllm"):
        name = f"same tokens: {'vLLM' if engine == 'vllm' else engine}"
        if name in columns:
            found[name] = _same(sft.output, engine)
    return found


def cell_of(made: Trained, template: str | None, kind: str = "sft") -> str:
    """What the table says of a stage: how its rows are laid out, or why it was refused. DPO always pads."""
    if made.output is None:
        return f"refused: {_first(made.refusal)}"
    how = "padded" if kind == "dpo" or "not_packed" in (made.counts or {}) else "packed"
    return f"{how}, `{template}`" if template else how


def _same(output: Path | None, engine: str) -> str:
    if output is None:
        return "not trained"
    plain = plain_greedy(output)  # first: vLLM changes classes of transformers that it runs a model by
    try:
        made = engine_greedy(output, engine)
    except EngineError as error:
        return f"refused: {_first(str(error))}"
    return "yes" if made == plain else "NO"


def _first(text: str) -> str:
    line = next((one for one in text.splitlines() if one.strip()), "")
    return re.sub(r"(?<![\w`])/\S+?(?=[:\s])", "MODEL", line).replace("|", "\\|")[:200]


def page(rows: dict[str, str]) -> str:
    """The whole page from the line of each family."""
    table = [
        f"| {' | '.join(COLUMNS)} |",
        "|" + "---|" * len(COLUMNS),
        *(rows[one.name] for one in FAMILIES if one.name in rows),
    ]
    return HEAD + "\n".join(table) + "\n" + TAIL


def line(found: dict[str, str]) -> str:
    """One line of the table."""
    return f"| {' | '.join(found[name] for name in COLUMNS)} |"


def on_page() -> dict[str, dict[str, str]]:
    """The cells that the page holds, by family and column."""
    return {row["family"]: row for row in _read()}


def _read() -> Iterator[dict[str, str]]:
    for text in PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []:
        parts = [part.strip() for part in text.replace("\\|", "\0").strip("|").split("|")]
        if len(parts) == len(COLUMNS) and parts[0] not in ("family", "---"):
            yield dict(zip(COLUMNS, (part.replace("\0", "\\|") for part in parts), strict=True))


def main(names: list[str]) -> None:
    """Train the families of these names, or all, and write the page after each."""
    rows = {name: line(row) for name, row in on_page().items()}
    for chosen in [family(name) for name in names] or FAMILIES:
        folder = Path(tempfile.mkdtemp(prefix="family-"))
        found = cells(chosen, folder)
        rows[chosen.name] = line(found)
        PAGE.write_text(page(rows), encoding="utf-8")
        print("\n".join(f"{name}: {cell}" for name, cell in found.items()), flush=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    main(sys.argv[1:])
