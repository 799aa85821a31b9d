"""Drawing videos from a list: few of each class, or a part kept aside.

Every draw ranks the videos by a hash of the seed, the class and the video's bare name. So it is the
same list wherever the files lie, whatever order they were read in and whatever else was there; and
the two best of a class are among its four best: lists are nested in the number of shots.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from adapt.splits import Video, VideoList, hmdb_source, stem
from describe.errors import UserError

Item = TypeVar("Item")

DIVISION_SEED = 0
DIVISION_SHARE = 0.2


def few_shot(videos: VideoList, shots: int, seed: int, *, nested: bool = True) -> VideoList:
    """Draw `shots` videos of each class; they keep the order of the list.

    Args:
        videos: What to draw from.
        shots: Videos of a class.
        seed: Another seed gives another draw.
        nested: The draw of 2 is part of the draw of 4, and so on.

    Raises:
        UserError: Classes have fewer videos than that.
    """
    counts = videos.counts()
    short = {name: count for name, count in counts.items() if count < shots}
    if short:
        name = min(short, key=lambda each: (short[each], each))
        fewer = f"pass --shots {short[name]}, or " if short[name] else ""
        raise UserError(
            f"--shots {shots}, but {len(short)} of {len(counts)} classes of {videos.dataset} have "
            f"fewer training videos: {name!r} has {short[name]}; {fewer}give a class list without "
            "such classes (--classes)"
        )
    if all(count == shots for count in counts.values()):
        return videos  # a list of so many shots, as it is
    draw = f"shots {seed}" if nested else f"shots {seed} of {shots}"
    drawn = {
        id(video)
        for members in _by_class(videos.videos).values()
        for video in sorted(members, key=lambda each: _rank(draw, each))[:shots]
    }
    return videos.with_videos(
        (video for video in videos.videos if id(video) in drawn),
        source=f"{shots} of each class of {videos.source}, seed {seed}",
    )


def hold_out(videos: VideoList, share: float, seed: int) -> tuple[VideoList, VideoList]:
    """Part a list into what is trained on and what is kept aside.

    Of each class the share is kept aside, rounded and at least one video; whole groups only, and
    never the last group of a class. A class that is all one group keeps nothing aside.

    Args:
        videos: The training list.
        share: Share to keep aside, between 0 and 1.
        seed: Another seed gives another part.

    Returns:
        Training, and held out.

    Raises:
        UserError: No class has two videos of different groups.
    """
    kept, aside = part_groups(
        videos.videos,
        share,
        class_of=lambda v: v.class_name,
        group_of=lambda v: v.group or hmdb_source(v.name) or v.name,
        rank=lambda v: _rank(f"held out {seed}", v),
    )
    if not aside:
        raise UserError(
            f"--held-out {share:g}: no class of {videos.name} has two videos of different "
            "recordings; leave --held-out away, or train on more videos"
        )
    return (
        videos.with_videos(kept, source=f"{videos.source}, less what is held out"),
        videos.with_videos(
            aside, name="held_out", source=f"{share:g} of the training videos, seed {seed}"
        ),
    )


def divide(
    items: Sequence[Item], class_of: Callable[[Item], str], name_of: Callable[[Item], str]
) -> tuple[list[Item], list[Item]]:
    """Divide what nobody divided: one in five of each class is for testing.

    The seed is fixed, so that all runs test on the same videos; groups stay whole.

    Returns:
        Training, and test.
    """
    return part_groups(
        items,
        DIVISION_SHARE,
        class_of=class_of,
        group_of=lambda item: (
            getattr(item, "group", "") or hmdb_source(name_of(item)) or name_of(item)
        ),
        rank=lambda item: (
            _hash(f"test {DIVISION_SEED}", class_of(item), stem(name_of(item)).casefold())
            + name_of(item)
        ),
    )


def part_groups(
    items: Sequence[Item],
    share: float,
    *,
    class_of: Callable[[Item], str],
    group_of: Callable[[Item], str],
    rank: Callable[[Item], str],
) -> tuple[list[Item], list[Item]]:
    """Part items so that each class gives about `share`, and no group is in both parts."""
    members: dict[str, list[Item]] = {}
    sizes: Counter[str] = Counter()
    groups: dict[str, list[Item]] = {}
    for item in items:
        members.setdefault(class_of(item), []).append(item)
        groups.setdefault(group_of(item), []).append(item)
        sizes[class_of(item)] += 1
    aside: set[str] = set()
    moved: Counter[str] = Counter()
    for name in sorted(members):
        wanted = max(1, round(share * sizes[name]))
        for item in sorted(members[name], key=rank):
            group = group_of(item)
            change = Counter(class_of(each) for each in groups[group])
            leaves_some = all(moved[c] + n < sizes[c] for c, n in change.items())
            if moved[name] < wanted and group not in aside and leaves_some:
                aside.add(group)
                moved.update(change)
    return (
        [item for item in items if group_of(item) not in aside],
        [item for item in items if group_of(item) in aside],
    )


def _by_class(videos: Sequence[Video]) -> dict[str, list[Video]]:
    members: dict[str, list[Video]] = {}
    for video in videos:
        members.setdefault(video.class_name, []).append(video)
    return members


def _rank(draw: str, video: Video) -> str:
    return _hash(draw, video.class_name, video.stem) + video.name


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
