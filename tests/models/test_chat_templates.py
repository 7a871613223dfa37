"""The shipped chat templates: one text in each family's marks; ends, begin-of-text tokens and prompts that agree."""

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from families import FAMILIES, Family, family, tokenizer_of

from alignment.checks.recipe import checked
from alignment.core.errors import DataError, RecipeError
from alignment.core.resources import resource
from alignment.data.chat.template import (
    IGNORED,
    render_continuation,
    render_conversation,
    render_preference,
    render_prompt,
)
from alignment.data.chat.templates import (
    MARKS,
    shipped,
    suggested,
    template_identity,
    template_text,
    use_template,
    with_date,
)
from alignment.data.chat.turn_end import turn_end
from alignment.data.rows import Conversation, Preference
from alignment.recipe.schema import Recipe
from alignment.run.base_model import _prepare
from alignment.run.plan import RunPlan

USER = {"role": "user", "content": "What is 1 + 2?"}
SYSTEM = {"role": "system", "content": "Be brief."}
THOUGHT = {"role": "assistant", "reasoning_content": "One and two.", "content": "3"}
TALK = [USER, THOUGHT, {"role": "user", "content": "And 2 + 2?"}, {"role": "assistant", "content": "4"}]
SHARED = "{#- ---- the same in every template"
WITH_TEMPLATE = [one for one in FAMILIES if one.template is not None]


def prepared(chosen: Family, template: str | None) -> Any:
    tokenizer = tokenizer_of(chosen)
    if template is not None and (missing := use_template(tokenizer, template_text(template))):
        tokenizer.add_tokens(missing)
        use_template(tokenizer, template_text(template))
    return tokenizer


def test_the_templates_differ_in_their_marks_alone() -> None:
    texts = {name: template_text(name) for name in shipped() if name != "qwen3"}
    assert set(texts) | {"qwen3"} == {*MARKS, "olmo2"}
    assert len({text.partition(SHARED)[2] for text in texts.values()}) == 1
    assert all(SHARED in text and len(text.partition(SHARED)[0].splitlines()) <= 5 for text in texts.values())


@pytest.mark.parametrize("chosen", [family("Llama 3"), family("Granite")], ids=lambda one: one.name)
@pytest.mark.parametrize("talk", [TALK, [SYSTEM, *TALK], TALK[:1]], ids=["talk", "system", "question"])
def test_a_template_writes_what_qwen3s_writes_between_marks_of_its_own(chosen: Family, talk: list[Any]) -> None:
    own, chatml = prepared(chosen, chosen.template), prepared(chosen, "qwen3")
    marks = {
        "llama3": ("<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>"),
        "granite": ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>\n"),
    }
    start, middle, end = marks[str(chosen.template)]
    asked: dict[str, Any] = {"tokenize": False, "add_generation_prompt": talk == TALK[:1], "enable_thinking": False}
    expected = chatml.apply_chat_template(talk, **asked).removeprefix(chatml.bos_token or "")
    for role in ("system", "user", "assistant"):
        expected = expected.replace(f"<|im_start|>{role}\n", f"{start}{role}{middle}")
    found = own.apply_chat_template(talk, **asked).removeprefix("<|begin_of_text|>")
    assert found == expected.replace("<|im_end|>\n", end)


@pytest.mark.parametrize("chosen", WITH_TEMPLATE, ids=lambda one: one.name)
def test_an_answer_and_the_token_that_ends_it_carry_loss_and_nothing_else_does(chosen: Family) -> None:
    tokenizer = prepared(chosen, chosen.template)
    rendered = render_conversation(tokenizer, Conversation("a", TALK[:2], "thinking"))
    trained = tokenizer.decode([label for label in rendered.labels if label != IGNORED])
    assert trained == f"<think>\nOne and two.\n</think>\n\n3{turn_end(tokenizer)}"
    assert tokenizer.eos_token == turn_end(tokenizer)
    if tokenizer.bos_token_id is not None and chosen.adds_bos:
        assert rendered.input_ids.count(tokenizer.bos_token_id) == 1 and rendered.input_ids[0] == tokenizer.bos_token_id
    between = tokenizer.decode(render_continuation(tokenizer, [USER], thinks=True))
    assert "What is 1 + 2?" in between and not between.startswith(str(turn_end(tokenizer)))


@pytest.mark.parametrize("chosen", FAMILIES, ids=lambda one: one.name)
def test_a_training_prompt_of_dpo_is_the_prompt_of_a_rollout(chosen: Family) -> None:
    """Case 11: a tokenizer that adds a begin-of-text token, and a template that writes one."""
    tokenizer = tokenizer_of(chosen)
    answers = [{"role": "assistant", "content": text} for text in ("3", "4")]
    pair = render_preference(tokenizer, Preference("p", [USER], answers[0], answers[1], "non_thinking"))
    assert pair.prompt_ids == render_prompt(tokenizer, [USER], "non_thinking", flagged=False)
    assert pair.chosen_ids[-1] == pair.rejected_ids[-1] == tokenizer.convert_tokens_to_ids(turn_end(tokenizer))
    if chosen.adds_bos:
        assert pair.prompt_ids.count(tokenizer.bos_token_id) == 1
    assert pair.longest == len(pair.prompt_ids) + max(len(pair.chosen_ids), len(pair.rejected_ids))


def test_a_foreign_template_begins_with_the_token_that_the_model_was_trained_with() -> None:
    llama = prepared(family("Llama 3"), "qwen3")
    prompt = render_prompt(llama, [USER], "thinking", flagged=False)
    assert prompt[0] == llama.bos_token_id and prompt.count(llama.bos_token_id) == 1
    assert (llama.eos_token, turn_end(llama)) == ("<|im_end|>", "<|im_end|>"), "the token was added"
    qwen = prepared(family("Qwen2.5 (base)"), "qwen3")
    assert qwen.decode(render_prompt(qwen, [USER], "thinking", flagged=False)).startswith("<|im_start|>user")


@pytest.mark.parametrize(("name", "end"), [
    ("Qwen2.5 (base)", "<|im_end|>"), ("Gemma 3", "<end_of_turn>"), ("Phi-4-mini", "<|end|>"), ("Mistral", "</s>"),
    ("OLMo 2", "<|endoftext|>"), ("GPT-OSS", "<|return|>"), ("Llama 3", "<|eot_id|>"),
])  # fmt: skip
def test_the_end_of_a_turn_is_read_off_the_models_own_template(name: str, end: str) -> None:
    assert turn_end(tokenizer_of(family(name))) == end


@pytest.mark.parametrize("chosen", WITH_TEMPLATE, ids=lambda one: one.name)
def test_the_template_that_is_suggested_is_the_one_of_the_tokens(chosen: Family) -> None:
    family_type = "olmo2" if chosen.name == "OLMo 2" else ""
    assert suggested(tokenizer_of(chosen).get_vocab(), family_type) == chosen.template
    assert suggested({"a", "b"}) == "qwen3"


RECIPE = "name: own\nmodel: embedded\nchat_template: {template}\nstages:\n  - {{name: tune, kind: sft, data: [{{source: ./rows.jsonl}}], max_length: 512}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    row = {"messages": [USER, {"role": "assistant", "content": "3"}]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(template="./mine.jinja"), encoding="utf-8")
    (tmp_path / "mine.jinja").write_text(template_text("qwen3"), encoding="utf-8")
    return tmp_path


def test_a_template_by_path_is_found_beside_the_recipe_and_its_text_is_part_of_the_identity(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(resource("data"))
    plan = checked(folder / "recipe.yaml", [])
    assert plan.recipe.chat_template == str(folder / "mine.jinja")
    before = plan.identity("tune")["chat_template"]
    assert before.startswith("mine.jinja ") and str(folder) not in before
    (folder / "mine.jinja").write_text(template_text("qwen3") + "{# changed #}", encoding="utf-8")
    assert RunPlan.load(folder / "recipe.yaml", []).identity("tune")["chat_template"] != before
    assert template_identity("llama3") == "llama3"


@pytest.mark.parametrize(("text", "said"), [
    ("{% for one in messages %}", "is no Jinja template: line 1"),
    ("{{ messages[0].content }}", "does not mark what the assistant wrote"),
    (None, "there is no template .*mine.jinja`; write one of: gemma3"),
])  # fmt: skip
def test_a_template_by_path_that_will_not_do_is_refused_before_anything_starts(
    folder: Path, text: str | None, said: str
) -> None:
    (folder / "mine.jinja").unlink() if text is None else (folder / "mine.jinja").write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError, match=said):
        checked(folder / "recipe.yaml", [])


def test_a_template_that_is_not_there_is_an_error_in_words() -> None:
    with pytest.raises(DataError, match="write one of: gemma3"):
        template_text("./nowhere.jinja")
    assert Recipe.model_fields["chat_template"].default is None


def test_a_template_that_writes_todays_date_writes_one_date_in_a_run(tmp_path: Path) -> None:
    """Llama 3.2's and SmolLM3's own do: a stage that is resumed on another day would train on other rows."""
    model = tmp_path / "mine"
    shutil.copytree(resource("data/base"), model)
    file = model / "chat_template.jinja"
    asks = "Today is {{ strftime_now('%d %b %Y') if strftime_now is defined else '' }}."
    file.write_text(asks + file.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(
        "name: own\nmodel: ./mine\nhardware: {accelerate: cpu}\nstages:\n"
        "  - {name: tune, kind: sft, data: tiny-cold-start, max_length: 512, trainer: {max_steps: 2}}\n",
        encoding="utf-8",
    )
    plan = RunPlan.load(tmp_path / "recipe.yaml", [], tmp_path / "run")
    assert plan.base.needs_preparing()
    _prepare(plan)
    left = (plan.run.base / "chat_template.jinja").read_text(encoding="utf-8")
    assert f'{{{{ "{date.today():%d %b %Y}" if strftime_now is defined' in left and not plan.base.needs_preparing()
    assert plan.base.path == str(plan.run.base)
    with pytest.raises(DataError, match="asks for today's date"):
        with_date("{{ strftime_now(form) }}", date.today())
