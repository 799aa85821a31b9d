"""What a video file holds, found by reading its packets: headers lie, packets can be counted."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from adapt.frames import scaled_size

# Below this share of the frames that its index lists, a file is a fragment of the action.
LEAST_SHARE = 0.5
# Only these containers list every frame; what others promise is a guess of whoever wrote them.
_WITH_INDEX = "mov"

_COMMON_RATE = Fraction(25)  # frames a second, where a file says nothing


class VideoError(Exception):
    """A video that cannot be decoded.

    Args:
        path: The file.
        reason: What is wrong with it, in a few words.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoInfo:
    """What can be chosen from: the frames between the start and the end that were asked for."""

    num_frames: int
    """Frames to choose from, by index from 0."""

    height: int
    """Height as shown, in pixels: after rotation."""

    width: int
    """Width as shown, in pixels: after rotation."""

    def size(self, short_side: int | None) -> tuple[int, int]:
        """Return height and width of decoded frames."""
        if short_side is None:
            return self.height, self.width
        return scaled_size(self.height, self.width, short_side)


@dataclass(frozen=True, kw_only=True, slots=True)
class Packets:
    """The packets of a file's video stream."""

    path: Path
    container: str
    """FFmpeg's names of the file format, such as `matroska,webm`."""

    seconds: tuple[float, ...]
    """When each frame is shown, ascending, from the first frame on."""

    stamps: tuple[int, ...] | None
    """Time stamp of each frame, ascending, in units of the stream; None where a frame has none, or
    the container has none worth the name, and frames can be counted only."""

    keys: tuple[int, ...]
    """Indices of the frames that decoding can begin at; empty without stamps."""

    height: int
    """Height as stored, in pixels."""

    width: int
    """Width as stored, in pixels."""

    rotation: int
    """Degrees by which stored frames are turned counter-clockwise to be shown: 0, 90, 180, 270."""

    reorders: bool
    """Whether frames are shown in another order than they are stored in."""

    def window(self, start_seconds: float | None, end_seconds: float | None) -> range:
        """Return the frames shown from `start_seconds` up to `end_seconds`.

        Raises:
            VideoError: There is none.
        """
        start = -math.inf if start_seconds is None else start_seconds
        end = math.inf if end_seconds is None else end_seconds
        inside = [i for i, seconds in enumerate(self.seconds) if start <= seconds < end]
        if not inside:
            raise VideoError(
                self.path,
                f"no frame from {start:g} s to {end:g} s; the last is at {self.seconds[-1]:.2f} s",
            )
        return range(inside[0], inside[-1] + 1)

    def info(self, window: range) -> VideoInfo:
        """Return what can be chosen from within `window`."""
        turned = self.rotation in (90, 270)
        height, width = (self.width, self.height) if turned else (self.height, self.width)
        return VideoInfo(num_frames=len(window), height=height, width=width)


def read_packets(path: Path) -> Packets:
    """Read all packets of the video stream, and decode the first frame alone.

    Raises:
        VideoError: There is no video in the file, or too little of it.
    """
    if path.is_file() and not path.stat().st_size:
        raise VideoError(path, "the file is empty")
    with open_stream(path) as (container, stream):
        container_name = container.format.name
        first, found = None, []
        for packet in whole_packets(container, stream):
            if first is None:
                first = next(iter(decode_packet(packet)), None)
            if packet.size and not packet.is_discard:
                found.append((packet.pts, packet.is_keyframe))
        promised = stream.frames if _WITH_INDEX in container_name else 0
        _check_count(path, len(found), promised)
        if first is None:
            raise VideoError(path, "no frame of it can be decoded")
        stamps = sorted(pts for pts, _ in found if pts is not None)
        is_stamped = len(set(stamps)) == len(found)
        if container_name == "avi":  # it stores none: those of reordered frames are guessed
            is_stamped = False
        rate = stream.average_rate or stream.guessed_rate or _COMMON_RATE
        base, reorders = stream.time_base, bool(stream.codec_context.has_b_frames)
    if is_stamped:
        seconds = tuple(float((stamp - stamps[0]) * base) for stamp in stamps)
    else:
        seconds = tuple(float(i / rate) for i in range(len(found)))
    keys = {pts for pts, is_key in found if is_key}
    return Packets(
        path=path,
        container=container_name,
        seconds=seconds,
        stamps=tuple(stamps) if is_stamped else None,
        keys=tuple(i for i, stamp in enumerate(stamps) if stamp in keys) if is_stamped else (),
        height=first.height,
        width=first.width,
        rotation=round(first.rotation / 90) * 90 % 360,
        reorders=reorders,
    )


@contextmanager
def open_stream(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a file at its video stream: the container and the stream, with one decoding thread.

    Raises:
        VideoError: The file cannot be opened, or has no video; also where PyAV fails inside.
    """
    import av

    try:
        # Titles that are not UTF-8 are no reason to give up a video.
        with av.open(str(path), metadata_errors="ignore") as container:
            pictures = av.stream.Disposition.attached_pic  # cover art of audio files
            streams = [s for s in container.streams.video if not s.disposition & pictures]
            if not streams:
                raise VideoError(path, "no video in it")
            stream = streams[0]
            if stream.codec_context is None:
                raise VideoError(path, "coded in a way that is not known")
            stream.thread_type = "NONE"
            stream.codec_context.thread_count = 1
            yield container, stream
    except (av.FFmpegError, OSError) as error:
        raise VideoError(path, describe_error(error)) from error


def whole_packets(container: Any, stream: Any) -> Iterator[Any]:
    """Yield packets, the empty one that ends them included, up to where the file breaks off."""
    import av

    try:
        yield from container.demux(stream)
    except (av.FFmpegError, IndexError):  # IndexError: PyAV, of a stream that begins in mid-file
        return


def decode_packet(packet: Any) -> list[Any]:
    """Return the frames that a packet completes; none where it is damaged."""
    import av

    try:
        return list(packet.decode())
    except av.FFmpegError:
        return []


def describe_error(error: Exception) -> str:
    """Return what FFmpeg or the system says, without the path."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text)


def _check_count(path: Path, count: int, promised: int) -> None:
    if count == 0:
        raise VideoError(path, "no frames in it")
    if count < LEAST_SHARE * promised:
        raise VideoError(path, f"cut short: {count} of {promised} frames are there")
