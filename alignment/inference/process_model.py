"""ProcessModel: scores each step of solutions with a process reward model, in transformers or in vLLM.

It loads what a prm stage leaves, any folder for token classification with two labels whose config names a step token,
and Qwen's own process reward models, which have a head of two layers. Neighbours: data/steps/template.py (tokens),
step_logprobs.py (a policy in its place).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from transformers import AutoConfig, AutoModel, AutoModelForTokenClassification, AutoTokenizer

from alignment.core.errors import ArtifactError
from alignment.core.precision import Precision
from alignment.data.rows import Message
from alignment.data.steps.definition import Step, StepRule, thinking_steps
from alignment.data.steps.template import RenderedSteps, render_steps, step_token_id
from alignment.inference.by_length import padded_batches
from alignment.inference.precision import scoring_dtype
from alignment.recipe.blocks.process import RIGHT, STEP_TOKEN
from alignment.recipe.blocks.scorers import ScorerEngine

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

QWEN = "Qwen2ForProcessRewardModel"
BATCH_TOKENS = 16_384  # of one forward pass, padding included


@dataclass(frozen=True)
class Solution:
    """A prompt and the steps that answer it, the first `thinking_steps` of which are in a think block.

    completion, spans: the text that was split, and where each step stands in it; without, a scorer writes the text itself.
    """

    prompt: list[Message]
    steps: Sequence[str]
    thinking_steps: int = 0
    completion: str | None = None
    spans: Sequence[tuple[int, int]] = ()

    @classmethod
    def of(cls, prompt: list[Message], completion: str, steps: Sequence[Step]) -> "Solution":
        """A completion that was split into steps."""
        spans = [(one.start, one.end) for one in steps]
        return cls(prompt, [one.text for one in steps], thinking_steps(completion, steps), completion, spans)


class StepModel(Protocol):
    """What scores the steps of solutions and knows how completions are split: a process reward model, or a policy."""

    name: str
    rule: StepRule

    def scores(self, solutions: Sequence[Solution]) -> list[list[float] | None]:
        """A score from 0 to 1 for each step of each solution; None for one that is longer than the model reads."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...


class Backend(Protocol):
    """What computes: the probabilities of `right` at the step tokens of token sequences."""

    def probabilities(self, rendered: Sequence[RenderedSteps]) -> list[list[float]]:
        """One list for each sequence, in order."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


class ProcessModel:
    """A process reward model from a folder or hub id. Raises ArtifactError if it is none."""

    def __init__(
        self,
        model: str,
        engine: ScorerEngine = "transformers",
        precision: Precision = "auto",
        *,
        trust_remote_code: bool = False,
    ) -> None:
        try:
            config = AutoConfig.from_pretrained(model, trust_remote_code=trust_remote_code)
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{model}: is no model folder ({error})") from error
        self.name = Path(model).name
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            model, trust_remote_code=trust_remote_code
        )
        architecture = (getattr(config, "architectures", None) or [""])[0]
        if "TokenClassification" not in architecture and architecture != QWEN:
            raise ArtifactError(
                f"{model}: its architecture is {architecture or 'not named'}, and a process reward model classifies tokens; "
                "name the output of a prm stage"
            )
        self.step_id = step_token_id(self.tokenizer, getattr(config, "step_token", STEP_TOKEN))
        self.rule = StepRule(**(getattr(config, "step_split", None) or {}))
        self._longest = int(getattr(config.get_text_config(), "max_position_embeddings", 1 << 30))
        self._backend: Backend
        if engine == "vllm":
            from alignment.inference.vllm.pooling import VllmPooling

            self._backend = VllmPooling(model, self.step_id, self._longest, precision)
        else:
            self._backend = _Transformers(model, architecture, precision)

    def scores(self, solutions: Sequence[Solution]) -> list[list[float] | None]:
        """The probability that each step is right, for each solution; None for one that is longer than the model reads."""
        rendered = render_steps(self.tokenizer, solutions, self.step_id)
        fits = [place for place, one in enumerate(rendered) if one.positions and len(one.input_ids) <= self._longest]
        found = self._backend.probabilities([rendered[place] for place in fits])
        by_place = dict(zip(fits, found, strict=True))
        return [by_place.get(place, [] if not one.positions else None) for place, one in enumerate(rendered)]

    def close(self) -> None:
        """Free the model."""
        self._backend.close()


class _Transformers:
    """Batches of about the same length, padded on the right: attention is causal, so padding changes nothing."""

    def __init__(self, model: str, architecture: str, precision: Precision) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        dtype = scoring_dtype(precision)
        loaded = _qwen(model, dtype) if architecture == QWEN else _classifier(model, dtype)
        self._model = loaded.to(self._device).eval()

    def probabilities(self, rendered: Sequence[RenderedSteps]) -> list[list[float]]:
        """See Backend."""
        with torch.no_grad():
            return self._probabilities(rendered)

    def _probabilities(self, rendered: Sequence[RenderedSteps]) -> list[list[float]]:
        found: dict[int, list[float]] = {}
        rows = [one.input_ids for one in rendered]
        for places, ids_BT, mask_BT in padded_batches(rows, BATCH_TOKENS, self._device):
            logits_BTC = self._model(ids_BT, mask_BT)
            right_BT = logits_BTC.float().softmax(dim=-1)[..., RIGHT].cpu()
            for row, place in enumerate(places):
                found[place] = right_BT[row, rendered[place].positions].tolist()
        return [found[place] for place in range(len(rendered))]

    def close(self) -> None:
        """See Backend."""
        del self._model


class _Classifier(torch.nn.Module):
    """A body and a head, from token ids and mask (B, T) to logits (B, T, 2)."""

    def __init__(self, body: torch.nn.Module, head: torch.nn.Module | None) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, ids_BT: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
        """Logits (B, T, 2)."""
        found = self.body(input_ids=ids_BT, attention_mask=mask_BT, use_cache=False)
        logits_BTC: torch.Tensor = found.logits if self.head is None else self.head(found.last_hidden_state)
        return logits_BTC


def _classifier(model: str, dtype: torch.dtype) -> _Classifier:
    loaded = AutoModelForTokenClassification.from_pretrained(model, dtype=dtype, use_safetensors=True)
    if loaded.config.num_labels != 2:
        raise ArtifactError(f"{model}: has {loaded.config.num_labels} labels, and a step is right or wrong")
    return _Classifier(loaded, None)


def _qwen(model: str, dtype: torch.dtype) -> _Classifier:
    """Qwen2.5-Math-PRM: a Qwen2 and two linear layers with a ReLU, saved as `score.0` and `score.2`."""
    from safetensors.torch import load_file

    if not Path(model).is_dir():
        raise ArtifactError(f"{model}: {QWEN} is loaded from a folder; download it first")
    config = AutoConfig.from_pretrained(model)
    size = config.get_text_config().hidden_size
    head = torch.nn.Sequential(torch.nn.Linear(size, size), torch.nn.ReLU(), torch.nn.Linear(size, 2))
    found = _Classifier(AutoModel.from_config(config), head)
    weights: dict[str, torch.Tensor] = {}
    for path in sorted(Path(model).glob("*.safetensors")):
        weights |= load_file(path)
    named = {name.replace("model.", "body.", 1).replace("score.", "head.", 1): one for name, one in weights.items()}
    found.load_state_dict({name: one for name, one in named.items() if not name.startswith("lm_head.")})
    return found.to(dtype)
