"""TextClassifier: scores of one label for texts, by a model in transformers' sequence-classification form.

With one label the score is the model's number (fineweb-edu's grade), with several that exclude each other the label's
probability, and with several that do not (`problem_type: multi_label_classification`) the label's own probability.
Neighbours: reward_model.py (a conversation by a chat template), by_length.py (batches), data_factory/filters/classified.py.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from alignment.core.errors import ArtifactError
from alignment.inference.by_length import padded_batches
from alignment.inference.weights.unsharded import unsharded

BATCH_TOKENS = 16_384  # of one forward pass, padding included


class TextClassifier:
    """A classifier, frozen and in inference mode.

    model: a folder or hub id in safetensors; no code that comes with it is run. label: whose score is asked for, None for the
    only one. Raises ArtifactError if it is no such model, or has no such label.
    """

    def __init__(self, model: str, label: str | None, max_length: int, revision: str | None = None) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        where = {"revision": revision} if revision is not None else {}
        try:
            config = AutoConfig.from_pretrained(model, **where)
            self._label = _place(model, config, label)
            self._tokenizer = AutoTokenizer.from_pretrained(model, **where)
            with unsharded():
                loaded = AutoModelForSequenceClassification.from_pretrained(
                    model, use_safetensors=True, dtype=torch.float32, **where
                )
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{model}: cannot be loaded as a classifier ({error})") from error
        self._model = loaded.to(self._device).eval().requires_grad_(False)
        self._kind, self._labels, self._pad = config.problem_type, int(config.num_labels), config.pad_token_id
        own = int(self._tokenizer.model_max_length), int(getattr(config, "max_position_embeddings", 1 << 30))
        self._longest = min(max_length, *own)

    def scores(self, texts: Sequence[str]) -> list[list[tuple[float, int]]]:
        """For each text the score and the number of tokens of each of its windows; of an empty text, no windows."""
        windows = [(place, ids) for place, text in enumerate(texts) for ids in self._windows(text)]
        found: list[list[tuple[float, int]]] = [[] for _ in texts]
        most = BATCH_TOKENS if self._pad is not None else 1  # without a pad token texts cannot share a pass
        scored: dict[int, float] = {}
        for places, ids_BT, mask_BT in padded_batches([ids for _, ids in windows], most, self._device, self._pad or 0):
            with torch.inference_mode():
                logits_BL = self._model(input_ids=ids_BT, attention_mask=mask_BT).logits
            scored.update(zip(places, self._score(logits_BL.float()).tolist(), strict=True))
        for number, (place, ids) in enumerate(windows):
            found[place].append((scored[number], len(ids)))
        return found

    def _windows(self, text: str) -> list[list[int]]:
        if not text.strip():
            return []
        cut = self._tokenizer(text, truncation=True, max_length=self._longest, return_overflowing_tokens=True)
        ids = cut["input_ids"]
        return [ids] if ids and isinstance(ids[0], int) else list(ids)

    def _score(self, logits_BL: torch.Tensor) -> torch.Tensor:
        """(B,): the number of a model with one label, else the probability of the label."""
        if self._labels == 1:
            return logits_BL[:, 0]
        several = self._kind == "multi_label_classification"
        return (logits_BL.sigmoid() if several else logits_BL.softmax(-1))[:, self._label]


def _place(model: str, config: Any, label: str | None) -> int:
    """The number of a label. Raises ArtifactError where the model is no classifier of sequences, or has no such label."""
    architecture = (config.architectures or ["not named"])[0]
    if "SequenceClassification" not in architecture:
        raise ArtifactError(
            f"{model}: its architecture is {architecture}, and a classifier is one for sequence classification"
        )
    names = [str(config.id2label[number]) for number in range(config.num_labels)]
    if label is None and len(names) == 1:
        return 0
    if label not in names:
        raise ArtifactError(f"{model}: found the label {label}, and it has {', '.join(names)}; write one of them")
    return names.index(label)
