"""Engine over vLLM servers that all ranks of a stage share, and that take new weights.

Seeds belong to requests, so that servers give what one engine in this process gives, whichever answers. The servers'
weight version is read before each call and after it: rows of other weights are never returned as these weights' own in
silence. Completions that are under way while weights change go on with the new ones (gate.py), from any thread.
Neighbours: launch.py, fleet.py, calls.py, requests.py, and inference/vllm/weights/server.py (weights).
"""

import atexit
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from alignment.core.errors import EngineError
from alignment.core.machine import visible_gpus
from alignment.inference.adapters import merged_copy
from alignment.inference.engine import EngineSettings, Generation, GenerationRequest, SamplingSettings
from alignment.inference.ranks import Ranks
from alignment.inference.sampler import joined
from alignment.inference.vllm.server.calls import Call
from alignment.inference.vllm.server.client import ServerClient, ServerLost
from alignment.inference.vllm.server.fleet import Fleet, Server
from alignment.inference.vllm.server.gate import Gate
from alignment.inference.vllm.server.launch import LaunchedServer
from alignment.inference.vllm.server.place import new_key, places
from alignment.inference.vllm.server.requests import (
    GENERATE,
    continued,
    generate_body,
    generation_of,
    logprobs_body,
    logprobs_of,
    of_adapter,
    was_interrupted,
    without_half_a_stop_text,
)
from alignment.inference.vllm.weights.server import ServerTransfer
from alignment.inference.vllm.weights.server_adapter import NAME, AdapterTransfer
from alignment.inference.weights.stored import stored_weights
from alignment.recipe.blocks.engine import VllmServerOptions
from alignment.records.adapter import is_adapter_alone

if TYPE_CHECKING:
    import torch


DRAIN_SECONDS = 0.5  # in which servers answer what they were told to end


def whole(settings: EngineSettings) -> "tuple[EngineSettings, tempfile.TemporaryDirectory[str] | None]":
    """The settings with a whole model in place of a folder that holds an adapter alone, and the folder that it is in."""
    if not is_adapter_alone(Path(settings.model)):
        return settings, None
    merged = merged_copy(settings.model, trust_remote_code=settings.trust_remote_code)
    return replace(settings, model=merged.name), merged


class ServerPool:
    """Engine on servers. Collective where a stage has several ranks: start it, load weights and close it on each."""

    name = "vllm_server"

    def __init__(self, settings: EngineSettings) -> None:
        options = cast(VllmServerOptions, settings.options)
        self._options, self._ranks, self._gate = options, Ranks(), Gate()
        self._settings, self._merged = whole(settings)
        self._folder: Path | None = None
        self.weight_version, self._version = 0, ""
        self._transfer: ServerTransfer | AdapterTransfer | None = None
        launched: list[LaunchedServer] = []
        found = self._ranks.from_first(lambda: self._started(launched))
        servers = [
            Server(number + 1, len(found), place, ServerClient(address, key), launched[number] if launched else None)
            for number, (address, place, key) in enumerate(found)
        ]
        self._fleet = Fleet(servers, options.patience_seconds)
        atexit.register(self.close)  # a training stage ends without closing its engine
        self._threads = ThreadPoolExecutor(options.max_sequences * len(servers), thread_name_prefix="completion")
        try:
            self._version = self._ranks.from_first(self._first_version)
            if options.endpoints:  # they may hold any weights, and are sent those of version 0
                self.weight_version = -1
                self.load_weights(stored_weights(self._settings.model))
        except EngineError:
            self.close()
            raise

    def generate(
        self, requests: Sequence[GenerationRequest], settings: SamplingSettings
    ) -> Iterator[tuple[int, Generation]]:
        """Sample on the servers with the least to do; see Engine.generate."""
        if not requests:
            return
        self._refuse_other_weights()

        def sample(server: Server, number: int) -> Generation:
            return self._sampled(server, requests[number], settings)

        call = Call(self._fleet, sample, len(requests), self._options.max_sequences)
        left = len(requests)
        try:
            for number, made in call.results(self._threads):
                left -= 1
                yield number, made
        finally:
            if left:  # whoever asked has enough, or a request failed
                call.give_up()
                for server in self._fleet.servers:
                    server.client.drop()
        self._refuse_other_weights()

    def _sampled(self, server: Server, request: GenerationRequest, settings: SamplingSettings) -> Generation:
        """A completion from one server, in as many parts as it has versions of the weights. Raises ServerLost."""
        thinking, asked, whole, part = self._settings.thinking, request, None, 0
        while True:
            with self._gate.passed():
                body = generate_body(asked, settings, self._settings.stop_ids, self._budget(asked))
                answer = server.client.ask("POST", GENERATE, of_adapter(body, self._adapter))
                version = self.weight_version
            made = generation_of(asked, answer, thinking)
            interrupted = was_interrupted(answer)
            made = replace(without_half_a_stop_text(made, thinking) if interrupted else made, request=request)
            made = replace(made, versions=((0, version),) if made.token_ids else ())
            whole = made if whole is None else joined(whole, made)
            if not interrupted or len(whole.token_ids) >= request.max_tokens:
                return whole
            part += 1
            asked = continued(asked, made, thinking, part)

    def logprobs(self, sequences: Sequence[list[int]]) -> list[list[float]]:
        """Log-probs by the first server that answers; see Engine.logprobs. Of an adapter: collective.

        vLLM 0.31 cannot score two prompts at once through an adapter: its engine ends. So ranks and sequences take turns.
        """

        def scored(ids: list[int]) -> list[float]:
            body = of_adapter(logprobs_body(ids), self._adapter)
            return self._from_any(lambda server: logprobs_of(ids, server.client.ask("POST", GENERATE, body)))

        if self._settings.adapter is not None:
            return self._ranks.in_turn(lambda: [scored(ids) for ids in sequences])
        return list(self._threads.map(scored, sequences))

    def load_weights(self, weights: "Iterable[tuple[str, torch.Tensor]]") -> int:
        """Send weights to all servers, from the first rank; see Engine.load_weights. Collective.

        Completions that are under way in other threads, on any rank, wait and go on with the new weights.
        """
        self._gate.close()
        try:
            self._ranks.together()  # no rank asks for more
            self._interrupt()
            self._ranks.together()  # nothing is under way
            self.weight_version += 1
            if not self._ranks.is_first:
                for _ in weights:  # sharded, they are gathered on all ranks
                    pass
            self._version, lost = self._ranks.from_first(lambda: self._sent(iter(weights)))
        finally:
            self._gate.open()
        for server in self._fleet.servers:
            if server.number in lost:
                self._fleet.lose(server, "was given up by rank 0")
        return self.weight_version

    def _interrupt(self) -> None:
        """Make the servers answer what this rank has asked for, with what they have. One that hangs is given up in time."""
        while not self._gate.is_empty(0.0):
            self._fleet.everywhere("/pause?mode=abort", None, "completions to be interrupted")
            if self._gate.is_empty(DRAIN_SECONDS):
                return  # else a request was still on its way to its server

    def rest(self) -> None:
        """Nothing: servers have devices of their own."""

    def close(self) -> None:
        """End the servers that were started here, and free what weights were sent from."""
        atexit.unregister(self.close)
        self._gate.open()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._fleet.close()
        if self._transfer is not None:
            self._transfer.close()
        if self._merged is not None:
            self._merged.cleanup()
        if self._folder is not None and not any(server.lost for server in self._fleet.servers):
            shutil.rmtree(self._folder, ignore_errors=True)

    def _started(self, launched: list[LaunchedServer]) -> list[tuple[str, str, str]]:
        """Address, place and key of each server: those that run already, or those that are started now."""
        options = self._options
        if options.endpoints:
            key = os.environ.get(options.key_variable, "")
            return [(address.rstrip("/"), "an endpoint", key) for address in options.endpoints]
        held = self._settings.processes if self._settings.weights_change else 0
        where = places(visible_gpus(), held, options.workers, options.gpus_each)
        self._folder, key = Path(tempfile.mkdtemp(prefix="alignment-servers-")), new_key()
        try:
            for number, place in enumerate(where):
                launched.append(LaunchedServer(self._settings, place, key, self._folder / f"worker-{number + 1}.log"))
            for server in launched:
                server.wait()
        except (EngineError, KeyboardInterrupt):
            for server in launched:
                server.end(at_once=True)
            raise
        return [(server.address, place.words, key) for server, place in zip(launched, where, strict=True)]

    def _first_version(self) -> str:
        """What the servers call their weights before any were sent. Raises EngineError where one does not answer."""
        try:
            versions = {server.version() for server in self._fleet.servers}
        except ServerLost as error:
            raise EngineError(f"an engine worker does not answer: {error}") from error
        return versions.pop() if len(versions) == 1 else ""

    def _sent(self, weights: "Iterator[tuple[str, torch.Tensor]]") -> tuple[str, list[int]]:
        """Send weights; the name of their version, and the numbers of the servers that were lost."""
        if self._transfer is None:
            self._transfer = self._new_transfer(secrets.token_hex(4))
        try:
            self._transfer.begin(self.weight_version)
            self._transfer.send(weights)
            self._transfer.finish()
        finally:
            for _ in weights:  # after a failure the other ranks still gather theirs
                pass
        return self._transfer.name, [server.number for server in self._fleet.servers if server.lost]

    def _new_transfer(self, prefix: str) -> ServerTransfer | AdapterTransfer:
        """How weights travel; the names of their versions begin with the prefix."""
        if self._settings.adapter is not None and self._folder is not None:
            return AdapterTransfer(self._fleet, self._settings.adapter, self._folder, prefix)
        dtype = self._options.resolved_dtype(on_gpu=bool(visible_gpus()))
        return ServerTransfer(self._fleet, self._options.weight_transfer, dtype, prefix)

    @property
    def _adapter(self) -> str | None:
        """The adapter that is asked, once one was sent."""
        return NAME if self._settings.adapter is not None and self.weight_version else None

    def _refuse_other_weights(self) -> None:
        """Raise EngineError if a server holds other weights than were sent to it last."""
        for server in self._fleet.alive():
            try:
                with self._gate.passed():
                    found, sent = server.version(), self._version
            except ServerLost as error:
                self._fleet.lose(server, str(error))
                continue
            if found != sent:
                raise EngineError(
                    f"{server.title} holds weights of version {found!r}, and {sent!r} was sent to it: what it "
                    "samples is another policy's. Is another run using this server?"
                )
        self._fleet.alive()

    def _budget(self, request: GenerationRequest) -> int | None:
        if self._settings.thinking is None:
            return None
        return self._settings.max_length if request.most_thinking is None else request.most_thinking

    def _from_any(self, ask: Any) -> Any:
        """An answer of the first server that gives one. Raises EngineError if none does."""
        for server in self._fleet.alive():
            self._fleet.begun(server)
            try:
                return ask(server)
            except ServerLost as error:
                self._fleet.lose(server, str(error))
            finally:
                self._fleet.done(server)
        self._fleet.alive()
        raise EngineError("no engine worker answers")
