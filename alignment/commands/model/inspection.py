"""What a model folder is, and what its tokenizer and chat template do: the facts that `alignment model inspect` prints.

Neighbours: advice.py (what follows from them for a recipe), checks/model/folder.py (reads the files).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alignment.checks.model.files import folder_faults
from alignment.checks.model.folder import ModelFolder
from alignment.commands.model.advice import TAGS, Advice, advice_for
from alignment.core.errors import ArtifactError
from alignment.core.resources import shipped_model
from alignment.data.chat.template import marks_loss
from alignment.data.chat.turn_end import turn_end

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

USER = {"role": "user", "content": "What is 1 + 2?"}
THOUGHT = {"role": "assistant", "reasoning_content": "One and two.", "content": "3"}
UNITS = ((1e9, "billion"), (1e6, "million"), (1e3, "thousand"))


@dataclass(frozen=True)
class TokenizerFacts:
    """What a tokenizer does. pieces: how many tokens `<think>` and `</think>` are."""

    bos: str | None
    eos: str | None
    pad: str | None
    adds_bos: bool
    pieces: tuple[int, int]


@dataclass(frozen=True)
class TemplateFacts:
    """What a chat template does with messages.

    marks_loss: it has generation markers. turn_end: the token that ends an answer. shows_thinking: reasoning_content is
    rendered. switches: `enable_thinking` changes the prompt. opens_with_bos: it writes the begin-of-text token.
    """

    marks_loss: bool
    turn_end: str | None
    shows_thinking: bool
    switches: bool
    tools: bool
    opens_with_bos: bool


@dataclass(frozen=True)
class ModelFacts:
    """Everything that is found in a model folder. template is None without a chat template."""

    folder: str
    family: str
    architecture: str
    parameters: int
    dtypes: tuple[str, ...]
    layers: dict[str, int]
    stateful: tuple[str, ...]  # kinds of layers that carry a state along a row
    window: int | None
    experts: int
    tied: bool
    positions: int | None
    ends: tuple[str, ...]  # the tokens that generation_config lists
    lora_targets: tuple[str, ...]
    tokenizer: TokenizerFacts
    template: TemplateFacts | None
    advice: Advice


def inspected(name: str) -> ModelFacts:
    """The facts of a model folder. Raises ArtifactError that says what is wrong with one that cannot be used."""
    path = shipped_model(name) or Path(name).expanduser()
    faults = list(folder_faults(path)) if path.is_dir() else [f"there is no folder {path}; download the model into one"]
    if faults:
        raise ArtifactError("\n".join(faults))
    from transformers import AutoTokenizer

    folder = ModelFolder(path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactError(
            f"{path}: its tokenizer cannot be loaded ({error}); copy the files of its origin"
        ) from error
    has, does = _tokenizer(tokenizer), _template(tokenizer)
    ends = {number: token for token, number in folder.vocabulary.items()}
    return ModelFacts(
        folder=name,
        family=folder.family,
        architecture=str((folder.config.get("architectures") or ["unknown"])[0]),
        parameters=folder.parameters,
        dtypes=tuple(folder.dtypes),
        layers=folder.layer_kinds,
        stateful=tuple(folder.stateful_layers),
        window=folder.window,
        experts=folder.experts,
        tied=folder.tied,
        positions=folder.text_config.get("max_position_embeddings"),
        ends=tuple(ends.get(number, str(number)) for number in folder.end_ids),
        lora_targets=tuple(_linear_layers(folder)),
        tokenizer=has,
        template=does,
        advice=advice_for(name, folder, has.pieces, None if does is None else (does.marks_loss, does.shows_thinking)),
    )


def _tokenizer(tokenizer: "PreTrainedTokenizerBase") -> TokenizerFacts:
    opened, closed = (len(tokenizer(tag, add_special_tokens=False)["input_ids"]) for tag in TAGS)
    bos = tokenizer.bos_token_id
    return TokenizerFacts(
        bos=tokenizer.bos_token,
        eos=tokenizer.eos_token,
        pad=tokenizer.pad_token,
        adds_bos=bos is not None and list(tokenizer("a")["input_ids"])[:1] == [bos],
        pieces=(opened, closed),
    )


def _template(tokenizer: "PreTrainedTokenizerBase") -> TemplateFacts | None:
    from jinja2 import TemplateError

    text = tokenizer.chat_template
    if text is None:
        return None
    try:
        shown = str(tokenizer.apply_chat_template([USER, THOUGHT], tokenize=False))
        prompts = {
            thinks: str(
                tokenizer.apply_chat_template(
                    [USER], tokenize=False, add_generation_prompt=True, enable_thinking=thinks
                )
            )
            for thinks in (True, False)
        }
    except (TemplateError, TypeError, ValueError) as error:
        raise ArtifactError(f"its chat template cannot render a question and an answer: {error}") from error
    return TemplateFacts(
        marks_loss=marks_loss(str(text)),
        turn_end=turn_end(tokenizer),
        shows_thinking=THOUGHT["reasoning_content"] in shown,
        switches=prompts[True] != prompts[False],
        tools=re.search(r"\btools\b", str(text)) is not None,
        opens_with_bos=bool(tokenizer.bos_token) and prompts[True].startswith(str(tokenizer.bos_token)),
    )


def _linear_layers(folder: ModelFolder) -> list[str]:
    """The names that `lora.targets` can hold: of matrices inside the layers."""
    inner = [name for name, tensor in folder.tensors.items() if len(tensor["shape"]) == 2 and ".layers." in name]
    return list(dict.fromkeys(name.removesuffix(".weight").rpartition(".")[2] for name in inner if "norm" not in name))


def printed(facts: ModelFacts, *, as_json: bool) -> str:
    """The facts for a reader, or as JSON."""
    if as_json:
        return json.dumps(asdict(facts), indent=2, ensure_ascii=False)
    rows = list(_rows(facts))
    width = max(len(name) for name, _ in rows)
    lines = [f"{facts.folder}", *(f"  {name:<{width}}  {value}" for name, value in rows)]
    lines += ["", "For thinking:", *(f"  - {one}" for one in facts.advice.lacks)]
    lines += ["", "Write in the recipe:", *(f"  {line}" for line in facts.advice.recipe)]
    return "\n".join(lines)


def _rows(facts: ModelFacts) -> Iterator[tuple[str, str]]:
    yield "family", f"{facts.family} ({facts.architecture})"
    yield "size", f"{_size(facts.parameters)} parameters, {', '.join(facts.dtypes)}"
    kinds = ", ".join(f"{count} {kind}" for kind, count in facts.layers.items()) or "attention in every layer"
    yield "layers", kinds + (f", windows of {facts.window:,} positions" if facts.window else "")
    if facts.experts:
        yield "experts", f"{facts.experts} in a layer"
    yield "head", "tied to the embeddings" if facts.tied else "a matrix of its own"
    if facts.positions:
        yield "positions", f"{facts.positions:,}"
    has = facts.tokenizer
    begins = " (the tokenizer adds it)" if has.adds_bos else ""
    yield "tokens", f"begin {has.bos or 'none'}{begins}, end {has.eos or 'none'}, pad {has.pad or 'none'}"
    yield "ends", f"generation_config lists {', '.join(facts.ends) or 'none'}"
    yield "template", _template_line(facts.template)
    yield "think tokens", _pieces(has.pieces)
    yield "lora targets", ", ".join(facts.lora_targets) or "none found"
    yield from facts.advice.works.items()


def _template_line(found: TemplateFacts | None) -> str:
    if found is None:
        return "none"
    said = [
        f"turns end with {found.turn_end}" if found.turn_end else "turns end with no token",
        "marks what the assistant wrote" if found.marks_loss else "no {% generation %} markers",
        "renders thinking" if found.shows_thinking else "drops thinking",
        "has the switch enable_thinking" if found.switches else "no switch",
        "renders tools" if found.tools else "no tools",
        *(["writes the begin token"] if found.opens_with_bos else []),
    ]
    return ", ".join(said)


def _pieces(pieces: tuple[int, int]) -> str:
    named = zip(TAGS, pieces, strict=True)
    return ", ".join(f"{tag} is {'one token' if count == 1 else f'{count} tokens'}" for tag, count in named)


def _size(count: int) -> str:
    return next((f"{count / size:.3g} {name}" for size, name in UNITS if count >= size), str(count))
