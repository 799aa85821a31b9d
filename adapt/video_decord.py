"""Frames by index with decord, for the files that it reads correctly."""

import importlib.util
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from adapt.video_probe import Packets, VideoError

Frames = NDArray[np.uint8]

# The formats that its frames were compared with PyAV's in.
TRUSTED = ("avi", "matroska", "mov")


def has_decord() -> bool:
    """Return whether decord is installed; there is none for arm64."""
    return importlib.util.find_spec("decord") is not None


def known_fault(packets: Packets) -> str | None:
    """Return why decord would give other frames than those asked for; None where it does not.

    Seen with decord 0.6: frames of rotated videos have a fourth channel; after a seek in an AVI
    with reordered frames, and anywhere in MPEG program and transport streams, the frames are beside
    those asked for.
    """
    if packets.rotation:
        return "a rotated video"
    if packets.container == "avi" and packets.reorders:
        return "reordered frames in an AVI"
    if not any(name in packets.container for name in TRUSTED):
        return f"the format {packets.container}"
    return None


def decode_decord(packets: Packets, indices: Sequence[int], size: tuple[int, int]) -> Frames:
    """Decode the frames at `indices`, ascending and distinct, scaled to `size`.

    Files that decord is known to read wrongly without saying so are refused.

    Args:
        packets: Of the file.
        indices: Frames of the whole file.
        size: Height and width as shown.

    Returns:
        (T, H, W, 3), uint8.

    Raises:
        VideoError: decord cannot be trusted with the file, or fails.
    """
    fault = known_fault(packets)
    if fault is not None:
        raise VideoError(packets.path, f"decord cannot be trusted with {fault}")
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    stored = (packets.height, packets.width)
    scale = {} if size == stored else {"height": size[0], "width": size[1]}
    try:
        reader = decord.VideoReader(str(packets.path), num_threads=1, **scale)
        if len(reader) != len(packets.seconds):
            count = len(packets.seconds)
            raise VideoError(packets.path, f"decord sees {len(reader)} frames of {count}")
        frames: Frames = reader.get_batch(list(indices)).asnumpy()
    except (decord.DECORDError, RuntimeError, IndexError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise VideoError(packets.path, f"decord: {reason}") from error
    if frames.shape != (len(indices), *size, 3):
        raise VideoError(packets.path, f"decord gives frames of shape {frames.shape}")
    return frames
