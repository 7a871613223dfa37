"""RewardModel: one number for a conversation, by a model for sequence classification with one label.

It loads what a reward_model stage leaves, or any such folder or hub id in safetensors, and renders a conversation with
its own tokenizer as the stage rendered it in training. Neighbours: process_model.py (the same for steps),
data/chat/template.py.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from alignment.core.errors import ArtifactError, DataError
from alignment.core.vocabulary import Mode
from alignment.data.chat.template import inert, render_preference
from alignment.data.rows import Message, Preference, ToolSchema
from alignment.inference.by_length import padded_batches
from alignment.inference.precision import scoring_dtype
from alignment.inference.weights.unsharded import unsharded
from alignment.recipe.blocks.scorers import POOLING_FRACTION, ScorerEngine

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BATCH_TOKENS = 16_384  # of one forward pass, padding included


class Backend(Protocol):
    """What computes: rewards of token sequences. longest: tokens of a sequence that it reads."""

    longest: int

    def rewards(self, sequences: Sequence[Sequence[int]]) -> list[float]:
        """One number for each sequence, in order."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


class RewardModel:
    """A reward model, frozen and in inference mode, in transformers or in vLLM.

    gpu_memory_fraction: of a GPU's memory, what vLLM takes. Raises ArtifactError if it is none, or does not fit its tokenizer,
    and EngineError if vLLM cannot run it.
    """

    def __init__(
        self,
        model: str,
        engine: ScorerEngine = "transformers",
        *,
        gpu_memory_fraction: float = POOLING_FRACTION,
        trust_remote_code: bool = False,
    ) -> None:
        try:
            config = AutoConfig.from_pretrained(model, trust_remote_code=trust_remote_code)
            self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                model, trust_remote_code=trust_remote_code
            )
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{model}: cannot be loaded as a reward model ({error})") from error
        _refuse_other(model, config)
        text = config.get_text_config()
        _refuse_tokenizer(model, self.tokenizer, int(text.vocab_size))
        self._thinks = self._keeps_thinking()
        longest = int(getattr(text, "max_position_embeddings", 1 << 30))
        self._backend: Backend
        if engine == "vllm":
            from alignment.inference.vllm.pooling import VllmRewards

            self._backend = VllmRewards(model, longest, gpu_memory_fraction, trust_remote_code=trust_remote_code)
        else:
            self._backend = _Transformers(model, longest, text.pad_token_id, trust_remote_code=trust_remote_code)

    def rendered(self, messages: Sequence[Message], mode: Mode, tools: Sequence[ToolSchema] = ()) -> list[int]:
        """Token ids of a conversation that ends with an answer, exactly those that a reward_model stage trains on.

        What policies and tools wrote is made inert. A template that drops thinking sees the answer alone. Raises DataError
        if the conversation cannot be rendered so.
        """
        talk = [self._inert(one) for one in messages]
        if not talk or talk[-1]["role"] != "assistant":
            raise DataError("the conversation does not end with an answer")
        pair = Preference("scored", talk[:-1], talk[-1], talk[-1], mode, tools=list(tools))
        found = render_preference(self.tokenizer, pair)
        return [*found.prompt_ids, *found.chosen_ids]

    def fits(self, ids: Sequence[int]) -> bool:
        """Whether a conversation is no longer than the model reads."""
        return len(ids) <= self._backend.longest

    def scores(self, sequences: Sequence[Sequence[int]]) -> list[float]:
        """The reward of each sequence of token ids, in order."""
        return self._backend.rewards(sequences) if sequences else []

    def close(self) -> None:
        """Free the model."""
        self._backend.close()

    def _inert(self, message: Message) -> Message:
        """A message whose text cannot open or close a turn; without thinking where the template drops it."""
        cleaned = {
            key: inert(value, self.tokenizer) if key in ("content", "reasoning_content") and isinstance(value, str) else value
            for key, value in message.items()
        }  # fmt: skip
        if not self._thinks:
            cleaned.pop("reasoning_content", None)
        return cleaned

    def _keeps_thinking(self) -> bool:
        mark = "thinking is kept"
        talk: list[Message] = [
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": "!", "reasoning_content": mark},
        ]
        return mark in str(self.tokenizer.apply_chat_template(talk, tokenize=False))


class _Transformers:
    """Batches of about the same length, padded on the right: attention is causal, so padding changes nothing."""

    def __init__(self, model: str, longest: int, pad: int | None, *, trust_remote_code: bool) -> None:
        self.longest, self._pad = longest, pad
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            with unsharded():
                loaded = AutoModelForSequenceClassification.from_pretrained(
                    model, dtype=scoring_dtype(), use_safetensors=True, trust_remote_code=trust_remote_code
                )
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{model}: cannot be loaded as a reward model ({error})") from error
        self._model = loaded.to(self._device).eval().requires_grad_(False)

    def rewards(self, sequences: Sequence[Sequence[int]]) -> list[float]:
        """See Backend."""
        found: dict[int, float] = {}
        most = BATCH_TOKENS if self._pad is not None else 1  # without a pad token rows cannot share a pass
        for places, ids_BT, mask_BT in padded_batches(sequences, most, self._device, self._pad or 0):
            with torch.inference_mode():
                rewards_B = self._model(input_ids=ids_BT, attention_mask=mask_BT, use_cache=False).logits[:, 0]
            found.update(zip(places, rewards_B.float().tolist(), strict=True))
        return [found[place] for place in range(len(sequences))]

    def close(self) -> None:
        """See Backend."""
        del self._model


def _refuse_other(model: str, config: object) -> None:
    architecture = (getattr(config, "architectures", None) or ["not named"])[0]
    labels = int(getattr(config, "num_labels", 0))
    if "SequenceClassification" not in architecture or labels != 1:
        raise ArtifactError(
            f"{model}: its architecture is {architecture} with {labels} labels, and a reward model classifies sequences with "
            "one label; name the output of a reward_model stage"
        )


def _refuse_tokenizer(model: str, tokenizer: "PreTrainedTokenizerBase", rows: int) -> None:
    """A tokenizer that the weights were not made for gives ids without meaning, or past the end of the embedding."""
    if not tokenizer.chat_template:
        raise ArtifactError(
            f"{model}: its tokenizer has no chat template, so that nobody knows how it was shown conversations"
        )
    if len(tokenizer) > rows:
        raise ArtifactError(
            f"{model}: its tokenizer has {len(tokenizer)} tokens and its embedding {rows}; they are not of one model: copy the "
            "tokenizer that it was trained with"
        )
