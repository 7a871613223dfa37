"""`alignment serve`: vLLM's OpenAI-compatible server on a policy, with modes and budgets as in `alignment chat`.

vLLM runs in its own processes, in the environment that run/process_environment.py gives a stage; all of them end with this
command. Neighbours: middleware.py and budget_processor.py (loaded by vLLM), records/policies.py (finds the policy).
"""

import json
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from alignment.core.console import open_console
from alignment.core.errors import EngineError, OptionError
from alignment.core.machine import visible_gpus
from alignment.evaluation.adaptive_budget.budget import load_adaptive
from alignment.inference.vllm.kind import vllm_fault
from alignment.recipe.blocks.engine import VllmOptions
from alignment.recipe.blocks.hardware import Hardware
from alignment.records.policies import Policy, named_policies, thinking_budget
from alignment.run.process_environment import environment
from alignment.run.processes import end_of_log, run
from alignment.serve.middleware import SETTINGS, ServerSettings

if TYPE_CHECKING:
    from alignment.inference.vllm.served_model import ServedModel

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAX_LENGTH_ON_CPU = 8192  # tokens of a conversation that fit into the KV cache of a CPU run
SAMPLING = {"temperature": 0.6, "top_p": 0.95, "top_k": 20}  # defaults for requests, the same as in `alignment chat`


@dataclass(frozen=True)
class ServeOptions:
    """The options of `alignment serve` as written; port 0 means any free port, `max_length` and `budget` are in tokens."""

    path: Path
    stage: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    max_length: int | None = None
    budget: int | None = None
    adaptive: Path | None = None


def serve_policy(options: ServeOptions) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises EngineError or OptionError before anything starts if it cannot work."""
    console = open_console()
    if fault := vllm_fault():
        raise EngineError(f"`alignment serve` needs vLLM, which cannot run here: {fault}")
    policy = named_policies(options.path, [] if options.stage is None else [options.stage])[0]
    port = _free_port(options)  # before what takes seconds
    if options.adaptive is not None:
        _check_adaptive(options.adaptive, options.budget, policy, console)
    served = _served(policy)
    if served.adapter is not None:
        console.print(
            f"requests name {policy.name}, the adapter; {policy.name}-base is the model under it", highlight=False
        )
    command = [*_vllm(policy, served, options), *_lengths(policy, options)]
    if options.host not in LOOPBACK:
        console.print(
            f"warning: on {options.host} everyone who reaches this machine can use the model; set VLLM_API_KEY to require "
            "a key, and put a TLS proxy in front",
            style="yellow", highlight=False, soft_wrap=True,
        )  # fmt: skip
    adaptive = None if options.adaptive is None else str(options.adaptive.resolve())
    settings = ServerSettings(native_budget=bool(visible_gpus()), budget=options.budget, adaptive=adaptive)
    env = {**environment(Hardware(), offline=True), SETTINGS: settings.as_text()}
    with tempfile.TemporaryDirectory(prefix="alignment-serve-") as scratch:
        log = Path(scratch) / "server.log"
        readiness = _Readiness(options.host, port, policy.name, log, console)
        ended = run(
            [*command, "--host", options.host, "--port", str(port)],
            log=log, progress=Path(scratch) / "progress.jsonl", env=env, on_tick=readiness.look,
        )  # fmt: skip
        served.close()
        if ended.interrupted:
            console.print("stopped", style="dim")
            return
        raise EngineError(f"vLLM's server ended with {ended.exit_status}; the end of its log:\n{end_of_log(log)}")


def _served(policy: Policy) -> "ServedModel":
    """What vLLM loads: the policy's folder, or of an adapter alone its base with the adapter, or a merged copy."""
    from alignment.inference.vllm.served_model import ServedModel

    return ServedModel.found(str(policy.folder), VllmOptions().resolved_dtype(on_gpu=bool(visible_gpus())))


def _named(policy: Policy, served: "ServedModel") -> list[str]:
    """vLLM's options for the model and the name under which requests find it: of an adapter, that of the LoRA module."""
    if served.adapter is None:
        return ["--model", served.path, "--served-model-name", policy.name]
    return [
        "--model", served.path, "--served-model-name", f"{policy.name}-base", "--tokenizer", str(policy.folder),
        "--generation-config", str(policy.folder), "--enable-lora", "--max-lora-rank", str(served.rank),
        "--lora-modules", f"{policy.name}={served.adapter}",
    ]  # fmt: skip


def _vllm(policy: Policy, served: "ServedModel", options: ServeOptions) -> list[str]:
    """vLLM's command without address and lengths. Raises EngineError for a model without think tokens or template."""
    stop = thinking_budget(options.path).stop_text
    template = _check_tokens(policy, stop)
    reasoning = {"reasoning_start_str": "<think>", "reasoning_end_str": stop}
    on_cpu = not visible_gpus()
    own_budget = ["--logits-processors", "alignment.serve.budget_processor:ThinkingBudget"]
    return [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server",
        *_named(policy, served),
        "--dtype", VllmOptions().resolved_dtype(on_gpu=not on_cpu),
        "--reasoning-parser", "qwen3", "--reasoning-config", json.dumps(reasoning),
        "--middleware", "alignment.serve.middleware.ThinkingRequests",
        "--override-generation-config", json.dumps(SAMPLING),
        "--disable-uvicorn-access-log",
        *tool_calls(template),
        # A seed and a long prompt read in pieces end vLLM 0.31 on a CPU.
        *(["--enforce-eager", "--no-enable-chunked-prefill", *own_budget] if on_cpu else []),
    ]  # fmt: skip


def _check_adaptive(path: Path, budget: int | None, policy: Policy, console: Console) -> None:
    if budget is not None:
        raise OptionError("--budget and --adaptive both set the budget of requests that have none; write one of them")
    if warning := load_adaptive(path).warning_for(policy.output_hash()):
        console.print(f"warning: {warning}", style="yellow", highlight=False)


def tool_calls(template: str) -> list[str]:
    """The options with which vLLM accepts `tools` in a request and parses calls, for a template that writes Qwen's form.

    vLLM refuses a request with tools without them. Its parser `hermes` reads `<tool_call>{...}</tool_call>`.
    """
    return ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"] if "<tool_call>" in template else []


def _check_tokens(policy: Policy, stop: str) -> str:
    """The chat template, after a check, before vLLM's slow start, of what the reasoning parser and the budget need.

    Raises EngineError.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(policy.folder)
    tags = [tag for tag in ("<think>", "</think>") if len(tokenizer(tag, add_special_tokens=False)["input_ids"]) != 1]
    if tags:
        raise EngineError(
            f"{policy.folder}: {' and '.join(tags)} is not a single token of this tokenizer, so thinking and answer "
            "cannot be separated; write `add_tokens: [<think>, </think>]` at the top of the recipe and train with them"
        )
    if not tokenizer.chat_template:
        raise EngineError(
            f"{policy.folder}: there is no chat template, so messages cannot be rendered; write `chat_template: qwen3` at "
            "the top of the recipe"
        )
    if "</think>" not in stop:
        raise EngineError(f"thinking_budget.stop_text {stop!r} has no </think>, so thinking would never end; add it")
    return str(tokenizer.chat_template)


def _lengths(policy: Policy, options: ServeOptions) -> list[str]:
    if options.max_length is not None:
        return ["--max-model-len", str(options.max_length)]
    facts = json.loads((policy.folder / "config.json").read_text(encoding="utf-8"))
    longest = int(facts.get("max_position_embeddings", MAX_LENGTH_ON_CPU))
    return [] if visible_gpus() else ["--max-model-len", str(min(longest, MAX_LENGTH_ON_CPU))]


def _free_port(options: ServeOptions) -> int:
    """The port to listen on; a free one for 0. Raises OptionError if it is taken or not permitted."""
    try:
        family = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # as servers do, so that a port in TIME_WAIT can be used
            probe.bind((options.host, options.port))
            return int(probe.getsockname()[1])
    except OSError as error:
        raise OptionError(
            f"{options.host}:{options.port} cannot be listened on ({error.strerror or error}); write another --port, or 0 "
            "for any free one"
        ) from error


class _Readiness:
    """Polls the server's health while it starts; prints once that it is ready, with example requests."""

    def __init__(self, host: str, port: int, model: str, log: Path, console: Console) -> None:
        self._reached = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)  # noqa: S104
        self._base, self._model, self._log, self._console = f"http://{self._reached}:{port}", model, log, console
        self._started, self._asked, self._ready = time.monotonic(), 0.0, False
        self._console.print(f"starting vLLM on {model}; on a CPU this takes half a minute ...", highlight=False)

    def look(self) -> None:
        """Poll at most twice a second."""
        if self._ready or time.monotonic() - self._asked < 0.5:
            return
        self._asked = time.monotonic()
        try:
            with urllib.request.urlopen(f"{self._base}/health", timeout=1):  # noqa: S310  our own address
                self._ready = True
        except (urllib.error.URLError, OSError):
            return
        seconds = time.monotonic() - self._started
        self._console.print(
            examples(f"{self._base}/v1", self._model), highlight=False, markup=False, soft_wrap=True, end=""
        )
        self._console.print(f"ready after {seconds:.0f} s at {self._base}/v1; log: {self._log}; Ctrl-C ends it",
                            highlight=False, markup=False, soft_wrap=True)  # fmt: skip


def examples(base: str, model: str) -> str:
    """Example requests, with curl and in Python."""
    body = {"model": model, "messages": [{"role": "user", "content": "12 + 7 - 4 ="}], "thinking_token_budget": 64}
    return f"""
curl {base}/chat/completions -H 'Content-Type: application/json' \\
  -d '{json.dumps(body)}'

from openai import OpenAI
client = OpenAI(base_url="{base}", api_key="none")
done = client.chat.completions.create(
    model="{model}",
    messages=[{{"role": "user", "content": "12 + 7 - 4 ="}}],
    extra_body={{"thinking_token_budget": 64, "chat_template_kwargs": {{"enable_thinking": True}}}},
)
print(done.choices[0].message.reasoning, done.choices[0].message.content)

"""
