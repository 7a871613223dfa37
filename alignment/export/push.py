"""Puts an exported folder on the hub. What would be uploaded is listed first; the upload itself has to be asked for.

huggingface_hub does the work: its `upload_folder` commits in parts, hashes what is there already, and leaves it out, so an
upload that was cut short goes on where it was when the same command is written again. The account is the one that `hf auth
login` has stored; nothing here reads it. Neighbours: commands/export/exporting.py.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alignment.core.errors import AlignmentError, OptionError

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


class HubError(AlignmentError):
    """The hub could not be reached, or refused an upload."""


@dataclass(frozen=True)
class Upload:
    """What goes to the hub: the repository, whether it is private, and each file with its size in bytes."""

    repository: str
    private: bool
    files: Sequence[tuple[str, int]]

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(size for _, size in self.files)


def planned_upload(folder: Path, repository: str, *, private: bool) -> Upload:
    """What an upload would send. Raises OptionError for a name that is no repository of the hub."""
    if not REPOSITORY.fullmatch(repository):
        raise OptionError(f"--push {repository}: write OWNER/NAME, as the hub names a repository")
    found = sorted(path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts)
    return Upload(repository, private, [(path.relative_to(folder).as_posix(), path.stat().st_size) for path in found])


def push(folder: Path, upload: Upload, endpoint: str | None = None) -> str:
    """Make the repository if it is not there, and send what it lacks; returns its address. Raises HubError in words.

    endpoint: another hub's address; None is the one that HF_ENDPOINT names, or huggingface.co.
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    hub = HfApi(endpoint=endpoint)
    try:
        address = hub.create_repo(upload.repository, private=upload.private, exist_ok=True)
        hub.upload_folder(
            repo_id=upload.repository,
            folder_path=folder,
            allow_patterns=[name for name, _ in upload.files],
            commit_message="Export of a run of alignment",
        )
    # What stops a large file comes as a RuntimeError, with what happened as its cause.
    except (
        HfHubHTTPError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
        httpx.HTTPError,
        OSError,
        RuntimeError,
    ) as error:
        said = " ".join(f"{error} {error.__cause__ or ''}".split())[:300]
        raise HubError(
            f"{upload.repository}: the hub could not be written ({said}). Log in with `hf auth login`, or write the same "
            "command again: what has arrived is not sent twice"
        ) from error
    return str(address)
