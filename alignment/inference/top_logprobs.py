"""Log-probs of the most likely tokens at each place of a text, from a vLLM server that runs already.

By `prompt_logprobs` of its completions API: the text's own token is always among them, whatever its rank. Neighbours:
recipe/blocks/teacher.py (the settings), training/distillation/served.py (who asks), rewards/posting.py (limits and
retries).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from alignment.core.errors import EngineError
from alignment.recipe.blocks.teacher import TeacherServer
from rewards.posting import Service

NO_TOKEN = -1  # the id that fills up a place with fewer tokens
BYTES_OF_A_TOKEN = 200  # of JSON for each token's log-prob, at most
ROUNDING = 1e-3  # by which probabilities may sum to more than 1


class TopLogprobsServer:
    """A model behind a server. model: its name in a recipe, for messages and where the server has no other name for it."""

    def __init__(self, settings: TeacherServer, model: str) -> None:
        self._settings, self._model = settings, settings.served_as or model
        self.top = settings.top_logprobs

    def of(self, texts: Sequence[Sequence[int]]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Ids and log-probs (nats, temperature 1) of the likely tokens at each place of texts of T token ids, both (T, top + 1).

        A place's own token is among them. Its first has none, and unused places hold NO_TOKEN and log-prob 0. Raises EngineError
        for a server that does not answer, refuses, or says what no model can.
        """
        longest = max((len(text) for text in texts), default=0)
        service = Service(
            url=f"{self._settings.base_url.rstrip('/')}/completions",
            key_env=self._settings.api_key_env,
            timeout_seconds=self._settings.timeout_seconds,
            concurrency=self._settings.concurrency,
            retries=self._settings.retries,
            largest_bytes=1_000_000 + longest * (self.top + 1) * BYTES_OF_A_TOKEN,
        )
        replies = service.ask([self._body(text) for text in texts])
        for reply in replies:
            if reply.value is None:
                raise EngineError(f"the teacher {self._model} gives no log-probs ({reply.reason}): {reply.detail}")
        return [self._read(text, reply.value or {}) for text, reply in zip(texts, replies, strict=True)]

    def _body(self, text: Sequence[int]) -> dict[str, Any]:
        return {
            "model": self._model,
            "prompt": list(text),
            "max_tokens": 1,
            "temperature": 0,
            "prompt_logprobs": self.top,
        }

    def _read(self, text: Sequence[int], reply: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """The tensors of one reply."""
        try:
            places = reply["choices"][0]["prompt_logprobs"]
            listed = [{int(name): float(one["logprob"]) for name, one in (place or {}).items()} for place in places]
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise self._lies("its answer has no prompt_logprobs, as vLLM's completions have") from error
        if len(listed) != len(text):
            raise self._lies(f"it answers {len(listed)} places for a text of {len(text)} tokens")
        for place, (token, found) in enumerate(zip(text, listed, strict=True)):
            if place and (token not in found or len(found) > self.top + 1):
                own = "" if token in found else "not "
                raise self._lies(f"place {place} has {len(found)} tokens, and the text's own is {own}one")
        listed[:1] = [{}]  # nothing stands before the first
        unused = [self.top + 1 - len(found) for found in listed]
        ids_TK = torch.tensor([[*found, *[NO_TOKEN] * rest] for found, rest in zip(listed, unused, strict=True)])
        logprobs_TK = torch.tensor(
            [[*found.values(), *[0.0] * rest] for found, rest in zip(listed, unused, strict=True)]
        )
        inside_T = logprobs_TK.exp().masked_fill(ids_TK == NO_TOKEN, 0).sum(-1)
        if len(beyond := (~(inside_T <= 1 + ROUNDING)).nonzero()):
            raise self._lies(f"the probabilities at place {int(beyond[0])} are more than 1 together")
        return ids_TK, logprobs_TK

    def _lies(self, what: str) -> EngineError:
        return EngineError(f"the teacher {self._model} at {self._settings.base_url} cannot be learned from: {what}")
