"""Films of the miniature world as video files, with lists and descriptions beside them."""

import csv
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapt.evaluate_progress import Counter
from adapt.miniature_classes import Action, load_actions
from adapt.miniature_config import MiniatureConfig
from adapt.miniature_render import render
from adapt.miniature_world import TASKS, make_film
from describe.errors import UserError
from describe.terminal import show

SIZE = 64
"""Height and width of the files, in pixels: decord cannot read widths that 32 does not divide."""

# Nearly without loss; 4:2:0, which every player and both decoders know. Grain is grey, so that
# halving the resolution of colour takes nothing away that tells actions apart.
ENCODER = "libx264"
PIXEL_FORMAT = "yuv420p"
# Without "no-mbtree" x264 reads memory that nobody wrote: the same frames give other bytes.
ENCODER_OPTIONS = {
    "crf": "10",
    "preset": "veryfast",
    "threads": "1",
    "x264-params": "no-mbtree=1",
}

PARTS = ("train", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """The videos of one class in one part."""

    folder: Path
    part: str
    action: Action
    count: int


def frame_times(num_frames: int) -> NDArray[np.float32]:
    """Return the middles of `num_frames` equal parts of a film, (T,), in [0, 1]."""
    return ((np.arange(num_frames) + 0.5) / num_frames).astype(np.float32)


def draw_videos(
    action: Action,
    part: str,
    count: int,
    seed: int,
    *,
    times: NDArray[np.float32],
    size: int = SIZE,
) -> NDArray[np.uint8]:
    """Draw the videos of one class; no other class or part has any effect on them.

    Args:
        action: The class.
        part: `train`, `test`, or the name of any other sample.
        count: How many. The first ones are the same for any count.
        seed: Of the whole.
        times: (T,) of the frames, in [0, 1].
        size: Height and width.

    Returns:
        (count, T, size, size, 3).
    """
    drawn = []
    for number in range(count):
        rng = np.random.default_rng([seed, *part.encode(), action.action.class_id, number])
        film = make_film(TASKS, [action.shape], [action.motion], times[None], rng)
        drawn.append((render(TASKS, film, size, rng)[0] * 255 + 0.5).astype(np.uint8))
    return np.stack(drawn)


def write_miniature(config: MiniatureConfig) -> None:
    """Write everything and say where it is.

    Raises:
        UserError: The folder cannot be written or has videos already.
    """
    from adapt.miniature_descriptions import VARIANTS, write_descriptions

    root, actions = config.out.expanduser(), load_actions()
    _refuse_full(root)
    counts = {"train": config.train_per_class, "test": config.test_per_class}
    jobs = [
        _Job(folder=root / part / each.action.name, part=part, action=each, count=counts[part])
        for part in PARTS
        for each in actions
    ]
    counter, total = Counter("drawn"), sum(job.count for job in jobs)
    try:
        for job in jobs:
            job.folder.mkdir(parents=True, exist_ok=True)
        workers = len(os.sched_getaffinity(0))
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            written = []
            for done in pool.map(partial(_write_class, config), jobs):
                written.append(done)
                counter(sum(map(len, written)), total)
        for part in PARTS:
            rows = [row for job, rows in zip(jobs, written, strict=True)
                    if job.part == part for row in rows]  # fmt: skip
            _write_list(root / f"{part}.csv", rows)
    except OSError as error:
        raise UserError(f"cannot write {error.filename or root}: {error.strerror}") from error
    for variant in VARIANTS:
        write_descriptions(root / "descriptions", variant)
    show(f"{sum(map(len, written))} videos of {len(actions)} actions in {root}")


def _refuse_full(root: Path) -> None:
    for part in PARTS:
        if (root / part).exists() or (root / f"{part}.csv").exists():
            raise UserError(f"{root} has videos already; give another folder, or delete it")


def _write_class(config: MiniatureConfig, job: _Job) -> list[tuple[str, str]]:
    rows = []
    times = frame_times(config.num_frames)
    videos = draw_videos(job.action, job.part, job.count, config.seed, times=times)
    for number, video in enumerate(videos):
        path = job.folder / f"{number:04d}.mp4"
        encode(path, video, config.frames_per_second)
        rows.append((f"{job.part}/{job.folder.name}/{path.name}", job.action.action.name))
    return rows


def encode(path: Path, video: NDArray[np.uint8], frames_per_second: int) -> None:
    """Write (T, H, W, 3) pixels as an mp4."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(ENCODER, rate=frames_per_second, options=ENCODER_OPTIONS)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = video.shape[1:3]
        stream.pix_fmt = PIXEL_FORMAT
        for number, pixels in enumerate(video):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _write_list(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "class"))
        writer.writerows(rows)
