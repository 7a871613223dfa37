"""A teacher behind a server: with every token listed it teaches as one in this process does, and what it cannot say ends the stage."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from alignment.checks.recipe import checked
from alignment.core.errors import EngineError, RecipeError
from alignment.core.machine import core_groups
from alignment.inference.top_logprobs import NO_TOKEN, TopLogprobsServer
from alignment.inference.vllm.server.judge import JudgeModel, judge_command
from alignment.inference.vllm.server.place import Place, free_port
from alignment.recipe.blocks.engine import VllmServerOptions, engine_options
from alignment.recipe.blocks.hardware import Hardware
from alignment.recipe.blocks.teacher import TeacherServer
from alignment.run.judges.served import JudgeProcess
from alignment.run.plan import RunPlan
from alignment.run.process_environment import environment
from alignment.training.distillation.divergences import FORWARD_KL, REVERSE_KL, divergence, with_rest
from alignment.training.main import train
from alignment.training.stages import distill
from distillation.small_stage import context_of, recipe, write_model
from distillation.teacher_server import KEY, served


@pytest.fixture(autouse=True)
def on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": "", "TEACHER_KEY": KEY}.items():
        monkeypatch.setenv(name, value)


def trained(folder: Path, name: str, **fields: Any) -> dict[str, torch.Tensor]:
    context = context_of(recipe(folder, **fields), folder / name)
    train(context, distill.build)
    return load_file(context.folder.output / "model.safetensors")


@pytest.mark.parametrize(
    ("name", "lora"), [("reverse_kl", {}), ("jsd", {}), ("forward_kl", {"lora": {"rank": 4, "alpha": 8}})]
)
def test_a_teacher_that_lists_every_token_teaches_as_one_in_this_process(tmp_path: Path, name: str, lora: Any) -> None:
    fields = {"divergence": name, **lora}
    alone = trained(tmp_path, "alone", **fields)
    with served(tmp_path / "teacher") as (teacher, url):
        block = {
            "model": str(tmp_path / "teacher"),
            "server": {"base_url": url, "top_logprobs": 512, "api_key_env": "TEACHER_KEY", "served_as": "large"},
        }
        over_http = trained(tmp_path, "over_http", teacher=block, **fields)
    assert {body["model"] for body in teacher.asked} == {"large"} and len(teacher.asked) == 8
    before = load_file(tmp_path / "student" / "model.safetensors")
    moved = max(float((alone[key] - before[key]).abs().max()) for key in before)
    assert moved > 1e-3, "it was trained"
    assert max(float((alone[key] - over_http[key]).abs().max()) for key in alone) < 0.01 * moved


def test_few_listed_tokens_teach_as_well_and_the_server_may_be_away_for_a_while(tmp_path: Path) -> None:
    path = recipe(tmp_path)
    with served(tmp_path / "teacher") as (teacher, url):
        teacher.failing = 3
        server = {"base_url": url, "top_logprobs": 40, "api_key_env": "TEACHER_KEY"}
        block = {"model": str(tmp_path / "teacher"), "server": server}
        trainer = {"max_steps": 12, "learning_rate": 2.0e-2}
        path = recipe(tmp_path, teacher=block, trainer=trainer)
        context = context_of(path, tmp_path / "run")
        train(context, distill.build)
    lines = [json.loads(line) for line in context.folder.metrics.read_text(encoding="utf-8").splitlines()]
    assert lines[-1]["reverse_kl"] < 0.8 * lines[0]["reverse_kl"]
    assert 0 < lines[0]["student_entropy"] < 512


def test_the_divergence_of_listed_tokens_is_at_most_the_whole_and_the_same_with_all_of_them() -> None:
    draw = torch.Generator().manual_seed(0)
    student_NV, teacher_NV = (2 * torch.randn(50, 30, generator=draw).double() for _ in range(2))
    for beta in (FORWARD_KL, 0.3, REVERSE_KL):
        whole_N, before_N = divergence(student_NV, teacher_NV, beta), torch.zeros(50)
        for count in (1, 5, 29):
            ids_NK = teacher_NV.topk(count).indices
            there_NK = torch.ones_like(ids_NK, dtype=torch.bool)
            one, other = (
                with_rest(logits.log_softmax(-1).gather(-1, ids_NK), there_NK) for logits in (student_NV, teacher_NV)
            )
            found_N = divergence(one, other, beta)
            assert (found_N <= whole_N + 1e-9).all() and (found_N >= before_N - 1e-9).all(), "more tokens say more"
            before_N = found_N
        torch.testing.assert_close(before_N, whole_N)  # of 29 listed tokens the 30th is the rest


def asked(url: str, **settings: Any) -> TopLogprobsServer:
    return TopLogprobsServer(
        TeacherServer(base_url=url, api_key_env="TEACHER_KEY", retries=0, top_logprobs=3, **settings), "it"
    )


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (lambda reply: {"choices": [{"text": "no"}]}, "has no prompt_logprobs"),
        (lambda reply: {"choices": [{"prompt_logprobs": reply["choices"][0]["prompt_logprobs"][:-1]}]}, "4 places for a text of 5"),
        (lambda reply: {"choices": [{"prompt_logprobs": [None] + [{"9": {"logprob": -0.1}}] * 4}]}, "text's own is not one"),
        (lambda reply: {"choices": [{"prompt_logprobs": [None] + [{str(n): {"logprob": 0.0} for n in (5, 6, 7, 8)}] * 4}]}, "more than 1 together"),
    ],
)  # fmt: skip
def test_an_answer_that_no_model_can_give_is_refused(tmp_path: Path, says: Any, words: str) -> None:
    with served(write_model(tmp_path / "teacher")) as (teacher, url):
        ids_TK, logprobs_TK = asked(url).of([[5, 6, 7, 8, 5]])[0]
        assert ids_TK.shape == logprobs_TK.shape == (5, 4) and ids_TK[0].tolist() == [NO_TOKEN] * 4
        assert all(token in row for token, row in zip([6, 7, 8, 5], ids_TK[1:].tolist(), strict=True))
        teacher.says = says
        with pytest.raises(EngineError, match=words):
            asked(url).of([[5, 6, 7, 8, 5]])


def test_a_server_that_is_not_there_or_wants_a_key_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(write_model(tmp_path / "teacher")) as (_, url):
        monkeypatch.setenv("TEACHER_KEY", "another")
        with pytest.raises(EngineError, match=r"gives no log-probs \(http_error\): .* answers 401"):
            asked(url).of([[5, 6]])
        monkeypatch.delenv("TEACHER_KEY")
        with pytest.raises(EngineError, match="TEACHER_KEY holds no key"):
            asked(url).of([[5, 6]])
    monkeypatch.setenv("TEACHER_KEY", KEY)
    with pytest.raises(EngineError, match="unreachable"):
        asked(url).of([[5, 6]])


def test_what_cannot_work_is_said_before_the_stage(tmp_path: Path) -> None:
    teacher = {
        "model": str(tmp_path / "teacher"),
        "server": {"base_url": "http://10.0.0.7:8000/v1", "api_key_env": "K"},
    }
    with pytest.raises(RecipeError, match=r"a key would be sent unencrypted; write https://"):
        checked(recipe(tmp_path, teacher=teacher), [])
    with pytest.raises(RecipeError, match="a server holds a model"):
        checked(recipe(tmp_path, teacher={"stage": "learn", "server": {"base_url": "http://127.0.0.1/v1"}}), [])


def test_where_a_server_is_does_not_make_another_stage_of_it(tmp_path: Path) -> None:
    def identity(**server: Any) -> Any:
        block = {"model": str(tmp_path / "teacher"), "server": {"base_url": "http://127.0.0.1:1/v1", **server}}
        plan = RunPlan.load(recipe(tmp_path, teacher=block), [], tmp_path / "run")
        return plan.identity("learn")

    assert identity() == identity(base_url="http://127.0.0.1:2/v1", concurrency=3)
    assert identity() != identity(top_logprobs=5)


@pytest.mark.long
def test_vllm_lists_what_plain_transformers_computes(tmp_path: Path) -> None:
    folder, port = (
        write_model(tmp_path / "teacher", hidden=64, num_attention_heads=2, head_dim=32),
        free_port("127.0.0.1"),
    )
    options = engine_options("vllm_server")
    place = Place(cores=tuple(core_groups(1)[0]))
    model = JudgeModel("large", str(folder), 64, cast(VllmServerOptions, options))
    server = JudgeProcess(
        name="large", served_as="large", command=lambda: judge_command(model, place, port), address=f"http://127.0.0.1:{port}",
        key=KEY, place=place, log=tmp_path / "vllm.log", patience_seconds=300, restarts=0,
        inherited=environment(Hardware(), offline=True),
    )  # fmt: skip
    draw = torch.Generator().manual_seed(1)
    texts = [torch.randint(20, 400, (length,), generator=draw).tolist() for length in (2, 17, 40)]
    settings = TeacherServer(
        base_url=f"http://127.0.0.1:{port}/v1", api_key_env="TEACHER_KEY", served_as="large", top_logprobs=7, retries=20
    )
    server.start()
    try:
        found = TopLogprobsServer(settings, "it").of(texts)
    finally:
        server.end()
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    for ids, (ids_TK, logprobs_TK) in zip(texts, found, strict=True):
        with torch.no_grad():
            wanted_TV = plain(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        for place_, (of_place, values) in enumerate(zip(ids_TK[1:], logprobs_TK[1:], strict=True)):
            there = of_place != NO_TOKEN
            torch.testing.assert_close(values[there], wanted_TV[place_][of_place[there]], atol=1e-3, rtol=0)
            assert {*wanted_TV[place_].topk(5).indices.tolist(), ids[place_ + 1]} <= set(of_place[there].tolist())
