"""`alignment serve` asked with the official client: thinking apart, flags and budgets as in chat, streaming, counts."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import AuthenticationError, BadRequestError, OpenAI

from alignment.data.chat.template import render_prompt
from alignment.inference.engine import GenerationRequest, SamplingSettings
from alignment.inference.sampler import Sampler
from alignment.inference.start import Serving, serve
from alignment.inference.vllm.kind import vllm_fault
from alignment.recipe.blocks.engine import engine_options
from alignment.recipe.blocks.sampling import ThinkingBudget
from alignment.records.adaptive import AdaptiveBudget, Bin, Probe, Target
from process_tree import descendants
from rewards.contract import split_thinking
from smoke.processes import alignment
from smoke.serving import Served, served
from thinking_policy import a_thinker

pytestmark = pytest.mark.skipif(vllm_fault() is not None, reason=str(vllm_fault()))
QUESTIONS = ("7 - 2 + 8 =", "9 + 4 =", "3 - 8 + 5 - 1 =")
STOP_TEXT = "\n\nTime is up.\n</think>\n\n"  # longer than what the policy itself ends its thinking with
TOKENS = 96
ASKED = "State the final answer to the following arithmetic problem: "


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose recipe has a stop text of its own; its one stage is the thinker."""
    from alignment.core.files import canonical_hash, folder_files, write_json
    from alignment.records.manifest import Manifest

    run = tmp_path_factory.mktemp("served")
    stage = run / "01-fusion"
    shutil.copytree(a_thinker(tmp_path_factory), stage / "output")
    files = folder_files(stage / "output")
    Manifest("fusion", "sft", {}, "", {}, files, canonical_hash(files), 0, 1.0).write(stage / "manifest.json")
    write_json(run / "run.json", {"recipe": "small"})
    (run / "recipe.yaml").write_text(
        f"evaluations:\n  thinking_budget: {{stop_text: {STOP_TEXT!r}}}\n".replace("'", '"')
    )
    return run


@pytest.fixture(scope="module")
def server(policy: Path) -> Iterator[Served]:
    with served(policy, "--stage", "fusion") as started:
        yield started


@pytest.fixture(scope="module")
def sampler(policy: Path) -> Sampler:
    """What `alignment chat` answers with."""
    return serve(str(policy / "01-fusion" / "output"), Serving(engine_options("transformers"), 128, TOKENS, STOP_TEXT))


@pytest.fixture(scope="module")
def stop_length(sampler: Sampler) -> int:
    """Tokens of the stop text that are inside the think block."""
    ids = sampler.tokenizer(STOP_TEXT, add_special_tokens=False)["input_ids"]
    return ids.index(sampler.tokenizer.convert_tokens_to_ids("</think>"))


def ask(server: Served, content: str, **extra: Any) -> Any:
    """One greedy answer to a problem, which may have flags beside it."""
    messages: list[Any] = [{"role": "user", "content": ASKED + content}]
    return server.client.chat.completions.create(
        model=server.model, messages=messages, temperature=0, max_tokens=TOKENS, extra_body=extra
    )


def test_the_stage_is_served_under_its_name_and_says_how_to_ask(server: Served) -> None:
    assert server.model == "fusion"
    said = server.said.read_text(encoding="utf-8")
    assert f"curl {server.base}/chat/completions" in said and f'OpenAI(base_url="{server.base}"' in said


def test_thinking_has_a_field_of_its_own_and_is_counted(server: Served, sampler: Sampler) -> None:
    done = ask(server, QUESTIONS[0])
    message = done.choices[0].message
    assert message.reasoning.strip() and message.content.strip() and done.choices[0].finish_reason == "stop"
    assert "think>" not in message.reasoning + message.content
    tokens = len(sampler.tokenizer(message.reasoning, add_special_tokens=False)["input_ids"])
    assert done.usage.completion_tokens_details.reasoning_tokens == tokens > 5
    assert done.usage.completion_tokens > tokens and done.usage.total_tokens > done.usage.completion_tokens


def test_a_system_turn_an_earlier_exchange_and_tools_reach_the_model(server: Served, sampler: Sampler) -> None:
    tool: dict[str, Any] = {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}
    tools: list[Any] = [{"type": "function", "function": tool}]
    turns: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1 + 1 ="},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": ASKED + QUESTIONS[0]},
    ]
    done = server.client.chat.completions.create(
        model=server.model, messages=turns, tools=tools, temperature=0, max_tokens=8
    )
    whole = len(render_prompt(sampler.tokenizer, turns, "thinking", flagged=False, tools=tools))
    # vLLM may write a tool's schema with further keys; without the tools the prompt would be half as long.
    assert (
        done.usage.prompt_tokens >= whole > 2 * len(render_prompt(sampler.tokenizer, turns, "thinking", flagged=False))
    )


@pytest.mark.parametrize("budget", [None, 0, 11, 20, 60])
def test_what_is_served_is_what_chat_answers(
    server: Served, sampler: Sampler, stop_length: int, budget: int | None
) -> None:
    for question in QUESTIONS:
        prompt = render_prompt(
            sampler.tokenizer, [{"role": "user", "content": ASKED + question}], "thinking", flagged=False
        )
        bound = ThinkingBudget(most=budget, stop_text=STOP_TEXT)
        (expected,) = sampler.sample([GenerationRequest(prompt, "thinking", bound, TOKENS)], SamplingSettings(0.0))
        extra = {} if budget is None else {"thinking_token_budget": budget}
        done = ask(server, question, **extra)
        message = done.choices[0].message
        thinking, answer = split_thinking(expected.text)
        assert ((message.reasoning or "").strip(), (message.content or "").strip()) == (thinking, answer)
        assert done.usage.completion_tokens == len(expected.token_ids)
        spent = done.usage.completion_tokens_details.reasoning_tokens
        if budget is not None:
            assert spent <= budget + stop_length and answer
            assert spent <= budget or message.reasoning.endswith("\n\nTime is up.\n")
            assert "Time is up" not in message.content


@pytest.mark.parametrize(
    ("content", "extra", "thinks"),
    [
        ("9 + 4 =", {}, True),
        ("9 + 4 =", {"chat_template_kwargs": {"enable_thinking": False}}, False),
        ("9 + 4 =", {"enable_thinking": False}, False),
        ("9 + 4 =", {"reasoning_effort": "none"}, False),
        ("9 + 4 = /no_think", {}, False),
        ("9 + 4 = /no_think", {"chat_template_kwargs": {"enable_thinking": True}}, False),
        ("/no_think 9 + 4 = /think", {}, True),
        ("9 + 4 = /think", {"chat_template_kwargs": {"enable_thinking": False}}, False),
        ("9 + 4 = /no_think", {"thinking_token_budget": 4}, False),
    ],
)
def test_switches_and_flags_are_obeyed(server: Served, content: str, extra: dict[str, Any], thinks: bool) -> None:
    done = ask(server, content, **extra)
    message = done.choices[0].message
    assert (message.reasoning is not None) is thinks
    assert message.content.strip() and "think>" not in message.content
    assert (done.usage.completion_tokens_details.reasoning_tokens > 0) is thinks


def test_a_flag_in_the_system_turn_counts_until_a_user_turn_says_otherwise(server: Served) -> None:
    for last, thinks in (("9 + 4 =", False), ("9 + 4 = /think", True)):
        turns: list[Any] = [
            {"role": "system", "content": "/no_think"},
            {"role": "user", "content": [{"type": "text", "text": ASKED + last}]},
        ]
        done = server.client.chat.completions.create(model=server.model, messages=turns, temperature=0)
        assert (done.choices[0].message.reasoning is not None) is thinks


@pytest.mark.parametrize("budget", [None, 4])
def test_a_stream_has_the_thinking_first_and_then_the_answer(server: Served, budget: int | None) -> None:
    extra = {} if budget is None else {"thinking_token_budget": budget}
    whole = ask(server, QUESTIONS[0], **extra)
    stream = server.client.chat.completions.create(
        model=server.model, messages=[{"role": "user", "content": ASKED + QUESTIONS[0]}], temperature=0, stream=True,
        max_tokens=TOKENS, stream_options={"include_usage": True}, extra_body=extra,
    )  # fmt: skip
    parts = list(stream)
    kinds, thinking, answer = [], "", ""
    for part in parts:
        for choice in part.choices:
            thought, said = getattr(choice.delta, "reasoning", None), choice.delta.content
            kinds += ["thinking"] * bool(thought) + ["answer"] * bool(said)
            thinking, answer = thinking + (thought or ""), answer + (said or "")
    assert len(kinds) > 5 and kinds == sorted(kinds, reverse=True), "thinking deltas come before answer deltas"
    assert (thinking, answer) == (whole.choices[0].message.reasoning, whole.choices[0].message.content)
    assert parts[-1].usage.completion_tokens == whole.usage.completion_tokens


@pytest.mark.parametrize("extra", [{"thinking_token_budget": -1}, {"thinking_token_budget": "many"},
                                   {"enable_thinking": "no"}, {"thinking_budget": 3, "thinking_token_budget": 4}])  # fmt: skip
def test_what_cannot_be_understood_is_refused_by_name(server: Served, extra: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError, match=next(iter(extra))):
        ask(server, "9 + 4 =", **extra)


def adaptive_file(folder: Path, probe: Probe, bins: list[Bin]) -> Path:
    found = AdaptiveBudget(stage="fusion", policy="another", task="t", probe=probe, bins=tuple(bins),
                           target=Target(tokens=4.0))  # fmt: skip
    found.write(folder / "adaptive.json")
    return folder / "adaptive.json"


def test_an_adaptive_budget_and_a_key_work_and_no_process_is_left_after_sigterm(
    policy: Path, tmp_path: Path, stop_length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "secret")
    greedy = Probe(kind="agreement", samples=2, sampling={"temperature": 0.01})  # so cold that both answers are one
    file = adaptive_file(
        tmp_path, greedy, [Bin(up_to=0.5, budget=50, problems=1), Bin(up_to=None, budget=4, problems=1)]
    )
    command = [sys.executable, "-m", "alignment.cli", "serve", str(policy), "--port", "0", "--adaptive", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        said = []
        for line in iter(process.stdout.readline, ""):
            said.append(line)
            if line.startswith("ready"):
                break
        assert "fitted on another policy" in "".join(said)
        base = said[-1].split(" at ")[1].split(";")[0]
        tree = descendants(process.pid)
        asked: dict[str, Any] = {"model": "fusion", "messages": [{"role": "user", "content": ASKED + QUESTIONS[0]}]}
        with pytest.raises(AuthenticationError):
            OpenAI(base_url=base, api_key="guess", max_retries=0).chat.completions.create(**asked)
        asking = OpenAI(base_url=base, api_key="secret", max_retries=0).chat.completions.with_raw_response
        done = asking.create(**asked, temperature=0)
        assert done.headers["x-thinking-budget"] == "4"
        assert done.parse().usage.completion_tokens_details.reasoning_tokens == 4 + stop_length
        own = asking.create(**asked, temperature=0, extra_body={"thinking_token_budget": 7})
        assert own.headers["x-thinking-budget"] == "7", "what a request says itself counts"
        plain = asking.create(**asked, temperature=0, extra_body={"enable_thinking": False})
        assert "x-thinking-budget" not in plain.headers
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    assert process.returncode == 0 and len(tree) >= 2
    until = time.monotonic() + 5
    while [number for number in tree if os.path.exists(f"/proc/{number}")] and time.monotonic() < until:
        time.sleep(0.1)
    assert [number for number in tree if os.path.exists(f"/proc/{number}")] == []


def test_chat_thinks_as_long_as_the_prompt_asks_for(policy: Path, tmp_path: Path, sampler: Sampler) -> None:
    turn = [{"role": "user", "content": ASKED + QUESTIONS[1]}]
    length = len(render_prompt(sampler.tokenizer, turn, "thinking", flagged=False))
    bins = [Bin(up_to=length, budget=3, problems=1), Bin(up_to=None, budget=5, problems=1)]
    file = adaptive_file(tmp_path, Probe(kind="prompt_tokens"), bins)
    command = [sys.executable, "-m", "alignment.cli", "chat", str(policy), "--adaptive", str(file)]
    turns = f"{ASKED}{QUESTIONS[1]}\n/budget 2\n{ASKED}{QUESTIONS[1]}\n/budget\n{ASKED}{QUESTIONS[1]}\n\n"
    done = subprocess.run(command, input=turns, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    spent = [line.rsplit("budget ", 1)[1] for line in done.stdout.splitlines() if line.startswith("thinking: ")]
    assert spent == ["3", "2", "5"], "the talk has grown longer when it is asked the third time"
    assert "fitted on another policy" in done.stdout and "budget: adaptive" in done.stdout


def test_what_cannot_work_is_said_before_vllm_starts(server: Served, policy: Path, tmp_path: Path) -> None:
    port = server.base.split(":")[2].split("/")[0]
    taken = alignment("serve", policy, "--port", port)
    assert taken.returncode == 2 and f"127.0.0.1:{port} cannot be listened on" in taken.stderr
    assert "Traceback" not in taken.stderr and "another --port" in taken.stderr
    nowhere = alignment("serve", tmp_path / "nowhere")
    assert nowhere.returncode == 1 and "Traceback" not in nowhere.stderr
