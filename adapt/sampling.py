"""Drawing videos from a list: few of each class, or a part kept aside.

Every draw ranks the videos by a hash of the seed, the class and the video's bare name (where bare
names repeat in a class, its path below the class folder). So it is the same list wherever the files
lie, whatever order they were read in and whatever else was there; and the two best of a class are
among its four best: lists are nested in the number of shots.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from adapt.splits import Video, VideoList, hmdb_source, loose, stem
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
    called = names_of(videos.videos, lambda v: v.class_name, lambda v: v.name)
    drawn = {
        id(video)
        for members in _by_class(videos.videos).values()
        for video in sorted(
            members, key=lambda v: _hash(draw, v.class_name, called[v.name]) + v.name
        )[:shots]
    }
    return videos.with_videos(
        (video for video in videos.videos if id(video) in drawn),
        source=f"{shots} of each class of {videos.source}, seed {seed}",
    )


def hold_out(videos: VideoList, share: float, seed: int) -> tuple[VideoList, VideoList]:
    """Part a list into what is trained on and what is kept aside.

    Of each class at most the share is kept aside, rounded, and at least one video; whole groups
    only, and never the last group of a class. A class that is all one group keeps nothing aside;
    one of large groups alone gives its smallest.

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
        f"held out {seed}",
        class_of=lambda v: v.class_name,
        name_of=lambda v: v.name,
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
    """Divide what nobody divided: about one in five of each class is for testing.

    The seed is fixed, so that all runs test on the same videos; groups stay whole.

    Returns:
        Training, and test.
    """
    return part_groups(
        items,
        DIVISION_SHARE,
        f"test {DIVISION_SEED}",
        class_of=class_of,
        name_of=name_of,
    )


def part_groups(
    items: Sequence[Item],
    share: float,
    draw: str,
    *,
    class_of: Callable[[Item], str],
    name_of: Callable[[Item], str],
) -> tuple[list[Item], list[Item]]:
    """Part items so that each class gives about `share`, and no group is in both parts.

    In the order of their hashes, those groups of a class are taken that still fit into its share;
    where none fits, the smallest. An item that is of no group is one by itself.
    """
    called = names_of(items, class_of, name_of)

    def group_of(item: Item) -> str:
        name = name_of(item)
        return getattr(item, "group", "") or hmdb_source(name) or name

    groups: dict[str, list[Item]] = {}
    of_class: dict[str, dict[str, str]] = {}  # class: group: what it is ranked by
    for item in items:
        group, name = group_of(item), name_of(item)
        groups.setdefault(group, []).append(item)
        of_class.setdefault(class_of(item), {})[group] = called[name] if group == name else group
    sizes = Counter(class_of(item) for item in items)
    aside: set[str] = set()
    moved: Counter[str] = Counter()

    def count(group: str) -> Counter[str]:
        return Counter(class_of(item) for item in groups[group])

    def leaves_some(group: str) -> bool:
        return group not in aside and all(moved[c] + n < sizes[c] for c, n in count(group).items())

    for class_name in sorted(of_class):
        wanted = max(1, round(share * sizes[class_name]))
        members = of_class[class_name]
        ranked = sorted(members, key=lambda g: _hash(draw, class_name, members[g]) + g)
        for group in ranked:
            fits = moved[class_name] + count(group)[class_name] <= wanted
            if fits and leaves_some(group):
                aside.add(group)
                moved.update(count(group))
        left = [] if moved[class_name] else [group for group in ranked if leaves_some(group)]
        if left:
            smallest = min(left, key=lambda group: count(group)[class_name])
            aside.add(smallest)
            moved.update(count(smallest))
    return (
        [item for item in items if group_of(item) not in aside],
        [item for item in items if group_of(item) in aside],
    )


def names_of(
    items: Sequence[Item], class_of: Callable[[Item], str], name_of: Callable[[Item], str]
) -> dict[str, str]:
    """Return what each item, by its name, is called in a draw: its bare name in lower case.

    Where bare names repeat in a class (`s0/take1.mp4`, `s1/take1.mp4`) they would be drawn
    together; then it is the path below the class folder, or the whole one.
    """
    bare = {name_of(item): stem(name_of(item)).casefold() for item in items}
    count = Counter((class_of(item), bare[name_of(item)]) for item in items)
    repeated = {class_name for (class_name, _), n in count.items() if n > 1}
    called = {}
    for item in items:
        name, class_name = name_of(item), class_of(item)
        called[name] = _below(name, class_name) if class_name in repeated else bare[name]
    return called


def _below(name: str, class_name: str) -> str:
    """Return a path below its class folder, in lower case and without its ending."""
    *folders, _ = name.split("/")
    places = [i for i, folder in enumerate(folders) if loose(folder) == loose(class_name)]
    kept = folders[places[-1] + 1 :] if places else folders
    return "/".join([*kept, stem(name)]).casefold()


def _by_class(videos: Sequence[Video]) -> dict[str, list[Video]]:
    members: dict[str, list[Video]] = {}
    for video in videos:
        members.setdefault(video.class_name, []).append(video)
    return members


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
