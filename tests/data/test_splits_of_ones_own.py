"""Folders with splits, data sets on disk and hub ids: the split that is named is read, and no other."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from own_recipe import chat, chats, grpo_recipe, recipe, write_lines

from alignment.checks.recipe import checked
from alignment.core.errors import RecipeError

TRAIN, TEST = [chat(f"{number} + 2?") for number in range(5)], [chat(f"{number} + 9?") for number in range(3)]


def asked(path: Path) -> set[str]:
    return {row.messages[0]["content"] for row in chats(path)}


def questions(rows: list[dict[str, list[dict[str, str]]]]) -> set[str]:
    return {row["messages"][0]["content"] for row in rows}


def test_a_test_file_in_a_folder_is_not_trained_on_unless_it_is_asked_for(tmp_path: Path) -> None:
    write_lines(tmp_path / "own/train-00000-of-00002.jsonl", TRAIN[:3])
    write_lines(tmp_path / "own/train-00001-of-00002.jsonl", TRAIN[3:])
    write_lines(tmp_path / "own/test.jsonl", TEST)
    assert asked(recipe(tmp_path, "./own")) == questions(TRAIN)
    assert asked(recipe(tmp_path, "[{source: ./own, split: test}]")) == questions(TEST)
    with pytest.raises(RecipeError, match="`split: dev`: own has the splits test, train; write one of them"):
        checked(recipe(tmp_path, "[{source: ./own, split: dev}]"), [])


def test_a_file_beside_splits_is_refused_and_so_is_data_in_a_format_that_is_not_read(tmp_path: Path) -> None:
    write_lines(tmp_path / "own/rows.jsonl", TRAIN)
    write_lines(tmp_path / "own/test.jsonl", TEST)
    with pytest.raises(RecipeError, match="rows.jsonl stands beside test.jsonl, which is named as a split"):
        checked(recipe(tmp_path, "./own"), [])
    (tmp_path / "own/test.jsonl").rename(tmp_path / "own/more.jsonl.zst")
    with pytest.raises(RecipeError, match="zst is no format that is read"):
        checked(recipe(tmp_path, "./own"), [])


def test_files_in_folders_of_a_folder_are_read_and_a_readme_is_not(tmp_path: Path) -> None:
    write_lines(tmp_path / "own/2024/a.jsonl", TRAIN[:2])
    write_lines(tmp_path / "own/2025/b.jsonl", TRAIN[2:])
    (tmp_path / "own/README.md").write_text("mine", encoding="utf-8")
    assert asked(recipe(tmp_path, "own/2024/../")) == questions(TRAIN)


def test_a_split_of_a_file_is_refused_and_a_split_by_hash_of_chats_too(tmp_path: Path) -> None:
    write_lines(tmp_path / "rows.jsonl", TRAIN)
    with pytest.raises(RecipeError, match="`split: train`: rows.jsonl has no splits; remove it"):
        checked(recipe(tmp_path, "[{source: rows.jsonl, split: train}]"), [])
    with pytest.raises(RecipeError, match="holds chats, which are not split; remove `split`"):
        checked(recipe(tmp_path, "[{source: rows.jsonl, split: fusion}]"), [])


def test_data_sets_on_disk_are_read_with_their_splits(tmp_path: Path) -> None:
    import datasets

    both = datasets.DatasetDict({"train": datasets.Dataset.from_list(TRAIN), "test": datasets.Dataset.from_list(TEST)})
    both.save_to_disk(str(tmp_path / "both"))
    both["test"].save_to_disk(str(tmp_path / "one"))
    assert asked(recipe(tmp_path, "./both")) == questions(TRAIN)
    assert asked(recipe(tmp_path, "[{source: ./both, split: test}]")) == questions(TEST)
    assert asked(recipe(tmp_path, "./one")) == questions(TEST)
    (arrow,) = (tmp_path / "one").glob("*.arrow")
    shutil.copy(arrow, tmp_path / "rows.arrow")
    assert asked(recipe(tmp_path, "rows.arrow")) == questions(TEST)


def test_a_hub_id_without_a_network_is_an_error_in_words_and_a_folder_of_that_name_is_read(tmp_path: Path) -> None:
    path = recipe(tmp_path, "own/rows")
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "alignment.cli", "check", str(path)]
    ended = subprocess.run(command, env=offline, capture_output=True, text=True, check=False)
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    assert "own/rows cannot be read from the hub" in ended.stderr
    assert "write the path of a file, such as ./rows.jsonl" in ended.stderr
    write_lines(tmp_path / "own/rows/a.jsonl", TRAIN)
    assert asked(path) == questions(TRAIN)


def test_a_hub_set_in_the_cache_is_read_and_known_by_its_commit(tmp_path: Path) -> None:
    """As `datasets` leaves a download: rows and info under the set's name, its subset and its commit."""
    import datasets

    made = tmp_path / "home/datasets/own___chats/default/0.0.0"
    rows = tmp_path / "json"
    write_lines(rows / "train.jsonl", TRAIN)
    datasets.load_dataset(str(rows), cache_dir=str(tmp_path / "made"))
    (info,) = (tmp_path / "made").rglob("dataset_info.json")
    commit = "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(info.parent, made / commit)
    for file in (made / commit).glob("*.arrow"):
        file.rename(file.with_name("chats-train.arrow"))
    described = json.loads((made / commit / "dataset_info.json").read_text())
    described["dataset_name"] = "chats"
    (made / commit / "dataset_info.json").write_text(json.dumps(described))
    script = (
        "from pathlib import Path\nfrom alignment.checks.recipe import checked\n"
        "from alignment.run.identity import stage_identity\n"
        f"plan = checked(Path({str(recipe(tmp_path, 'own/chats'))!r}), [])\n"
        "print(stage_identity(plan.recipe, plan.recipe.stages[0], {})['data'][0]['source']['revision'])\n"
        "from alignment.data.mixture import conversations_of, load_parts\n"
        "print(len(conversations_of(plan.recipe, load_parts(plan.recipe.stages[0].data), Path)))\n"
    )
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    ended = subprocess.run([sys.executable, "-c", script], env=offline, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == [commit, "5"]


def test_a_count_above_the_rows_and_too_few_problems_are_found_by_check(tmp_path: Path) -> None:
    write_lines(tmp_path / "rows.jsonl", TRAIN)
    with pytest.raises(RecipeError, match="found 6, and `rows.jsonl` has 5 rows that can be used; write 5 or less"):
        checked(recipe(tmp_path, "[{source: rows.jsonl, count: 6}]"), [])
    write_lines(tmp_path / "one.jsonl", [{"problem": "1 + 1 =", "answer": 2}])
    with pytest.raises(RecipeError, match="problems_per_step: found 2, and the data has 1 problems that can be used"):
        checked(grpo_recipe(tmp_path, "one.jsonl"), [])
