"""The Hub, through huggingface_hub: what is there, one commit, tags; each failure is one line."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from describe.errors import UserError
from describe.publish_plan import Change, Remote, RemoteFile

_LOG_IN = "set HF_TOKEN, or log in with `hf auth login`"
_AGAIN = "run the same command again: only what is missing is sent"


class Hub:
    """One dataset repository, or the place where it is to be.

    Args:
        name: `owner/name`, or a name under the token's own user.

    Raises:
        UserError: There is no token, it is refused, or the Hub cannot be reached.
    """

    def __init__(self, name: str) -> None:
        from huggingface_hub import HfApi, get_token
        from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

        disable_progress_bars()
        self._api = HfApi()
        self._token = get_token() or ""
        self.repo = name
        if not self._token:
            raise UserError(f"no token of the Hub; {_LOG_IN}")
        with self._spoken():
            user = str(self._api.whoami()["name"])
        self.repo = name if "/" in name else f"{user}/{name}"

    @property
    def url(self) -> str:
        """Where people look at the repository."""
        return f"{self._api.endpoint}/datasets/{self.repo}"

    def read(self) -> Remote | None:
        """Return the repository as it stands; None when there is none that the token can see."""
        from huggingface_hub.errors import RepositoryNotFoundError

        with self._spoken():
            try:
                info = self._api.dataset_info(self.repo)
            except RepositoryNotFoundError:
                return None
            tree = self._api.list_repo_tree(
                self.repo, repo_type="dataset", revision=info.sha, recursive=True
            )
            files = {entry.path: _file(entry) for entry in tree if hasattr(entry, "blob_id")}
            refs = self._api.list_repo_refs(self.repo, repo_type="dataset")
        return Remote(
            commit=str(info.sha),
            private=bool(info.private),
            files=files,
            tags=frozenset(ref.name for ref in refs.tags),
        )

    def dataset_of(self, path: str, commit: str) -> str:
        """Return the dataset that a manifest of the repository names; empty when it names none."""
        with self._spoken(), tempfile.TemporaryDirectory() as folder:
            local = self._api.hf_hub_download(
                self.repo, path, repo_type="dataset", revision=commit, local_dir=folder
            )
            manifest = json.loads(Path(local).read_bytes())
        return str(manifest.get("dataset", "")) if isinstance(manifest, dict) else ""

    def create(self, *, private: bool) -> None:
        """Make the repository, empty."""
        with self._spoken():
            self._api.create_repo(self.repo, repo_type="dataset", private=private, exist_ok=True)

    def commit(self, files: Sequence[Change], message: str, parent: str) -> str:
        """Push `files` in one commit on top of `parent`, and return its hash.

        What the storage has already, from an interrupted run, is not sent again.

        Raises:
            UserError: Somebody changed the repository since it was read, or as for all of these.
        """
        from huggingface_hub import CommitOperationAdd

        adds = [CommitOperationAdd(file.path, file.data) for file in files]
        with self._spoken():
            done = self._api.create_commit(
                self.repo,
                adds,
                commit_message=message,
                repo_type="dataset",
                revision="main",
                parent_commit=parent,
            )
        return str(done.oid)

    def tag(self, name: str, commit: str) -> None:
        """Name a commit after a version."""
        with self._spoken():
            self._api.create_tag(
                self.repo, tag=name, revision=commit, repo_type="dataset", exist_ok=True
            )

    @contextmanager
    def _spoken(self) -> Iterator[None]:
        """Turn whatever goes wrong on the way to the Hub into one line without the token."""
        from huggingface_hub.errors import HfHubHTTPError

        # That of its HTTP library, which was requests once, then httpx, and is httpx2 now.
        library_error: type[BaseException] = HfHubHTTPError.__mro__[1]
        try:
            yield
        except (library_error, OSError, RuntimeError, ValueError) as error:
            cause = _cause(error)
            response = getattr(cause, "response", None)
            if response is None:
                raise UserError(self._without_token(self._unreached(cause))) from None
            raise UserError(self._without_token(self._refused(response, cause))) from None

    def _unreached(self, error: BaseException) -> str:
        from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled

        if isinstance(error, OfflineModeIsEnabled):
            return "HF_HUB_OFFLINE is set, and publishing needs the Hub; unset it"
        said = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, HFValidationError):
            return f"the Hub takes no such name: {said}"
        if isinstance(error, ValueError):
            return f"the Hub's answer is of no use: {said}"
        return f"cannot reach the Hub at {self._api.endpoint}: {said}; {_AGAIN}"

    def _refused(self, response: Any, error: BaseException) -> str:
        status = int(response.status_code)
        said = getattr(error, "server_message", None) or response.reason_phrase or "no reason given"
        said = " ".join(str(said).split())
        if status == 401:
            return f"the Hub refuses the token (401); {_LOG_IN}"
        if status == 403:
            return (
                f"the token may not do this to {self.repo} (403: {said}); it needs the role "
                "'write' there"
            )
        if status == 404:
            return f"no {self.repo} on the Hub (404: {said}), or the token may not see it"
        if status in (409, 412):
            return f"{self.repo} was changed meanwhile by somebody else ({status}); {_AGAIN}"
        if status == 429:
            return f"the Hub wants fewer requests (429: {said}); wait some minutes, then {_AGAIN}"
        if status >= 500:
            return f"the Hub is in trouble ({status}: {said}); {_AGAIN}"
        return f"the Hub refuses this ({status}: {said})"

    def _without_token(self, message: str) -> str:
        return message.replace(self._token, "<token>") if self._token else message


def _file(entry: Any) -> RemoteFile:
    sha256 = None if entry.lfs is None else str(entry.lfs.sha256)
    return RemoteFile(path=str(entry.path), blob_id=str(entry.blob_id), sha256=sha256)


def _cause(error: BaseException) -> BaseException:
    """Return what an upload in a thread failed with, from inside its RuntimeError."""
    while isinstance(error, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__
    return error
