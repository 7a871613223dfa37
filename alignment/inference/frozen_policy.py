"""FrozenPolicy: a policy that is not trained any more, and the log-probs that it gives other policies' answers.

Neighbours: rollout/scorers/fluency.py, step_logprobs.py and generative_verifier.py (who ask), adapters.py (policies that are
an adapter), by_length.py (batches).
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoConfig

from alignment.core.errors import ArtifactError
from alignment.core.precision import Precision
from alignment.inference.adapters import load_whole
from alignment.inference.by_length import padded_batches
from alignment.inference.precision import scoring_dtype
from alignment.inference.weights.unsharded import unsharded

LOGITS = 1 << 27  # numbers of a pass's logits: 512 MiB in float32


class FrozenPolicy:
    """A policy from a folder or hub id, an adapter on its base included, in inference mode. Raises as `load_whole`."""

    def __init__(self, policy: str, precision: Precision = "auto", *, trust_remote_code: bool = False) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        with unsharded():
            loaded = load_whole(policy, dtype=scoring_dtype(precision), trust_remote_code=trust_remote_code)
        self._model = loaded.to(self._device).eval().requires_grad_(False)

    def logprobs(self, rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[list[float]]:
        """Log-prob (nats, temperature 1) of each completion token, for rows of prompt ids and completion ids."""
        whole = [[*prompt, *completion] for prompt, completion in rows]
        most = LOGITS // self._model.config.get_text_config().vocab_size
        found: dict[int, list[float]] = {}
        for places, ids_BT, mask_BT in padded_batches(whole, most, self._device):
            with torch.inference_mode():
                logits_BTV = self._model(input_ids=ids_BT, attention_mask=mask_BT, use_cache=False).logits[:, :-1]
                logits_BTV = logits_BTV.float()
                picked_BT = logits_BTV.gather(-1, ids_BT[:, 1:, None])[..., 0] - logits_BTV.logsumexp(-1)
            for row, place in enumerate(places):
                found[place] = picked_BT[row, len(rows[place][0]) - 1 : len(whole[place]) - 1].tolist()
        return [found[place] for place in range(len(rows))]

    def next_logprobs(self, prompts: Sequence[Sequence[int]], tokens: Sequence[int]) -> list[list[float]]:
        """Log-probs (nats, temperature 1) of each of these tokens, as what comes next after each prompt."""
        most = LOGITS // self._model.config.get_text_config().vocab_size
        found: dict[int, list[float]] = {}
        for places, ids_BT, mask_BT in padded_batches(prompts, most, self._device):
            ends_B = mask_BT.sum(-1) - 1
            with torch.inference_mode():
                logits_BTV = self._model(input_ids=ids_BT, attention_mask=mask_BT, use_cache=False).logits
                next_BV = logits_BTV[torch.arange(len(places), device=self._device), ends_B].float().log_softmax(-1)
            for place, row in zip(places, next_BV[:, list(tokens)].tolist(), strict=True):
                found[place] = row
        return [found[place] for place in range(len(prompts))]


def language_model_config(model: str, lack: str, *, trust_remote_code: bool) -> Any:
    """The config of a language model's folder or hub id. Raises ArtifactError for anything else.

    lack: what a classifier cannot do here, and what to name in its place.
    """
    try:
        config = AutoConfig.from_pretrained(model, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{model}: is no model folder ({error})") from error
    if any("Classification" in one for one in config.architectures or []):
        raise ArtifactError(f"{model}: is a classifier, {lack}")
    return config
