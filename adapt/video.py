"""A video file becomes frames: chosen by index, scaled as they are decoded, upright.

decord first, PyAV for all that decord reads wrongly or not at all. Both count the same frames and
scale alike, so which of them decoded hardly shows: pixels differ by less than 0.5 of 255 in the
mean (their FFmpeg versions round colours differently when they scale), and not at all unscaled.

Shapes: T frames, H and W in pixels.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapt.video_config import DecoderChoice
from adapt.video_decord import decode_decord, has_decord
from adapt.video_probe import Packets, VideoError, VideoInfo, read_packets
from adapt.video_pyav import decode_pyav
from describe.errors import UserError

__all__ = ["Frames", "Pick", "VideoError", "VideoInfo", "check_decoder", "decode", "probe"]

Frames = NDArray[np.uint8]
Indices = Sequence[int] | NDArray[np.int64]
Pick = Callable[[VideoInfo], Indices]


def decode(
    path: Path,
    pick: Pick | Indices,
    *,
    short_side: int | None,
    decoder: DecoderChoice = "auto",
    start_seconds: float | None = None,
    end_seconds: float | None = None,
) -> Frames:
    """Decode chosen frames of a video.

    A file that breaks off is decoded as far as it goes, if at least half of the frames that it
    promises are there; so is a damaged one, where the frame before stands for a missing one.

    Args:
        path: The file.
        pick: Indices of frames, or what chooses them. They count from `start_seconds` on, in any
            order, and may repeat.
        short_side: Pixels that the shorter side is scaled to; None leaves frames as they are.
        decoder: Which library decodes.
        start_seconds: Where the action begins; frames shown before it are not counted.
        end_seconds: Where the action ends; frames shown from then on are not counted.

    Returns:
        (T, H, W, 3), uint8, red green blue, upright.

    Raises:
        VideoError: The file cannot be decoded. The message names it and says why.
        IndexError: An index is outside of what `pick` was shown.
    """
    packets = read_packets(path)
    window = packets.window(start_seconds, end_seconds)
    info = packets.info(window)
    chosen = np.asarray(pick(info) if callable(pick) else pick, dtype=np.int64)
    indices, places = np.unique(np.asarray(window)[chosen], return_inverse=True)
    frames = _decode(packets, indices.tolist(), info.size(short_side), decoder)
    is_in_order = np.array_equal(places, np.arange(len(frames)))
    return frames if is_in_order else frames[places]


def probe(
    path: Path, start_seconds: float | None = None, end_seconds: float | None = None
) -> VideoInfo:
    """Return how many frames a video has, and their size.

    Raises:
        VideoError: There is no video in the file, or nothing between start and end.
    """
    packets = read_packets(path)
    return packets.info(packets.window(start_seconds, end_seconds))


def check_decoder(decoder: DecoderChoice) -> None:
    """Refuse a decoder that is not there.

    Raises:
        UserError: decord is asked for and not installed.
    """
    if decoder == "decord" and not has_decord():
        raise UserError("decord is not installed; use --decoder auto or pyav")


def _decode(
    packets: Packets, indices: list[int], size: tuple[int, int], decoder: DecoderChoice
) -> Frames:
    if decoder == "decord" or (decoder == "auto" and has_decord()):
        try:
            return decode_decord(packets, indices, size)
        except VideoError:
            if decoder == "decord":
                raise
    return decode_pyav(packets, indices, size)
