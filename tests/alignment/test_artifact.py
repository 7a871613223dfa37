"""What a finished stage leaves can be trusted: written whole or not at all, and damage is found and named."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from alignment.core.errors import ArtifactError, DataError
from alignment.core.files import canonical_hash, folder_files, read_json, write_json
from alignment.core.resources import resource
from alignment.data.rows import Conversation, Problem, read_rows, user_turn, write_rows
from alignment.records.manifest import Manifest
from alignment.records.run_folder import RunFolder, StageFolder

WEIGHTS = (resource("data/base") / "model.safetensors").read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> StageFolder:
    """A finished stage with real safetensors in it."""
    made = RunFolder(tmp_path / "run").stage(1, "cold_start")
    made.output.mkdir(parents=True)
    (made.output / "model.safetensors").write_bytes(WEIGHTS)
    (made.output / "config.json").write_text('{"model_type": "qwen3"}', encoding="utf-8")
    finish(made)
    return made


def finish(folder: StageFolder) -> None:
    output = folder_files(folder.output)
    Manifest(
        name="cold_start", kind="sft", identity={}, identity_hash=canonical_hash({}), inputs={}, output=output,
        output_hash=canonical_hash(output), seed=17, seconds=1.5,
    ).write(folder.manifest_path)  # fmt: skip


def test_a_manifest_reads_back_as_it_was_written(folder: StageFolder) -> None:
    manifest = folder.manifest()
    assert manifest.output["model.safetensors"].bytes == len(WEIGHTS)
    again = folder.path / "again.json"
    replace(manifest, counts={"überlang": 3}).write(again)
    assert Manifest.read(again).counts == {"überlang": 3}
    folder.verify_hashes()


def test_a_write_that_fails_leaves_the_old_file_whole_and_no_other_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    write_json(path, {"steps": 1})
    with pytest.raises(TypeError):
        write_json(path, {"steps": 2, "not": object()})
    assert read_json(path) == {"steps": 1}
    write_json(path, {"steps": 3})
    assert read_json(path) == {"steps": 3}
    assert [item.name for item in tmp_path.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize("parent", ["file", "/proc/1", "/sys/kernel"])
def test_a_place_that_cannot_be_written_is_named_and_what_is_finished_stays(folder: StageFolder, parent: str) -> None:
    if not (parent == "file" or Path(parent).is_dir()):
        pytest.skip(f"this machine has no {parent}")
    (folder.path / "file").write_text("x", encoding="utf-8")
    path = folder.path / parent / "stage" / "manifest.json"
    with pytest.raises(ArtifactError, match=r"cannot be written \(.+\); nothing finished was touched") as caught:
        write_json(path, {})
    assert str(path) in str(caught.value)
    folder.verify_hashes()


def test_a_full_disk_is_named_and_what_is_finished_stays(folder: StageFolder) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full to stand for a full disk")
    (folder.path / f"report.json.{os.getpid()}.partial").symlink_to("/dev/full")
    with pytest.raises(ArtifactError, match=r"report.json: cannot be written \(No space left on device\)"):
        write_json(folder.path / "report.json", {"rows": list(range(100_000))})
    assert not (folder.path / "report.json").exists()
    folder.verify_hashes()


def test_rows_on_a_full_disk_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full to stand for a full disk")
    (tmp_path / "rows.jsonl").symlink_to("/dev/full")
    with pytest.raises(ArtifactError, match=r"rows.jsonl: cannot be written \(No space left on device\)"):
        write_rows(tmp_path / "rows.jsonl", [Conversation("1", [], "thinking")])


def test_a_row_that_does_not_fit_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    row = Conversation("1", [{"role": "user", "content": "a\u2028b"}], "thinking")  # a line break that ends no row
    assert write_rows(path, [row, row]) == 2
    assert list(read_rows(path, "conversation")) == [row, row]
    path.write_text(path.read_text(encoding="utf-8") + '\n{"id": "2"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"rows.jsonl:4: this line is not a conversation row"):
        list(read_rows(path, "conversation"))
    with pytest.raises(DataError, match=r"gone.jsonl: cannot be read"):
        list(read_rows(tmp_path / "gone.jsonl", "conversation"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is damaged: not JSON at line 1"),
        (b'{"name": "cold_start",\n', "is damaged: not JSON at line 2"),
        (b"\x00" * 300, "is damaged: not JSON"),
        (b"\xff\xfe{}", "cannot be read"),
        (b"{}", "is damaged: name is missing"),
        (b"[]", "is damaged: found [], and an object is needed"),
        (b'{"name": "x", "colour": "red"}', "is damaged: kind is missing"),
        (b'{"name": 3}', "is damaged: name: found 3, and text is needed"),
    ],
)
def test_a_corrupt_manifest_is_an_error_and_never_a_finished_stage(
    folder: StageFolder, content: bytes, message: str
) -> None:
    folder.manifest_path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"manifest\.json") as caught:
        folder.verified_manifest()
    assert message in str(caught.value)


def test_weights_that_were_cut_short_are_found_without_reading_them(folder: StageFolder) -> None:
    os.truncate(folder.output / "model.safetensors", len(WEIGHTS) // 2)
    with pytest.raises(ArtifactError, match=r"model\.safetensors: has \d+ bytes where the manifest") as caught:
        folder.verified_manifest()
    assert "--redo NAME" in str(caught.value)


def test_a_file_that_is_gone_is_named(folder: StageFolder) -> None:
    (folder.output / "config.json").unlink()
    with pytest.raises(ArtifactError, match=r"config\.json: is missing, and the manifest of stage cold_start lists it"):
        folder.verified_manifest()


def test_one_changed_byte_is_found_by_its_hash(folder: StageFolder) -> None:
    with (folder.output / "model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(bytes([WEIGHTS[-1] ^ 1]))
    folder.verified_manifest()  # the size is the same
    with pytest.raises(ArtifactError, match=r"model\.safetensors: was changed after stage cold_start finished"):
        folder.verify_hashes()


def test_the_output_hash_follows_content_and_not_the_order_of_writing(folder: StageFolder) -> None:
    before = folder.manifest().output_hash
    for path in sorted(folder.output.iterdir(), reverse=True):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    assert canonical_hash(folder_files(folder.output)) == before
    assert canonical_hash({"a": 1, "b": [2]}) == canonical_hash(json.loads('{"b":[2],"a":1}'))


def test_setting_aside_twice_keeps_both(folder: StageFolder) -> None:
    first = folder.set_aside("redone")
    folder.path.mkdir()
    second = folder.set_aside("redone")
    assert [first.name, second.name] == ["01-cold_start.redone-1", "01-cold_start.redone-2"]
    StageFolder(first).verify_hashes()
    with pytest.raises(ArtifactError, match="cannot be set aside"):
        folder.set_aside("redone")


def test_a_stage_is_found_by_name_and_never_among_those_set_aside(folder: StageFolder) -> None:
    run = RunFolder(folder.path.parent)
    assert run.find("cold_start").path == folder.path
    folder.set_aside("redone")
    with pytest.raises(ArtifactError, match="has no stage `cold_start`; it has none yet"):
        run.find("cold_start")
    with pytest.raises(ArtifactError, match="is not a run directory"):
        RunFolder.open(run.path)


def test_half_a_character_is_written_and_read_back(tmp_path: Path) -> None:
    row = Problem("one", [user_turn("What is \ud83d?")], "1")
    write_rows(tmp_path / "rows.jsonl", [row])
    assert list(read_rows(tmp_path / "rows.jsonl", "problem")) == [row]
    write_json(tmp_path / "value.json", {"text": "\ud83d"})
    assert read_json(tmp_path / "value.json") == {"text": "\ud83d"} and canonical_hash("\ud83d") != canonical_hash(
        "\ud83e"
    )
