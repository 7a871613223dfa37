"""A recipe that cannot work is refused before anything starts: exit status 2, where it is wrong, and what to write."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from broken_recipes import FORM, GOOD, MEANING, OVERRIDES, Broken

from alignment.cli import main
from alignment.core.resources import resource
from rewards import IsolationUnavailable

REPOSITORY = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "trl", "vllm", "datasets", "deepspeed", "peft", "reasoning_gym")


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs `alignment check` on a text as a user would, in a folder of its own; gives exit status and errors."""
    monkeypatch.chdir(tmp_path)

    def run(text: str, *overrides: str) -> tuple[int, str]:
        Path("recipe.yaml").write_text(text, encoding="utf-8")
        chosen = [argument for override in overrides for argument in ("--set", override)]
        monkeypatch.setattr(sys, "argv", ["alignment", "check", "recipe.yaml", *chosen])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


def test_the_recipe_that_the_others_are_edits_of_is_good(check) -> None:
    assert check(GOOD) == (0, "")


def test_a_sample_stage_may_ask_what_the_cold_start_was_shown_and_nothing_else_may(check) -> None:
    again = GOOD.replace("split: fusion", "split: cold_start", 1)  # Qwen3 samples the thinking half of its fusion so
    assert check(again) == (0, "")
    assert "is already used by cold_start" in check(again.replace("tiny-reasoning", "tiny-cold-start"))[1]


def test_branches_may_train_on_one_split_and_what_goes_on_from_a_branch_may_not(check) -> None:
    recipe = yaml.safe_load(GOOD)
    rl = next(stage for stage in recipe["stages"] if stage["kind"] == "grpo")
    branch = {**rl, "name": "other_rl", "start_from": "cold_start"}
    assert check(yaml.safe_dump({**recipe, "stages": [*recipe["stages"], branch]})) == (0, "")
    onwards = {**branch, "start_from": rl["name"]}
    assert (
        f"is already used by {rl['name']}"
        in check(yaml.safe_dump({**recipe, "stages": [*recipe["stages"], onwards]}))[1]
    )


@pytest.mark.parametrize("broken", [*FORM, *MEANING, *OVERRIDES], ids=lambda broken: broken.name)
def test_a_recipe_that_cannot_work_says_where_and_what_to_write(check, broken: Broken) -> None:
    assert broken.old in GOOD
    text = GOOD.replace(broken.old, broken.new, 1) if broken.old else broken.new or GOOD
    status, errors = check(text, *broken.overrides)
    assert status == 2
    assert "Traceback" not in errors
    for fragment in broken.errors:
        assert fragment in errors
    if not broken.overrides:
        line = text.count("\n", 0, text.index(broken.at or broken.new)) + 1
        assert f"recipe.yaml:{line}: " in errors


def test_an_error_names_its_cause_once_and_nothing_beside_it(check) -> None:
    _, errors = check(GOOD.replace("split: fusion", "splitt: fusion", 1))
    assert errors.splitlines() == [
        "recipe.yaml:29: stages.fusion_data.data.0.splitt: unknown key; did you mean `split`?",
        "1 error; nothing was started",
    ]


def test_all_errors_are_reported_at_once(check) -> None:
    text = GOOD.replace("tiny-cold-start", "nothing").replace("qwen3", "qwen4").replace("max_steps: 40", "max_steps: 0")
    _, errors = check(text)
    assert errors.splitlines()[-1] == "3 errors; nothing was started"
    assert [int(line.split(":")[1]) for line in errors.splitlines()[:-1]] == [5, 9, 25]  # in the order of the file
    assert check(GOOD, "stages.x.y=1", "seed")[1].count("--set ") == 2


def test_an_error_of_form_does_not_hide_what_is_wrong_elsewhere(check) -> None:
    text = GOOD.replace("name: general_rl\n    kind: grpo", "name: general_rl\n    kind: grpo\n    sed: 3")
    text = text.replace("tiny-cold-start", "tiny-cold-strat").replace("[chain-sum]", "[chain-sun]")
    _, errors = check(text.replace("max_steps: 40", "max_steps: 0"))
    said = [line.split(": ")[1] for line in errors.splitlines()[:-1]]
    assert said == [
        "stages.cold_start.data", "stages.reasoning_rl.trainer.max_steps", "stages.general_rl.sed",
        "evaluations.after_each_stage.0",
    ]  # fmt: skip


def test_nothing_is_said_about_what_depends_on_a_part_in_error(check) -> None:
    text = GOOD.replace("generations: 2", "generations: two").replace("max_length: 500", "rows: 200")
    _, errors = check(text)  # how many rows there can be depends on the generations, which are not known
    assert [line.split(": ")[1] for line in errors.splitlines()[:-1]] == ["stages.fusion_data.rollout.generations"]
    _, errors = check(GOOD.replace("processes: 1", "processes: one").replace("max_steps: 40", "max_steps: 0"))
    assert [line.split(": ")[1] for line in errors.splitlines()[:-1]] == [
        "hardware.processes", "stages.reasoning_rl.trainer.max_steps",
    ]  # fmt: skip


def test_a_key_in_error_does_not_hide_the_data_and_the_trainer_of_its_stage(check) -> None:
    text = GOOD.replace("name: cold_start\n", "name: cold_start\n    max_lenght: 3\n", 1)
    text = text.replace("tiny-cold-start", "tiny-cold-strat").replace("seed: 3", "seed: 3\ndata: {max_faulty: 1}", 1)
    _, errors = check(text)
    said = [line.split(": ")[1] for line in errors.splitlines()[:-1]]
    assert {"stages.cold_start.max_lenght", "stages.cold_start.data"} <= set(said)


def test_a_merged_value_is_located_where_it_was_written(check) -> None:
    _, errors = check(GOOD.replace("max_completion_tokens: 192\n    rewards", "max_completion_tokens: 0\n    rewards"))
    assert "recipe.yaml:20: stages.reasoning_rl.rollout.max_completion_tokens" in errors
    assert "recipe.yaml:20: stages.general_rl.rollout.max_completion_tokens" in errors


def test_dynamic_sampling_refuses_to_split_a_group(check) -> None:
    text = GOOD.replace("problems_per_step: 16", "problems_per_step: 15\n      dynamic_sampling: true")
    status, errors = check(text.replace("processes: 1", "processes: 2").replace("micro_batch: 32", "micro_batch: 6"))
    assert status == 2
    assert "recipe.yaml:19: stages.reasoning_rl.rollout.dynamic_sampling: needs whole groups on each process" in errors


def test_processes_that_cannot_share_a_batch_get_no_impossible_advice(check) -> None:
    _, errors = check(GOOD.replace("processes: 1", "processes: 7"))
    assert "write a problems_per_step that they divide" in errors


def test_a_recipe_that_is_not_there_or_not_text_is_an_error_of_the_user(tmp_path: Path, check) -> None:
    Path("recipe.bin").write_bytes(b"\xff\xfe\x00\xd8")
    for path in ("gone.yaml", ".", "recipe.bin"):
        sys.argv[1:] = ["check", path]
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2


CONFIG, SAFETENSORS = '{"model_type": "qwen3"}', (8).to_bytes(8, "little") + b"{}      "
FOLDERS = {
    "no config": ({"model.safetensors": SAFETENSORS, "tokenizer.json": b"{}"}, "has no config.json"),
    "only pickles": ({"config.json": CONFIG, "pytorch_model.bin": b"x"}, "holds only pytorch_model.bin, pickles that can run code"),
    "no weights": ({"config.json": CONFIG}, "holds no weights; convert it to safetensors"),
    "no tokenizer": ({"config.json": CONFIG, "model.safetensors": SAFETENSORS}, "has no tokenizer"),
    "a damaged config": ({"config.json": "{", "model.safetensors": SAFETENSORS, "tokenizer.json": b"{}"}, "config.json is damaged"),
    "a config that is no mapping": ({"config.json": "[]", "model.safetensors": SAFETENSORS, "tokenizer.json": b"{}"}, "is not a model's config"),
    "an empty weights file": ({"config.json": CONFIG, "model.safetensors": b"", "tokenizer.json": b"{}"}, "has no safetensors header"),
    "a page in place of weights": ({"config.json": CONFIG, "model.safetensors": b"<html>not found</html>", "tokenizer.json": b"{}"}, "has no safetensors header"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
def test_a_model_folder_that_cannot_be_loaded_is_refused_by_its_files(check, name: str) -> None:
    files, message = FOLDERS[name]
    Path("model").mkdir()
    for file, content in files.items():
        Path("model", file).write_bytes(content if isinstance(content, bytes) else content.encode())
    status, errors = check(GOOD.replace("embedded", "model"))
    assert status == 2
    assert f"recipe.yaml:2: model: model{'/' if message.startswith('config') else ''}" in errors
    assert message in errors


def test_weights_that_were_cut_short_are_found_before_they_are_loaded(check) -> None:
    Path("model").mkdir()
    for path in resource("data/base").iterdir():
        content = path.read_bytes()
        Path("model", path.name).write_bytes(content[:-1000] if path.suffix == ".safetensors" else content)
    status, errors = check(GOOD.replace("embedded", "model"))
    assert status == 2
    assert "model.safetensors is truncated" in errors
    Path("model/model.safetensors").write_bytes(Path(resource("data/base"), "model.safetensors").read_bytes())
    assert check(GOOD.replace("embedded", "model"))[0] == 0


@pytest.mark.parametrize(("name", "what"), [("model.bin", "is a pickle"), ("model.gguf", "is a file")])
def test_a_file_in_place_of_a_model_folder_is_refused(check, name: str, what: str) -> None:
    Path(name).write_bytes(b"x")
    status, errors = check(GOOD.replace("embedded", name))
    assert status == 2
    assert f"recipe.yaml:2: model: {name} {what}" in errors


def test_a_recipe_whose_programs_nothing_here_can_isolate_is_refused(check, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise IsolationUnavailable("no jail here; install bubblewrap")

    monkeypatch.setattr("rewards.sandbox.workers.choose", refuse)
    status, errors = check(GOOD.replace("- {kind: math_answer, weight: 1.0}", "- {kind: python_tests, weight: 1.0}", 1))
    assert status == 2
    assert "stages.reasoning_rl.rewards.python_tests: no jail here; install bubblewrap" in errors


def test_checking_a_recipe_imports_nothing_heavy(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(GOOD, encoding="utf-8")
    code = (
        "import json, sys\n"
        "import rewards, alignment.checks.recipe, alignment.run.plan, alignment.records.run_folder, alignment.cli\n"
        f"sys.argv = ['alignment', 'check', {str(recipe)!r}]\n"
        "try: alignment.cli.main()\n"
        "except SystemExit as ended: status = ended.code\n"
        f"print(json.dumps([status, [name for name in {HEAVY} if name in sys.modules]]))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert json.loads(found.stdout.splitlines()[-1]) == [0, []]
