"""Models on the hub at a pinned revision: one commit's files in the local cache, from which everything is then loaded.

So model, tokenizer, config, a reference model and an engine cannot come from different commits. Neighbours:
model.py (what a run starts from), run/stage.py and run/base_model.py (load it).
"""

from pathlib import Path

from alignment.core.errors import ArtifactError
from alignment.core.vocabulary import COMMIT

LOADED = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.tiktoken")
NOT_LOADED = ("original/*", "consolidated*")  # the same weights in another form


def pinned_folder(model: str, revision: str | None, *, trust_remote_code: bool) -> str:
    """The folder with the files of a hub model at a revision, downloaded if they are not in the cache.

    A folder, and a hub id without a revision, stay as they are. Raises ArtifactError if there is no such revision, or no
    way to get it.
    """
    if revision is None or Path(model).is_dir():
        return model
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return _snapshot(model, revision, trust_remote_code=trust_remote_code, cached=False)
    except (HfHubHTTPError, OSError) as unreachable:
        try:
            return _snapshot(model, revision, trust_remote_code=trust_remote_code, cached=True)
        except (HfHubHTTPError, OSError) as error:
            raise ArtifactError(
                f"{model} cannot be read at revision {revision} ({str(unreachable).splitlines()[0]}); write a commit that the "
                "hub has, and see that the hub can be reached or has the model in its cache"
            ) from error


def _snapshot(model: str, revision: str, *, trust_remote_code: bool, cached: bool) -> str:
    from huggingface_hub import snapshot_download

    return snapshot_download(
        model,
        revision=revision,
        local_files_only=cached,
        allow_patterns=[*LOADED, *(["*.py"] if trust_remote_code else [])],
        ignore_patterns=list(NOT_LOADED),
    )


def moving(model: str, revision: str | None) -> str | None:
    """Why a hub model may be another one day, and what to write; None if its revision is a commit."""
    if revision is None:
        return f"the model {model} is not pinned and may change on the hub; write `revision: COMMIT` beside it"
    if COMMIT.fullmatch(revision):
        return None
    return f"revision {revision} of {model} is a branch or tag, which may move; write the commit, 40 hexadecimal digits"


def is_hub_adapter(model: str, revision: str | None) -> bool:
    """Whether a hub id is that of an adapter: it has PEFT's adapter_config.json. False if the hub cannot say."""
    return hub_file(model, "adapter_config.json", revision) is not None


def hub_file(model: str, name: str, revision: str | None) -> Path | None:
    """A small file of a hub model, from the cache where there is no network; None if it has none, or the hub cannot say."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(hf_hub_download(model, name, revision=revision))
    except (HfHubHTTPError, HFValidationError, OSError):
        return None
