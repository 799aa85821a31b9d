"""How much of training and evaluation is spent on videos: `python benchmarks/video_loading.py`."""

import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro
from measure import HEADER, Figure, load, machine

from adapt.frames import clip_frames, view_boxes, view_short_side
from adapt.loader_cache import FrameCache
from adapt.loader_job import Source, ViewJob
from adapt.splits import Video, VideoList
from adapt.video import decode
from adapt.video_config import ClipConfig, LoadConfig, ViewConfig
from describe.classes import ActionClass

if TYPE_CHECKING:
    from adapt.backbone import ViCLIP

ROOT = Path(__file__).parent.parent
NUM_FRAMES, IMAGE_SIZE = 8, 224
BATCH_SIZE = 4
LOAD = LoadConfig(workers=1)  # two cores; the model has both


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a loop took, in seconds."""

    wall_s: float
    waited_s: float
    cpu_s: float
    """Of this process and of its workers, which have ended."""

    videos: int

    @property
    def model_share(self) -> float:
        """Percent of wall time that was not spent waiting for videos."""
        return 100 * (1 - self.waited_s / self.wall_s)


def figures(repeats: int = 1, *, quick: bool = False) -> Iterator[Figure]:
    """Measure all figures; quickly: with fewer steps and videos."""
    with TemporaryDirectory() as folder:
        clips = find_clips(Path(folder), count=8)
        yield once_a_video(first(clips, 3 if quick else 8), repeats)
        trained = [train(clips, steps=2 if quick else 6) for _ in range(repeats)]
        yield Figure(
            name="training, B/16, few-shot recipe: share of the model in wall time",
            values=[run.model_share for run in trained],
            at_least=90,
            unit="%",
            detail=_said(trained),
        )
        videos = first(clips, 1 if quick else 2)
        many = [evaluate(videos, ViewConfig(num_clips=10, num_crops=3)) for _ in range(repeats)]
        one = [evaluate(videos, ViewConfig(num_clips=1, num_crops=1)) for _ in range(repeats)]
        yield Figure(
            name="evaluation, B/16, 10 x 3 views: share of the model in wall time",
            values=[run.model_share for run in many],
            at_least=90,
            unit="%",
            detail=_said(many),
        )
        yield Figure(
            name="evaluation, 30 views / 1 view, CPU time of all processes",
            values=[m.cpu_s / o.cpu_s for m, o in zip(many, one, strict=True)],
            at_most=30,
            detail=", ".join(
                f"{m.cpu_s / m.videos:.1f} / {o.cpu_s / o.videos:.2f} s a video"
                for m, o in zip(many, one, strict=True)
            ),
        )


def first(clips: VideoList, count: int) -> VideoList:
    """Return the first few of a list."""
    return replace(clips, videos=clips.videos[:count])


def once_a_video(clips: VideoList, repeats: int) -> Figure:
    """Compare the CPU time of decoding once a video with that of once a view; equal pixels."""
    ratios, seen = [], []
    for _ in range(repeats):
        once_s = each_s = 0.0
        for video in clips.videos:
            began = time.process_time()
            once = view_job(video).run(FrameCache(0))
            half = time.process_time()
            plain = once_a_view(video)
            each_s += time.process_time() - half
            once_s += half - began
            assert (once == plain).all(), video.name
        ratios.append(once_s / each_s)
        seen.append(f"{once_s / len(clips):.2f} / {each_s / len(clips):.2f} s a video")
    return Figure(
        name="10 x 3 views: decoding once a video / once a view, CPU time",
        values=ratios,
        at_most=0.2,
        detail=f"{', '.join(seen)}; equal pixels",
    )


def view_job(video: Video) -> ViewJob:
    source = Source(
        key=video.name, path=video.path, start_seconds=None, end_seconds=None, decoder="auto"
    )
    return ViewJob(
        source=source, num_clips=10, num_crops=3, num_frames=NUM_FRAMES, image_size=IMAGE_SIZE
    )


def once_a_view(video: Video) -> np.ndarray:
    """Return (V, T, S, S, 3): the file is opened and decoded for each view."""
    size = IMAGE_SIZE
    views = []
    for view in range(30):
        clip, crop = divmod(view, 3)
        frames = decode(
            video.path,
            lambda info, clip=clip: clip_frames(info.num_frames, NUM_FRAMES, 10)[clip],
            short_side=view_short_side(size, 3),
        )
        left, top, width, height = view_boxes(*frames.shape[1:3], size, 3)[crop]
        views.append(frames[:, top : top + height, left : left + width])
    return np.stack(views)


def train(clips: VideoList, steps: int) -> Run:
    """Train a few steps, workers started within the time that is measured."""
    import torch

    from adapt.adapted import AdaptedModel
    from adapt.adapter_config import FEW_SHOT
    from adapt.loader import TrainLoader
    from adapt.step import StepConfig, accumulate_gradients
    from adapt.text import tokenize_classes

    model = AdaptedModel(backbone(), FEW_SHOT).train()
    prompts = model.prepare_prompts(tokenize_classes(clips.readable_names).ids)
    descriptions = [torch.randn(len(clips.classes), 512) for _ in range(2)]
    optimizer = torch.optim.AdamW(model.trainable_parameters(), lr=1e-3)
    cpu_s, began, waited_s, done = _cpu_s(), time.perf_counter(), 0.0, 0
    with TrainLoader(
        clips,
        ClipConfig(),
        LOAD,
        batch_size=BATCH_SIZE,
        seed=0,
        num_frames=NUM_FRAMES,
        image_size=IMAGE_SIZE,
    ) as loader:
        epochs = -(-steps // loader.steps_per_epoch)
        batches = (batch for epoch in range(epochs) for batch in loader.epoch(epoch))
        for batch in islice(batches, steps):
            waited_s += batch.waited_seconds
            accumulate_gradients(
                model, prompts, descriptions, batch.pixels(), batch.labels, StepConfig()
            )
            optimizer.step()
            optimizer.zero_grad()
            done += len(batch.indices)
    wall_s = time.perf_counter() - began
    return Run(wall_s=wall_s, waited_s=waited_s, cpu_s=_cpu_s() - cpu_s, videos=done)


def evaluate(clips: VideoList, views: ViewConfig) -> Run:
    """Embed all views of all clips, workers started within the time that is measured."""
    import torch

    from adapt.loader import VideoViews, ViewLoader

    model = backbone().eval()
    cpu_s, began, waited_s = _cpu_s(), time.perf_counter(), 0.0
    with (
        ViewLoader(clips, views, LOAD, num_frames=NUM_FRAMES, image_size=IMAGE_SIZE) as loader,
        torch.inference_mode(),
    ):
        found = iter(loader)
        asked = began
        while (each := next(found, None)) is not None:
            assert isinstance(each, VideoViews), each
            waited_s += time.perf_counter() - asked
            for part in each.frames.split(3):
                model.encode_video(each.normalise(part))
            asked = time.perf_counter()
        waited_s += time.perf_counter() - asked
    wall_s = time.perf_counter() - began
    return Run(wall_s=wall_s, waited_s=waited_s, cpu_s=_cpu_s() - cpu_s, videos=len(clips))


def backbone() -> "ViCLIP":
    """Return a ViCLIP-B/16 with random weights."""
    import torch

    from adapt.backbone import VICLIP_B16, ViCLIP

    torch.manual_seed(0)
    return ViCLIP(VICLIP_B16)


def find_clips(folder: Path, count: int) -> VideoList:
    """Return real clips where there are any, or write some of the same size into `folder`."""
    shared = Path(os.environ.get("SHARED_DIR") or ROOT.parent / "shared") / "videos"
    found = sorted(shared.glob("k400/*/*.m*")) + sorted(shared.glob("hmdb51/*/*.avi"))
    paths = found[:count] or [write_clip(folder / f"{i}.mp4", seed=i) for i in range(count)]
    names = tuple(f"action {i}" for i in range(len(paths)))
    return VideoList(
        name="clips",
        dataset="bench",
        classes=tuple(ActionClass(class_id=i, name=n, readable=n) for i, n in enumerate(names)),
        videos=tuple(
            Video(name=path.name, path=path, class_name=name)
            for path, name in zip(paths, names, strict=True)
        ),
    )


def write_clip(path: Path, seed: int, num_frames: int = 250) -> Path:
    """Write ten seconds of a drifting texture, 340 x 256, as Kinetics copies often are."""
    import av

    texture = np.random.default_rng(seed).integers(0, 256, (32, 43, 3), np.uint8)
    picture = np.kron(texture, np.ones((8, 8, 1), np.uint8))[:256, :340]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, options={"g": "50"})
        stream.height, stream.width, stream.pix_fmt = 256, 340, "yuv420p"
        for i in range(num_frames):
            frame = np.ascontiguousarray(np.roll(picture, 2 * i, axis=1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def _cpu_s() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(each)[:2]) for each in who)


def _said(runs: Sequence[Run]) -> str:
    each = (f"{r.waited_s:.2f} of {r.wall_s:.1f} s waited, {r.videos} videos" for r in runs)
    return f"{', '.join(each)}; workers started within"


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """Measure what videos cost."""

    quick: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Fewer steps and videos."""

    repeats: int = 1
    """How often each arm runs."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table. Returns 1 when a figure is missed."""
    config = tyro.cli(BenchConfig, args=argv, prog="video_loading", description=__doc__)
    print(f"{machine()}; {load()}\n\n{HEADER}", flush=True)
    missed = 0
    for figure in figures(config.repeats, quick=config.quick):
        print(figure.row(), flush=True)
        missed += not figure.is_met
    print(load(), file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
