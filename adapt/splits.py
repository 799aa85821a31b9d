"""Lists of labelled videos: what is trained on, and what is tested.

A list is a fact of the run: which videos, of which classes, under which labels. Its hash says
whether two runs saw the same, wherever the files lie.
"""

import hashlib
import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from describe.classes import ActionClass

VIDEO_SUFFIXES = frozenset(
    f".{each}"
    for each in (
        "avi mp4 mkv webm mov qt m4v mpg mpeg m2v wmv flv f4v ts mts m2ts 3gp 3g2 ogv ogm asf divx "
        "vob mxf rm rmvb gif"
    ).split()
)

PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_OF_FILES = re.compile(r"videos?|clips?|set|split|data|\d+(?:p|px)?")

# Clips that were cut from one recording carry its name: v_Archery_g07_c03, 0wR5jVB-WPk_000417_...
_UCF_GROUP = re.compile(r"(v_.+_g\d+)_c\d+", re.IGNORECASE)
_HMDB_CLIP = re.compile(r"(.+)_[a-z]+_[a-z]+_np\d+_[a-z]+_[a-z]+_\d+", re.IGNORECASE)
_KINETICS_CLIP = re.compile(r"(.{11})_\d{6}_\d{6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """One labelled video."""

    name: str
    """The video as its list names it, with forward slashes: its identity in results and seeds."""

    path: Path
    """The file on disk."""

    class_name: str
    """Official name of its class."""

    start_seconds: float | None = None
    """Where the action begins; None: at the start of the file."""

    end_seconds: float | None = None
    """Where it ends; None: at the end of the file."""

    group: str = ""
    """Videos of one group come from one recording, and are never parted; empty: its own."""

    @property
    def stem(self) -> str:
        """The bare file name in lower case: what a video is called in every list of it."""
        return stem(self.name).casefold()


@dataclass(frozen=True, kw_only=True)
class VideoList:
    """Labelled videos in order, and the classes that they are told apart among."""

    name: str
    """What the list is for: `train`, `test`, `base`, `novel`, `hmdb51-1`, ..."""

    dataset: str
    classes: tuple[ActionClass, ...]
    """The K classes in label order. A class may have no video."""

    videos: tuple[Video, ...]
    source: str = ""
    """The file or files that it was read from, or how it was drawn."""

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.videos)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Official names of the K classes, in label order."""
        return tuple(each.name for each in self.classes)

    @property
    def readable_names(self) -> tuple[str, ...]:
        """The K names in plain English, in label order."""
        return tuple(each.readable for each in self.classes)

    @cached_property
    def labels(self) -> tuple[int, ...]:
        """Label of each video: the place of its class in `classes`."""
        places = {name: label for label, name in enumerate(self.class_names)}
        return tuple(places[video.class_name] for video in self.videos)

    @cached_property
    def hash(self) -> str:
        """Tagged SHA-256 over class names, and name, label and seconds of each video, in order."""
        rows = [
            [video.name, label, *_seconds(video)]
            for video, label in zip(self.videos, self.labels, strict=True)
        ]
        text = json.dumps([self.class_names, rows], ensure_ascii=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(text.encode("ascii")).hexdigest()

    def counts(self) -> dict[str, int]:
        """Return the number of videos of every class, in label order; 0 where there is none."""
        found = Counter(video.class_name for video in self.videos)
        return {name: found[name] for name in self.class_names}

    def with_videos(
        self, videos: Iterable[Video], *, name: str | None = None, source: str | None = None
    ) -> "VideoList":
        """Return a list of other videos among the same classes."""
        return replace(
            self,
            videos=tuple(videos),
            name=self.name if name is None else name,
            source=self.source if source is None else source,
        )


def common_folder(videos: VideoList) -> Path:
    """Return the deepest folder that all files of a list are below, as an absolute path."""
    return Path(os.path.commonpath({os.path.abspath(v.path.parent) for v in videos.videos}))


def gone_from(videos: VideoList) -> list[Video]:
    """Return the videos whose files are not there any more."""
    return [video for video in videos.videos if not video.path.exists()]


def _seconds(video: Video) -> tuple[float | None, ...]:
    """Return start and end of a video that is cut; nothing of a whole one."""
    times = (video.start_seconds, video.end_seconds)
    return () if times == (None, None) else times


def stem(name: str) -> str:
    """Return the file name in `name`, without its folders and without a video's ending."""
    last = name.rpartition("/")[2]
    front, dot, ending = last.rpartition(".")
    return front if dot and f".{ending.casefold()}" in VIDEO_SUFFIXES else last


def group_of(name: str) -> str:
    """Return the recording that a clip's name says it was cut from; empty where it says nothing.

    UCF-101: `v_Archery_g07_c03` is of group 7 of its class; the official splits keep groups whole.
    Kinetics: the YouTube id in front of the two time stamps.
    """
    bare = stem(name)
    if found := _UCF_GROUP.fullmatch(bare):
        return found[1].casefold()
    found = _KINETICS_CLIP.fullmatch(bare)
    return found[1] if found else ""


def hmdb_source(name: str) -> str:
    """Return the film and class that an HMDB-51 clip's name begins with; empty for other names.

    The official splits keep films apart but for one title that two films share, so this is no group
    to guard by; it is good enough to part training videos by.
    """
    found = _HMDB_CLIP.fullmatch(stem(name))
    return found[1] if found else ""


def loose(name: str) -> str:
    """Return a name without what public spellings differ in: case, spaces and punctuation."""
    return "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if c.isalnum())


def part_of(folder: str) -> str:
    """Return `train`, `val` or `test` where a folder is called so: `val`, `train_256`, `Test_set`.

    A class such as `test drive` is none: a part has only words beside it that speak of files.
    """
    words = [word for word in re.split(r"[\W_]+", folder.casefold()) if word]
    parts = {PARTS[word] for word in words if word in PARTS}
    others = [word for word in words if word not in PARTS and not _OF_FILES.fullmatch(word)]
    return parts.pop() if len(parts) == 1 and not others else ""
