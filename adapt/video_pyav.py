"""Frames by index with PyAV: reads everything that FFmpeg reads, at the cost of some speed."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapt.video_probe import Packets, VideoError, decode_packet, open_stream, whole_packets

Frames = NDArray[np.uint8]


def decode_pyav(packets: Packets, indices: Sequence[int], size: tuple[int, int]) -> Frames:
    """Decode the frames at `indices`, ascending and distinct, scaled to `size`.

    Decoding begins at the nearest key frame before each, where that saves work. For a frame that
    is missing, in a damaged file, the one before it stands.

    Args:
        packets: Of the file.
        indices: Frames of the whole file.
        size: Height and width as shown.

    Returns:
        (T, H, W, 3), uint8.

    Raises:
        VideoError: Less than half of the frames can be decoded.
    """
    convert = _Converter(packets.rotation, size)
    found = {index: convert(frame) for index, frame in _seek_frames(packets, indices)}
    if len(found) < len(indices):
        found = _all_that_comes(packets, indices, convert)
    return np.stack([found[index] for index in indices])


def _seek_frames(packets: Packets, indices: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """Yield (index, frame) for `indices`; stop at the first that is not where it should be."""
    wanted = list(indices)
    with open_stream(packets.path) as (container, stream):
        while wanted:
            start = _key_before(packets, wanted[0])
            if start and packets.stamps is not None:
                container.seek(packets.stamps[start], stream=stream)
            for index, frame in _numbered_frames(packets, container, stream):
                if index > wanted[0]:
                    return
                if index == wanted[0]:
                    yield index, frame
                    wanted.pop(0)
                    if not wanted or _key_before(packets, wanted[0]) > index + 1:
                        break  # the next one is nearer to its own key frame
            else:
                return  # the file ended


def _key_before(packets: Packets, index: int) -> int:
    at = bisect_right(packets.keys, index)
    return packets.keys[at - 1] if at else 0


def _numbered_frames(packets: Packets, container: Any, stream: Any) -> Iterator[tuple[int, Any]]:
    """Yield decoded frames with their indices: by time stamp, else as they come."""
    by_stamp = {stamp: i for i, stamp in enumerate(packets.stamps or ())}
    index = -1
    for packet in whole_packets(container, stream):
        for frame in decode_packet(packet):
            index = by_stamp.get(frame.pts, index + 1)
            yield index, frame


def _all_that_comes(
    packets: Packets, indices: Sequence[int], convert: "_Converter"
) -> dict[int, Frames]:
    """Decode a damaged file from its start, and let the frame before stand for a missing one."""
    wanted = list(indices)
    came = 0
    found: dict[int, Frames] = {}
    before = None
    with open_stream(packets.path) as (container, stream):
        for index, frame in _numbered_frames(packets, container, stream):
            while wanted and wanted[0] < index:
                found[wanted.pop(0)] = convert(before or frame)
            if wanted and wanted[0] == index:
                found[wanted.pop(0)] = convert(frame)
                came += 1
            before = frame
    if before is None or 2 * came < len(indices):
        raise VideoError(packets.path, f"damaged: {came} of {len(indices)} frames can be decoded")
    return found | dict.fromkeys(wanted, convert(before))


class _Converter:
    """Makes frames RGB, scaled and upright, in this thread: one scaler for all frames of a file.

    Left to itself PyAV makes a scaler for each frame, and a set of threads for each scaler.
    """

    def __init__(self, rotation: int, size: tuple[int, int]) -> None:
        from av.video.reformatter import VideoReformatter

        self._scaler: Any = VideoReformatter()
        self._quarter_turns = rotation // 90
        self._height, self._width = size if rotation in (0, 180) else size[::-1]  # as stored

    def __call__(self, frame: Any) -> Frames:
        rgb = self._scaler.reformat(
            frame,
            width=self._width,
            height=self._height,
            format="rgb24",
            interpolation="BILINEAR",
            threads=1,
        )
        picture: Frames = rgb.to_ndarray()
        if not self._quarter_turns:
            return picture
        return np.ascontiguousarray(np.rot90(picture, self._quarter_turns))
