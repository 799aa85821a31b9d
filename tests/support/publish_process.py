"""`python -m describe.publish` in processes of their own, forked from one with all libraries.

Not huggingface_hub: that reads the environment once, when it is imported.
"""

import multiprocessing
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path

from fake_hub import FakeHub

TOKEN = "hf_canary0123456789abcdefghijklmnop"
WAIT_S = 120.0  # what no run here needs; a test that hangs says so
_WARM = ("describe.publish", "describe.validate_version", "pyarrow.parquet", "yaml", "typeguard")

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([*_WARM, "publish_process"])


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a user sees of a run that has ended."""

    status: int
    """Exit status; that of a process killed by signal 9 is -9."""

    out: str
    err: str


class PublishProcess:
    """A run under way."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._files = [folder / f"publish.{name}" for name in ("out", "err")]
        args = (list(argv), dict(environment), [str(path) for path in self._files])
        self._process = _forks.Process(target=_run, args=args)
        self._process.start()

    def kill(self) -> None:
        """End it as `kill -9` does, and wait for that."""
        self._process.kill()
        # Not `join`: another thread may be in `wait`, and only one can read the status.
        connection.wait([self._process.sentinel], WAIT_S)

    def wait(self) -> Published:
        """Wait for its end."""
        self._process.join(WAIT_S)
        assert self._process.exitcode is not None, "it hangs"
        out, err = (path.read_text() if path.exists() else "" for path in self._files)
        return Published(status=self._process.exitcode, out=out, err=err)


class Publish:
    """Runs the command in processes of their own."""

    def __init__(self, hub: FakeHub, folder: Path) -> None:
        self.hub = hub
        self.folder = folder
        self.process: PublishProcess

    def __call__(self, *args: str, **environment: str) -> Published:
        given = ["toy", "--repo", "toy", "--no-load"] if not args or args[0][0] == "-" else []
        hub = {
            "HF_ENDPOINT": self.hub.url,
            "HF_HOME": str(self.folder / "hf"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
            "HF_TOKEN": TOKEN,
        }
        self.process = PublishProcess(
            [*given, *args], {**os.environ, **hub, **environment}, self.folder
        )
        return self.process.wait()


def _run(argv: list[str], environment: dict[str, str], files: list[str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for number, path in zip((1, 2), files, strict=True):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), number)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", encoding="utf-8")
    assert "huggingface_hub" not in sys.modules
    status = 99
    try:
        from describe.publish import main

        status = main(argv)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
