"""One worker process, as seen from the run: asked for frames, ended when it hangs."""

import contextlib
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
from numpy.typing import NDArray

from adapt.loader_job import Job
from adapt.loader_worker import BAD, HEADER, LENGTH
from describe.errors import UserError

Frames = NDArray[np.uint8]

START_TIMEOUT_S = 120.0
_DYING_S = 5.0
_CODE = "import sys; sys.path[:] = {path!r}; from adapt.loader_worker import main; main()"


class Bad(str):
    """Why a video has no frames."""


Outcome = Frames | Bad


class _NoReply(Exception):
    """The process hangs or is gone; the message says which."""


class _Limit:
    """Seconds that something may take, from now on."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._deadline = time.monotonic() + seconds

    @property
    def left_s(self) -> float:
        return max(0.0, self._deadline - time.monotonic())


class DecodeProcess:
    """A worker process. Not for several threads at once, except for `kill`.

    Args:
        cache_bytes: Memory it may keep frames in.
    """

    def __init__(self, cache_bytes: int) -> None:
        self._cache_bytes = cache_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False

    def start(self) -> None:
        """Start it, unless it runs, and wait until it is ready.

        Raises:
            UserError: It does not start.
        """
        if self._process is not None or self._killed:
            return
        self._process = self._open()
        if self._killed:  # while it was being started
            self._process.kill()
        try:
            self._read(memoryview(bytearray(HEADER.size)), _Limit(START_TIMEOUT_S))
        except _NoReply as error:
            self.end()
            raise UserError(
                f"a process that decodes videos does not start ({error}); try --workers 0"
            ) from error

    def _open(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", _CODE.format(path=sys.path), str(os.getpid())]
        try:
            # What it prints is kept out of sight: FFmpeg has much to say. The last line may tell
            # why it died.
            self._stderr = tempfile.TemporaryFile()
            return subprocess.Popen(
                [*command, str(self._cache_bytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                bufsize=0,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                process_group=0,  # Ctrl-C is for the run, which ends its workers itself
            )
        except OSError as error:  # no memory, no room in /tmp, too many files or processes
            raise UserError(
                f"cannot start a decoding process: {error.strerror or error}; try --workers 0"
            ) from error

    def run(self, job: Job, timeout_s: float) -> Outcome:
        """Return the job's frames, or why there are none. Starts the process where none runs.

        Raises:
            UserError: It does not start.
        """
        if self._process is not None and self._process.poll() is not None:
            self.end()  # it died between two jobs, which is no fault of this video
        self.start()
        try:
            return self._ask(job, timeout_s)
        except _NoReply as error:
            self.end()
            return Bad(str(error))

    def kill(self) -> None:
        """End the process for good; `run` returns soon after. From any thread."""
        self._killed = True
        process = self._process
        if process is not None:
            process.kill()

    def end(self) -> None:
        """End the process and everything that belongs to it; `run` would start another."""
        if self._process is None:
            return
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel; not our wait
            self._process.wait(5)
        for pipe in (self._process.stdin, self._process.stdout, self._stderr):
            if pipe is not None:
                pipe.close()
        self._process = None

    def _ask(self, job: Job, timeout_s: float) -> Outcome:
        process = self._process
        if process is None or process.stdin is None:
            raise _NoReply("ended")
        message = pickle.dumps(job)
        limit = _Limit(timeout_s)
        with contextlib.suppress(BrokenPipeError):  # it is gone; the read says how it went
            process.stdin.write(LENGTH.pack(len(message)) + message)
        header = bytearray(HEADER.size)
        self._read(memoryview(header), limit)
        kind, length = HEADER.unpack(header)
        if kind == BAD:
            reason = bytearray(length)
            self._read(memoryview(reason), limit)
            return Bad(reason.decode())
        frames = np.empty(job.shape, np.uint8)
        assert frames.nbytes == length
        self._read(frames.data.cast("B"), limit)
        return frames

    def _read(self, into: memoryview, limit: "_Limit") -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        while into:
            if not poll.poll(limit.left_s * 1000):
                raise _NoReply(f"took longer than {limit.seconds:g} s")
            count = os.readv(pipe, [into])
            if count == 0:
                raise _NoReply(self._how_it_died())
            into = into[count:]

    def _how_it_died(self) -> str:
        assert self._process is not None
        try:
            status = self._process.wait(_DYING_S)
        except subprocess.TimeoutExpired:  # it closed its pipe, and lives; it will be killed
            return "the decoder closed its output"
        if status < 0:
            return f"the decoder crashed ({_signal_name(-status)})"
        self._stderr.seek(0)
        lines = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        last = f": {lines[-1][:200]}" if lines else ""
        return f"the decoder ended with status {status}{last}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
