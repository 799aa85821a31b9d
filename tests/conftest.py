"""Shared fixtures. No test reaches a network, the user's own files, or the user's keys."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from describe_process import Describe, Forks
from scripted_server import Answer, ScriptedServer

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace, and an environment without keys, proxies or another endpoint."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("DESCRIBE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout; without it the test is skipped, save in CI."""
    path = Path(os.environ.get("SHARED_DIR") or ROOT.parent / "shared")
    if not path.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"CI needs the shared folder at {path}; set SHARED_DIR")
        pytest.skip(f"no shared folder at {path}; set SHARED_DIR")
    return path


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedServer]]:
    """Start scripted servers on loopback: `serve(answer)`; all are stopped at the end."""
    servers: list[ScriptedServer] = []

    def start(answer: Callable[[dict, int], Answer] | None = None, **options) -> ScriptedServer:
        servers.append(ScriptedServer(answer, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """The process that every `describe` run is forked from."""
    started = Forks(tmp_path_factory.mktemp("forks"))
    yield started
    started.stop()


@pytest.fixture
def describe(forks: Forks, tmp_path: Path) -> Describe:
    """`python -m describe` in this test's workspace: `describe("--base-url", server.url)`."""
    return Describe(forks, tmp_path)
