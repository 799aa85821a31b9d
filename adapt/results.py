"""What an evaluation found, on disk: `results/<name>.json`, and each video's scores beside it.

    results/test.json          the numbers, and all that says what they are numbers of
    results/test.npz           the scores, without pickles:
        names   (n,) str       the videos that were evaluated, in the order of their list;
                               `name@start-end` of one that is cut, in seconds
        labels  (n,) int64     each video's class, a place in `class_names`
        cosines (n, K) float32 cosine of video and class, the mean over views
        probabilities (n, K)   float32, softmax of cosine over 0.01, the mean over views
                               (0.01 whatever temperature the run was trained with)

`average` says which of the two the videos were ranked by.

Results of another choice than the usual have names of their own: `test.best` for the chosen epoch,
`test.paper` and `test.best.paper` for the published arithmetic.
"""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from adapt.files import write_atomically
from describe.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = "adapt-result-1"

Protocol = Literal["every-video", "paper"]
Selection = Literal["last", "held-out", "best-on-test"]
Average = Literal["probability", "cosine"]


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoScores:
    """The scores of n videos for K classes."""

    names: tuple[str, ...]
    """The videos, in the order of their list, as `adapt.evaluate_result.video_keys` calls them."""

    labels: "NDArray[np.int64]"
    """(n,)."""

    cosines: "NDArray[np.float32]"
    """(n, K): cosine of the video's and the class's embedding, the mean over views."""

    probabilities: "NDArray[np.float32]"
    """(n, K): softmax over classes of cosine over 0.01, the mean over views."""

    def ranked_by(self, average: Average) -> "NDArray[np.float32]":
        """Return the (n, K) scores that videos are ranked by."""
        return self.probabilities if average == "probability" else self.cosines


@dataclass(frozen=True, kw_only=True)
class Result:
    """One list, evaluated by one adapter."""

    run: str
    """Name of the run's folder."""

    list: str
    """Name of the list of videos."""

    dataset: str

    protocol: Protocol
    """paper: some videos were dropped, as in the published numbers."""

    selection: Selection
    """How the epoch was chosen; best-on-test: by these same videos."""

    average: Average
    """What was averaged over views: softmax probabilities, or cosines."""

    epoch: int
    """Epochs that the adapter had been trained for."""

    n_total: int
    """Videos of the list: those evaluated, failed and dropped."""

    n_evaluated: int

    n_failed: int

    n_dropped: int = 0
    """Videos left out by the protocol; 0 unless `protocol` is paper."""

    failed: tuple[tuple[str, str], ...]
    """Name and reason of each video that could not be read; named as in the scores."""

    num_clips: int
    num_crops: int

    list_hash: str
    class_names: tuple[str, ...]
    """Official names, in label order."""

    readable_names: tuple[str, ...]
    backbone_hash: str
    adapter_hash: str
    descriptions_fingerprint: str | None

    top1: float
    """Percent, as all that follow."""

    top5: float
    top1_interval: tuple[float, float]
    """95%, bootstrap over videos."""

    mean_per_class: float
    per_class: tuple[Mapping[str, Any], ...]
    """`class_name`, `n`, and `top1`, which is None for a class without videos."""

    confusion: tuple[tuple[int, ...], ...]
    """Row: the class it is; column: the class it was taken for."""

    precision: str = "fp32"
    """What the forward passes were computed in."""

    manner: tuple[str, ...] = ()
    """How the evaluation was unlike the run's own, where it was told to be: other views (`10x3`),
    precision (`bf16`) or mean over views (`cosine`). Part of its name."""

    leaks: tuple[str, ...] = ()
    """How videos of the list were trained on, where that was allowed; empty of an honest list."""

    scores_sha256: str = ""
    """Of the file with the scores; filled in when it is written."""

    path: Path | None = field(default=None, compare=False)
    """The JSON file it was read from."""

    @property
    def name(self) -> str:
        """What its files are called."""
        return result_name(self.list, self.selection, self.protocol, self.manner)

    @property
    def num_views(self) -> int:
        """Views of a video."""
        return self.num_clips * self.num_crops

    @cached_property
    def videos(self) -> VideoScores:
        """Each video's scores, read when first asked for.

        Raises:
            UserError: The file is missing, damaged, or of another evaluation.
        """
        if self.path is None:
            raise ValueError("these results were not read from a file")
        return _read_scores(self.path.with_suffix(".npz"), self.scores_sha256)

    @property
    def names(self) -> tuple[str, ...]:
        """The n evaluated videos."""
        return self.videos.names

    @property
    def labels(self) -> "NDArray[np.int64]":
        """(n,)."""
        return self.videos.labels

    @property
    def scores(self) -> "NDArray[np.float32]":
        """(n, K), what videos are ranked by."""
        return self.videos.ranked_by(self.average)


def result_name(
    list_name: str,
    selection: Selection = "last",
    protocol: Protocol = "every-video",
    manner: Sequence[str] = (),
) -> str:
    """Return what the files of a result are called, without suffix: `test.best.10x3.paper`.

    Whatever was done unlike the run's own evaluation is in the name, so that no evaluation takes
    the place of another.
    """
    chosen = [] if selection == "last" else ["best"]
    paper = ["paper"] if protocol == "paper" else []
    return ".".join([re.sub(r"[^\w.-]", "_", list_name), *chosen, *manner, *paper])


def write_result(folder: Path, result: Result, videos: VideoScores) -> Path:
    """Write both files so that a reader sees the old result, the new one, or an error.

    Args:
        folder: A run's `results`, made when missing.
        result: The numbers.
        videos: What they were made from.

    Returns:
        The JSON file.

    Raises:
        UserError: A file cannot be written.
    """
    data = _to_npz(videos)
    record: dict[str, Any] = {"format": FORMAT} | {
        each.name: getattr(result, each.name) for each in fields(Result) if each.name != "path"
    }
    record["scores_sha256"] = hashlib.sha256(data).hexdigest()
    path = folder / f"{result.name}.json"
    write_atomically(path.with_suffix(".npz"), data)
    write_atomically(path, (json.dumps(record, indent=1, allow_nan=False) + "\n").encode())
    return path


def read_result(path: Path) -> Result:
    """Read a result; its scores are read when asked for.

    Args:
        path: The JSON file.

    Raises:
        UserError: There is none, or it is damaged or of another format.
    """
    try:
        record = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); {_REMEDY}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise UserError(f"{path} is no result of format {FORMAT}; {_REMEDY}")
    names = {each.name for each in fields(Result)} - {"path"}
    for name in ("leaks", "manner"):  # results of earlier versions have none
        record.setdefault(name, [])
    missing = sorted(names - set(record))
    if missing:
        raise UserError(f"{path} has no {missing[0]}; {_REMEDY}")
    values = {name: _frozen(record[name]) for name in names}
    return Result(**values, path=path)


_REMEDY = "evaluate again with --force"


def _frozen(value: Any) -> Any:
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value


def _to_npz(videos: VideoScores) -> bytes:
    """Return a .npz; the same arrays give the same bytes."""
    import numpy as np

    arrays = {
        "names": np.array(videos.names, dtype=np.str_),
        "labels": videos.labels.astype(np.int64),
        "cosines": videos.cosines.astype(np.float32),
        "probabilities": videos.probabilities.astype(np.float32),
    }
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:  # np.savez would write the time into it
        for name, array in arrays.items():
            part = io.BytesIO()
            np.lib.format.write_array(part, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), part.getvalue())
    return sink.getvalue()


def _read_scores(path: Path, sha256: str) -> VideoScores:
    import numpy as np

    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; {_REMEDY}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UserError(f"{path} is not what {path.stem}.json was made from; {_REMEDY}")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return VideoScores(
                names=tuple(map(str, arrays["names"])),
                labels=arrays["labels"],
                cosines=arrays["cosines"],
                probabilities=arrays["probabilities"],
            )
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged ({error}); {_REMEDY}") from error
