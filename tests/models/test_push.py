"""A push to the hub that is cut short goes on where it was: what has arrived is not sent again, and nothing is half there."""

import hashlib
from pathlib import Path

import pytest
from fake_hub import open_hub

from alignment.export.push import HubError, planned_upload, push

SHARDS = 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export of some shards, with a card."""
    made = tmp_path / "made"
    made.mkdir()
    for number in range(SHARDS):
        content = hashlib.sha256(str(number).encode()).digest() * 2000
        (made / f"model-{number}.safetensors").write_bytes(content)
    (made / "README.md").write_text("---\nlicence: apache-2.0\n---\n# A model\n", encoding="utf-8")
    (made / "config.json").write_text("{}", encoding="utf-8")
    return made


def test_a_push_that_is_cut_short_sends_the_rest_the_next_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    upload = planned_upload(folder, "me/model", private=True)
    with open_hub() as hub:
        hub.refuse_after = 2
        with pytest.raises(HubError, match="what has arrived is not sent twice"):
            push(folder, upload, endpoint=hub.address)
        assert len(hub.sent) == 2 and hub.commits == 0 and hub.files == {}, "no half of a model stands on the hub"
        hub.refuse_after = None
        assert push(folder, upload, endpoint=hub.address).startswith(hub.address)
        assert len(hub.sent) == SHARDS and hub.commits == 1, "each shard was sent once over both pushes"
        assert hub.files == {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        push(folder, upload, endpoint=hub.address)
        assert len(hub.sent) == SHARDS, "a third push sends nothing large"
