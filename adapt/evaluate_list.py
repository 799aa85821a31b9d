"""Scoring the videos of a list: each exactly once, on any number of processes."""

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from describe.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from adapt.adapted import AdaptedModel
    from adapt.loader import BadVideo, VideoViews
    from adapt.splits import VideoList
    from adapt.video_config import LoadConfig, ViewConfig

Progress = Callable[[int, int], None]

Row = tuple[int, "NDArray[np.float32]", "NDArray[np.float32]"]
"""Place in the list, cosines (K,) and probabilities (K,) of a video, means over its views."""

# Clips of one forward pass. More fill no device better at 8 frames of 224 pixels, and cost memory.
CLIPS_PER_PASS = 16


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a model makes of a list: of every video that could be read, and why of the others."""

    indices: "NDArray[np.int64]"
    """(n,) places in the list, ascending."""

    cosines: "NDArray[np.float32]"
    """(n, K): cosine of the video's and the class's embedding, the mean over views."""

    probabilities: "NDArray[np.float32]"
    """(n, K): softmax over classes of cosine over 0.01, the mean over views."""

    failed: tuple[tuple[int, str], ...]
    """Place in the list and reason of each video that could not be read."""


def evaluate_list(
    model: "AdaptedModel",
    videos: "VideoList",
    views: "ViewConfig",
    load: "LoadConfig",
    *,
    device: "str | torch.device",
    precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    rank: int = 0,
    world_size: int = 1,
    progress: Progress | None = None,
    clips_per_pass: int = CLIPS_PER_PASS,
) -> Scores:
    """Score every video of a list among the list's own classes.

    Process r of R takes the videos r, r + R, ...; none is padded with and none is dropped, and
    every process returns the scores of all.

    Args:
        model: On `device`; put into evaluation mode.
        videos: The list; its classes are the K that are told apart.
        views: Clips and crops of each video.
        load: How videos are read.
        device: A torch device.
        precision: Of the forward passes; averages are in float32.
        rank: This process, from 0.
        world_size: Processes; more than one needs torch.distributed to be set up.
        progress: Called with the number of this process's videos done, and of all of them.
        clips_per_pass: Views that go through the video tower at once.

    Raises:
        UserError: The list has no video or class, more videos than allowed cannot be read, or the
            device's memory does not hold one clip. What one process meets ends all.
    """
    from adapt.distributed import Processes
    from adapt.loader import ViewLoader

    if not videos.videos or not videos.classes:
        raise UserError(
            f"the list {videos.name!r} has {len(videos.videos)} videos of {len(videos.classes)} "
            "classes; nothing can be evaluated"
        )
    config = model.backbone.config
    processes = Processes(rank=rank, world_size=world_size)
    mine, error = None, None
    try:
        with ViewLoader(
            videos, views, load, num_frames=config.num_frames, image_size=config.image_size,
            rank=rank, world_size=world_size,
        ) as loader:  # fmt: skip
            mine = score_views(
                model, _counted(loader, len(loader), progress), videos.readable_names,
                device=device, precision=precision, clips_per_pass=clips_per_pass,
            )  # fmt: skip
    except UserError as met:
        error = met
    processes.raise_together(error)
    assert mine is not None
    scores = join_scores(processes.gather(mine))
    _check_all(scores, videos, load)
    return scores


def _check_all(scores: Scores, videos: "VideoList", load: "LoadConfig") -> None:
    """Check that each video came back, and refuse too many bad ones of all processes together."""
    from adapt.loader import video_key
    from adapt.loader_quarantine import Quarantine

    num_seen = len(scores.indices) + len(scores.failed)
    assert num_seen == len(videos.videos), f"{num_seen} of {len(videos.videos)} videos came back"
    keys = [video_key(video) for video in videos.videos]
    bad = Quarantine(None, load.allowed_bad_videos(len(keys)), frozenset(keys))
    bad.check({keys[index]: reason for index, reason in scores.failed})


def score_views(
    model: "AdaptedModel",
    items: "Iterable[VideoViews | BadVideo]",
    readable_names: Sequence[str],
    *,
    device: "str | torch.device",
    precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    clips_per_pass: int = CLIPS_PER_PASS,
) -> Scores:
    """Score what a loader yields, among the classes called `readable_names`.

    Views of several videos share a forward pass where they fit; a video with more views than fit
    takes several.
    """
    import numpy as np

    from adapt.loader import BadVideo

    failed: list[tuple[int, str]] = []
    rows: list[Row] = []
    for each in stream_scores(
        model, items, readable_names, device=device, precision=precision,
        clips_per_pass=clips_per_pass,
    ):  # fmt: skip
        if isinstance(each, BadVideo):
            failed.append((each.index, each.reason))
        else:
            rows.append(each)
    rows.sort(key=lambda row: row[0])
    empty = np.zeros((0, len(readable_names)), dtype=np.float32)
    return Scores(
        indices=np.array([index for index, _, _ in rows], dtype=np.int64),
        cosines=np.stack([cosine for _, cosine, _ in rows]) if rows else empty,
        probabilities=np.stack([each for _, _, each in rows]) if rows else empty,
        failed=tuple(sorted(failed)),
    )


def stream_scores(
    model: "AdaptedModel",
    items: "Iterable[VideoViews | BadVideo]",
    readable_names: Sequence[str],
    *,
    device: "str | torch.device",
    precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    clips_per_pass: int = CLIPS_PER_PASS,
) -> "Iterator[Row | BadVideo]":
    """Yield the scores of each video as they are made, in the order of `items` but for bad ones."""
    import torch

    from adapt.loader import BadVideo

    model.eval()
    with torch.inference_mode(), _precision(device, precision):
        classes = _encode_classes(model, readable_names)  # (K, D)
    waiting: list[VideoViews] = []
    for item in items:
        if isinstance(item, BadVideo):
            yield item
            continue
        if waiting and _num_clips([*waiting, item]) > clips_per_pass:
            yield from _score(model, waiting, classes, device, precision, clips_per_pass)
            waiting = []
        waiting.append(item)
    if waiting:
        yield from _score(model, waiting, classes, device, precision, clips_per_pass)


def join_scores(parts: Sequence[Scores]) -> Scores:
    """Put the shares of several processes together, in the order of the list."""
    import numpy as np

    indices = np.concatenate([part.indices for part in parts])
    order = indices.argsort()
    return Scores(
        indices=indices[order],
        cosines=np.concatenate([part.cosines for part in parts])[order],
        probabilities=np.concatenate([part.probabilities for part in parts])[order],
        failed=tuple(sorted(failure for part in parts for failure in part.failed)),
    )


def adapter_hash(model: "AdaptedModel") -> str:
    """Return a tagged SHA-256 of an adapter: its configuration, and every trained number.

    Of a frozen backbone it is the configuration's; of a fully trained one, that of all weights.
    """
    trained = {name for name, each in model.named_parameters() if each.requires_grad}
    digest = hashlib.sha256(json.dumps(asdict(model.config), sort_keys=True).encode())
    for name, tensor in sorted(model.state_dict().items()):
        if name in trained:
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return "a1:" + digest.hexdigest()


def _counted(
    loader: "Iterable[VideoViews | BadVideo]", total: int, progress: Progress | None
) -> "Iterator[VideoViews | BadVideo]":
    for done, item in enumerate(loader, 1):
        yield item
        if progress is not None:
            progress(done, total)


def _encode_classes(model: "AdaptedModel", readable_names: Sequence[str]) -> "Tensor":
    """Return (K, D) with rows of unit length: the class prompts, encoded once."""
    import torch.nn.functional as F

    from adapt.text import alike_classes, tokenize_classes

    tokens = tokenize_classes(
        readable_names, context_length=model.backbone.config.context_length
    ).ids
    embeddings = model.encode_prompts(model.prepare_prompts(tokens))
    if alike := alike_classes(embeddings, readable_names):
        warnings.warn(alike, stacklevel=2)
    return F.normalize(embeddings.float(), dim=-1)


def _num_clips(items: "Sequence[VideoViews]") -> int:
    return sum(len(item.frames) for item in items)


def _score(
    model: "AdaptedModel",
    items: "Sequence[VideoViews]",
    classes: "Tensor",
    device: "str | torch.device",
    precision: Literal["fp32", "bf16", "fp16"],
    clips_per_pass: int,
) -> "list[Row]":
    """Return the scores of each video."""
    import torch

    from adapt.losses import TEMPERATURE, class_logits

    frames = torch.cat([item.frames for item in items])  # (sum of V, T, H, W, 3)
    to_pixels = partial(items[0].normalise, device=device)
    with torch.inference_mode():
        with _precision(device, precision):
            embeddings = torch.cat(
                [_encode(model, part, to_pixels) for part in torch.split(frames, clips_per_pass)]
            )
        cosines = class_logits(embeddings, classes, 1.0)  # (sum of V, K)
        probabilities = (cosines / TEMPERATURE).softmax(dim=-1)
    sizes = [len(item.frames) for item in items]
    means = zip(items, torch.split(cosines, sizes), torch.split(probabilities, sizes), strict=True)
    return [
        (item.index, cosine.mean(dim=0).cpu().numpy(), each.mean(dim=0).cpu().numpy())
        for item, cosine, each in means
    ]


def _encode(
    model: "AdaptedModel",
    clips: "Tensor",
    to_pixels: "Callable[[Tensor], Tensor]",
) -> "Tensor":
    """Return (V, D). Where the device has no memory for all of them at once, in two parts."""
    import torch

    from adapt.device import is_out_of_memory

    try:
        return model.encode_video(to_pixels(clips)).float()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        if len(clips) == 1:
            raise UserError("the device has no memory for a single clip; take another") from error
    # Not within the handler, where the error would hold on to what did not fit.
    halves = torch.split(clips, (len(clips) + 1) // 2)
    return torch.cat([_encode(model, half, to_pixels) for half in halves])


def _precision(device: "str | torch.device", precision: str) -> AbstractContextManager[object]:
    import torch

    if precision == "fp32":
        return nullcontext()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(torch.device(device).type, dtype=dtype)
