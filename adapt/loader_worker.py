"""A process that decodes: jobs come in on one pipe, frames leave on another. It has no torch.

It dies with the process that started it, however that one died and whatever is being decoded.
"""

import os
import pickle
import queue
import signal
import struct
import sys
import threading
from typing import BinaryIO

import numpy as np

from adapt.loader_cache import FrameCache
from adapt.loader_job import Job
from adapt.video import VideoError

# A reply: its kind, and how many bytes of frames or of UTF-8 text follow.
HEADER = struct.Struct("<BQ")
READY, FRAMES, BAD = range(3)
LENGTH = struct.Struct("<I")

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve jobs until the parent is gone."""
    parent = int(sys.argv[1])
    _die_with(parent)
    # What a library prints must not get in among the frames.
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    threading.Thread(target=_read_jobs, args=(sys.stdin.buffer, jobs), daemon=True).start()
    cache = FrameCache(int(sys.argv[2]))
    _load_libraries()
    _send(out, READY, b"")
    while True:
        job = jobs.get()
        try:
            frames = job.run(cache)
        except VideoError as error:
            _send(out, BAD, error.reason.encode("utf-8", "backslashreplace"))
        else:
            _send(out, FRAMES, np.ascontiguousarray(frames).data.cast("B"))


def _read_jobs(stream: BinaryIO, jobs: "queue.SimpleQueue[Job]") -> None:
    """Pass jobs on; leave at once when the pipe ends, even in the middle of a decode."""
    while len(length := stream.read(LENGTH.size)) == LENGTH.size:
        jobs.put(pickle.loads(stream.read(*LENGTH.unpack(length))))
    os._exit(0)


def _send(out: BinaryIO, kind: int, content: "bytes | memoryview") -> None:
    out.write(HEADER.pack(kind, len(content)))
    rest = memoryview(content)
    while rest:
        rest = rest[out.write(rest) :]


def _die_with(parent: int) -> None:
    """Have the kernel end this process with its parent: a decoder may never look at the pipe."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked
            os._exit(0)


def _load_libraries() -> None:
    """Import what decodes before the first job, whose time is measured."""
    import av  # noqa: F401

    from adapt.video_decord import has_decord

    if has_decord():
        import decord  # noqa: F401
