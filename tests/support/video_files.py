"""Small videos whose frames say which they are, for tests to write, damage and read back."""

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

STRIPES = 8
HEIGHT, WIDTH = 48, 64


def picture(number: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A frame with `number` in stripes, the lowest bit on the left, under a red band on top."""
    frame = np.zeros((height, width, 3), np.uint8)
    edges = np.linspace(0, width, STRIPES + 1).astype(int)
    for bit in range(STRIPES):
        frame[:, edges[bit] : edges[bit + 1]] = 255 * (number >> bit & 1)
    frame[: height // 4] = (255, 0, 0)
    return frame


def read_number(frame: np.ndarray) -> int:
    """The number in a decoded frame."""
    lower = frame[frame.shape[0] // 2 :].mean(axis=(0, 2))
    return sum(
        1 << bit for bit, part in enumerate(np.array_split(lower, STRIPES)) if part.mean() > 127
    )


def read_numbers(frames: np.ndarray) -> list[int]:
    return [read_number(frame) for frame in frames]


def is_upright(frame: np.ndarray) -> bool:
    """Whether the red band is on top."""
    red, green, _ = frame[: max(1, frame.shape[0] // 8)].mean(axis=(0, 1))
    return bool(red > 200 and green < 60)


def solid(level: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def write_video(
    path: Path,
    frames: int | Sequence[np.ndarray] = 40,
    *,
    codec: str = "mpeg4",
    stamps_ms: Sequence[int] | None = None,
    fps: int = 10,
    key_every: int = 10,
    rotation: int | None = None,
    pix_fmt: str = "yuv420p",
    **options: str,
) -> Path:
    """Write pictures, or as many numbered ones; `stamps_ms`: when each is shown."""
    pictures = [picture(i) for i in range(frames)] if isinstance(frames, int) else list(frames)
    os.environ["SVT_LOG"] = "1"  # or the AV1 encoder tells its life on stderr
    base = Fraction(1, fps) if stamps_ms is None else Fraction(1, 1000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options={"g": str(key_every), **options})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = stream.time_base = base
        if codec == "mpeg4":
            stream.bit_rate = 2_000_000
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for i, each in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(each, format="rgb24")
            frame.pts = i if stamps_ms is None else stamps_ms[i]
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    """A tenth of a second of silence, and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 800), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_mp4_index_first(path: Path, frames: int = 40) -> list[int]:
    """Write an mp4 whose index stands before its frames: a cut takes frames away, and no index.

    Returns where in the file each frame is, in the order of the frames.
    """
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        options = {"g": "10", "bf": "0", "sc_threshold": "0"}
        stream = container.add_stream("libx264", rate=10, options=options)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for i in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(i), format="rgb24")))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        return [packet.pos for packet in container.demux(video=0) if packet.size]
