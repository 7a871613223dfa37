"""What a stage was made from is recorded as what was read: a local file is not called by the public set's name."""

from pathlib import Path

import yaml

from alignment.run.plan import RunPlan


def test_an_identity_names_the_local_file_and_not_the_public_set_in_whose_place_it_stands(tmp_path: Path) -> None:
    rows = tmp_path / "mine.jsonl"
    rows.write_text(
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n', "utf-8"
    )
    stage = {"name": "one", "kind": "sft", "data": [{"source": "smoltalk", "mode": "non_thinking"}]}
    path = tmp_path / "recipe.yaml"
    local = {"sources": {"smoltalk": {"path": str(rows)}}}
    path.write_text(yaml.safe_dump({"name": "local", "model": "embedded", "stages": [stage], "data": local}), "utf-8")
    found = RunPlan.load(path, [], tmp_path / "run").identity("one")
    source = found["data"][0]["source"]
    assert (source["hub"], source["revision"], source["file"]) == (None, None, "mine.jsonl")
    assert list(found["files"]) == ["smoltalk"]
    path.write_text(yaml.safe_dump({"name": "local", "model": "embedded", "stages": [stage]}), "utf-8")
    assert RunPlan.load(path, [], tmp_path / "run").identity("one")["data"][0]["source"]["hub"] is not None
