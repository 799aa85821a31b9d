"""`python -m describe` as a user runs it: processes of their own, and all that they leave behind.

Most of what a run costs is importing libraries, and these tests are a hundred runs. So one process
imports them once, and each run is a fork of it, with its own pid, environment, signals and files.
What depends on how the interpreter starts is run by `Describe.fresh` instead.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
WAIT_S = 120.0  # what no run here needs; a test that hangs says so

# Imported before the forks: what a run imports, early or late.
WARM: tuple[str, ...] = (
    "aiohttp",
    "diskcache",
    "instant_clip_tokenizer",
    "jinja2.sandbox",
    "pyarrow.parquet",
)
WARM += ("pandas", "pyarrow.compute", "rich.progress", "typeguard", "tyro", "yaml")
WARM += ("describe.build", "describe.summary", "describe.__main__")

# The last line tells a scripted server what it is asked for: `spatial: archery`.
PROMPT = """Write {{ n }} sentences.{% if confusable %} Do not confuse it with: {{ confusable }}.
{% endif %}

{{ kind }}: {{ class_name }}"""

ACTIONS = tuple(
    "archery bowling cycling dancing eating fencing golfing hiking ironing juggling knitting "
    "laughing".split()
)


def asked(body: Mapping[str, Any]) -> tuple[str, str]:
    """Return the readable class name and the kind that a request asks for."""
    kind, _, name = body["messages"][-1]["content"].rpartition("\n")[2].partition(": ")
    return name, kind


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a user sees of a run that has ended."""

    status: int
    """Exit status; that of a process killed by signal 9 is -9."""

    out: str
    err: str


class Running:
    """A run under way, a fork."""

    def __init__(self, connection: socket.socket, out: Path, err: int) -> None:
        self._connection = connection
        self._lines = connection.makefile()
        self._out = out
        self._err = open(err, encoding="utf-8", errors="replace")
        self._said = ""
        self.pid = int(self._lines.readline())

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def until(self, words: str) -> None:
        """Wait until it has said `words` on standard error."""
        while words not in self._said:
            line = self._err.readline()
            assert line, f"it ended without saying {words!r}: {self._said}"
            self._said += line

    def wait(self) -> Ended:
        """Wait for its end."""
        with self._err, self._connection:
            err = self._said + self._err.read()
            status = int(self._lines.readline())
        out = self._out.read_text(encoding="utf-8", errors="replace")
        return Ended(status=status, out=out, err=err)


class Forks:
    """The process that is forked for each run."""

    def __init__(self, folder: Path) -> None:
        self._address = str(folder / "forks")
        self._process = subprocess.Popen(
            [sys.executable, __file__, self._address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C on the tests is not for it
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def start(
        self, argv: Sequence[str], environment: Mapping[str, str], folder: Path, number: int
    ) -> Running:
        """Start `python -m describe` with these arguments, in `folder`."""
        out = folder / f"{number}.out"
        err, err_of_run = os.pipe()
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(WAIT_S)
        connection.connect(self._address)
        order = {"argv": argv, "environment": dict(environment), "folder": str(folder)}
        with out.open("wb") as file, open(err_of_run, "wb") as pipe:
            files = [file.fileno(), pipe.fileno()]
            socket.send_fds(connection, [json.dumps(order).encode()], files)
        return Running(connection, out, err)

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(WAIT_S)


class Describe:
    """Runs `python -m describe` in one workspace.

    A run gets `--prompts` and `--classes` of this object first, so that it may be told otherwise.

    Args:
        forks: Where runs come from.
        folder: Of prompts, class list and output; the workspace is its `home`.
    """

    def __init__(self, forks: Forks, folder: Path) -> None:
        self._forks = forks
        self._number = 0
        self.folder = folder
        self.home = folder / "home"
        self.prompts = folder / "prompts"
        self.prompts.mkdir()
        for kind in ("spatial", "temporal"):
            (self.prompts / f"{kind}.jinja").write_text(PROMPT)
        self.classes(*ACTIONS[:3])

    def classes(self, *names: str) -> Path:
        """Write the class list."""
        path = self.folder / "actions.txt"
        path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        return path

    def argv(self, *args: object) -> list[str]:
        """Return the arguments of a run."""
        given = ["--prompts", str(self.prompts)]
        if "--dataset" not in args:
            given += ["--classes", str(self.folder / "actions.txt")]
        return [*given, *map(str, args)]

    def start(self, *args: object, **environment: str) -> Running:
        """Start a run; `environment` is added to that of the tests."""
        self._number += 1
        return self._forks.start(
            self.argv(*args), {**os.environ, **environment}, self.folder, self._number
        )

    def __call__(self, *args: object, **environment: str) -> Ended:
        """Run to the end."""
        return self.start(*args, **environment).wait()

    def fresh(
        self,
        *args: object,
        command: Sequence[str] = (sys.executable, "-m", "describe"),
        **environment: str,
    ) -> Ended:
        """Run to the end in an interpreter of its own."""
        done = subprocess.run(
            [*command, *self.argv(*args)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            timeout=WAIT_S,
        )
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        return Ended(status=done.returncode, out=out, err=err)

    def files(self, below: str = "") -> dict[str, bytes]:
        """Return the bytes of every file in the workspace, or in a folder of it."""
        root = self.home / below
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def serve(address: str) -> None:
    """Fork for each connection until standard input closes; return in each run's own process."""
    for name in WARM:
        importlib.import_module(name)
    importlib.import_module("describe.tokens").num_clip_tokens("loads the vocabulary")
    gc.freeze()  # a run's garbage collector leaves alone what it shares with the others
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the watchers
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    print("ready", flush=True)
    while listener in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _watch(connection)
            return
        connection.close()
    sys.exit()


def _watch(connection: socket.socket) -> None:
    """Fork the run, tell its pid and then its exit status; return in the run's process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    data, files, *_ = socket.recv_fds(connection, 1 << 18, 2)
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become(json.loads(data), files)
        return
    connection.sendall(f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(order: Mapping[str, Any], files: Sequence[int]) -> None:
    """Take on the arguments, the environment and the output files of a run."""
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, file in zip((1, 2), files, strict=True):
        os.dup2(file, number)
        os.close(file)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["describe", *order["argv"]]


if __name__ == "__main__":
    serve(sys.argv[1])
    from describe.__main__ import main

    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # to take all the libraries apart would take longer than the run
