"""Guards against numbers that mean nothing: test videos in training, test classes in its text.

Each guard returns what it found, in words; `make_task` makes it an error, or a note where the user
allows it.
"""

import filecmp
from collections.abc import Iterator, Sequence

from adapt.split_files import WORDS
from adapt.splits import Video, VideoList, loose

_NAMED = 3


def leaks(train: VideoList, held_out: VideoList | None, tests: Sequence[VideoList]) -> list[str]:
    """Return every way in which a test is known before it is taken; empty is good."""
    found: list[str] = []
    for each in (train, *([held_out] if held_out else []), *tests):
        found += _same_text(each)
    for one in (train, held_out):
        for test in tests:
            if one is not None:
                found += shared_videos(one, test)
    if held_out is not None:
        found += shared_videos(train, held_out)
    return found


def shared_videos(
    train: VideoList, test: VideoList, *, by_name: bool | None = None
) -> Iterator[str]:
    """Say how many videos of `test` are among those of `train`: as a file, by name, by group.

    A name is a name in any case, folder and ending. Where bare names repeat within a list
    (`001.mp4` in each class folder) they mean nothing; then files of one name are compared.

    Args:
        train: What is trained on.
        test: What is tested.
        by_name: Whether one bare name is one video, whatever the files hold: they may be encoded
            anew. By default so in datasets with official lists, and between two datasets; in a
            person's own folder two files of one name and other contents are two videos.
    """
    if by_name is None:
        by_name = train.dataset in WORDS or train.dataset != test.dataset
    same = _same(train.videos, test.videos, by_name=by_name)
    if same:
        yield (
            f"{len(same)} videos of {test.name!r} are in {train.name!r} too: "
            f"{_named([video.name for video in same])}"
        )
    names = {video.name for video in same}
    groups = {video.group for video in train.videos if video.group}
    parted = [v for v in test.videos if v.group in groups and v.name not in names]
    if parted:
        yield (
            f"{len(parted)} videos of {test.name!r} were cut from the same recordings as videos of "
            f"{train.name!r}: {_named(sorted({video.group for video in parted}))}"
        )


def shared_classes(train: VideoList, test: VideoList) -> list[str]:
    """Return the classes of `test` whose name or text is one of `train`'s, whatever the spelling.

    Kinetics-600 holds most classes of Kinetics-400, some in another spelling; zero-shot testing is
    on the others.
    """
    known = {loose(text) for each in train.classes for text in (each.name, each.readable)}
    return [c.name for c in test.classes if {loose(c.name), loose(c.readable)} & known]


def _same(train: Sequence[Video], test: Sequence[Video], *, by_name: bool) -> list[Video]:
    paths = {video.path for video in train}
    names_tell = not _stems_repeat(train) and not _stems_repeat(test)
    if by_name and names_tell:
        stems = {video.stem for video in train}
        return [video for video in test if video.path in paths or video.stem in stems]
    # By size too: files of one name and size are few, however often the name repeats.
    by_stem: dict[str, dict[int | None, list[Video]]] = {}
    for video in train:
        by_stem.setdefault(video.stem, {}).setdefault(_size(video), []).append(video)

    def is_known(video: Video) -> bool:
        alike = by_stem.get(video.stem)
        if alike is None or video.path in paths:
            return video.path in paths
        size = _size(video)
        if names_tell and (size is None or None in alike):
            return True  # of a file that is not there, its name is all there is
        return any(_same_file(video, other) for other in alike.get(size, []))

    return [video for video in test if is_known(video)]


def _size(video: Video) -> int | None:
    """Return the bytes of a file; None where it is not there."""
    try:
        return video.path.stat().st_size
    except OSError:
        return None


def _stems_repeat(videos: Sequence[Video]) -> bool:
    return len({video.stem for video in videos}) < len({video.path for video in videos})


def _same_file(one: Video, other: Video) -> bool:
    try:
        return filecmp.cmp(one.path, other.path, shallow=False)
    except OSError:
        return False


def _same_text(videos: VideoList) -> Iterator[str]:
    first: dict[str, str] = {}
    for each in videos.classes:
        other = first.setdefault(loose(each.readable), each.name)
        if other != each.name:
            yield (
                f"{other!r} and {each.name!r} of {videos.name!r} have one readable name, "
                f"{each.readable!r}: no text tells them apart"
            )


def _named(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _NAMED else ""
    return ", ".join(map(repr, names[:_NAMED])) + more
