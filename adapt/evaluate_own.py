"""A list of videos of a person's own, to evaluate a run on."""

import os
from pathlib import Path

from adapt.leakage import shared_videos
from adapt.run_folder import TRAINING_LISTS, Run
from adapt.split_index import VideoIndex
from adapt.split_lists import read_rows
from adapt.split_locate import locate, missing_text
from adapt.split_sources import Collection
from adapt.splits import VideoList, loose
from describe.classes import ActionClass, ClassList, read_classes
from describe.errors import UserError


def read_own_list(run: Run, path: Path, videos: Path, classes: Path | None = None) -> VideoList:
    """Read a list in any form that training reads, and find its videos.

    Args:
        run: Whose classes the videos are told apart among.
        path: The list; its results are named after it.
        videos: The folder that the videos are in.
        classes: Other classes than the run's: the zero-shot case.

    Raises:
        UserError: A line cannot be read, its class is none of the classes, or a video is missing.
    """
    collection = Collection(
        dataset=str(run.manifest["dataset"]),
        classes=run_classes(run) if classes is None else read_classes(classes.expanduser()),
        index=VideoIndex(videos.expanduser()),
        places=(),
        has_official_lists=False,
        allow_unofficial=True,
        has_name=False,
    )
    rows = collection.read([path]).rows
    _refuse_other_classes(path, collection.classes)
    found = locate(rows, collection.index, collection.classes)
    if found.missing:
        folder = collection.index.folder
        raise UserError(missing_text(found.missing, len(rows), path.name, folder))
    name = path.stem.replace(".", "_")  # a dot parts a list from how it was evaluated
    if name in run.list_names:
        name = f"own-{name}"  # its results must not take the place of the run's
    return VideoList(
        name=name,
        dataset=collection.classes.dataset,
        classes=collection.classes.classes,
        videos=found.videos,
        source=path.name,
    )


def _refuse_other_classes(path: Path, classes: ClassList) -> None:
    """Refuse numbers that may mean anything: the folders of the files name none of the classes.

    Raises:
        UserError: Naming the folders.
    """
    rows = [row for row in read_rows(path) if row.label is not None and row.class_name is None]
    folders = list(dict.fromkeys(row.name.split("/")[-2] for row in rows if "/" in row.name))
    known = {loose(each.name) for each in classes.classes}
    known |= {loose(each.readable) for each in classes.classes}
    if len(folders) > 1 and not any(loose(folder) in known for folder in folders):
        first = ", ".join(map(repr, folders[:3]))
        raise UserError(
            f"{path.name} gives classes by number, and its folders ({first}) are none of the "
            f"{len(classes.classes)} classes; write names instead of numbers, or give --classes"
        )


def training_leaks(run: Run, videos: VideoList, folder: Path, *, allow: bool) -> tuple[str, ...]:
    """Say how videos of a list are among those that a run was trained on; empty is good.

    Args:
        run: What was trained.
        videos: The list.
        folder: That its videos are in. Where it is another than that of the training videos, they
            may be copies, encoded anew: then a name alone is enough.
        allow: Whether such videos may be evaluated all the same.

    Raises:
        UserError: Some are, and it is not allowed.
    """
    root = Path(os.path.realpath(folder.expanduser()))
    found: tuple[str, ...] = ()
    for name in (each for each in TRAINING_LISTS if each in run.list_names):
        trained = run.read_list(name)
        is_same = any(root in Path(os.path.realpath(v.path)).parents for v in trained.videos)
        found += tuple(shared_videos(trained, videos, by_name=None if is_same else True))
    if found and not allow:
        more = f"; and {len(found) - 1} more like it" if len(found) > 1 else ""
        raise UserError(f"{found[0]}{more}; take them out, or pass --allow-leakage")
    return found


def run_classes(run: Run) -> ClassList:
    """Return the classes that a run was trained on, in its label order."""
    names = zip(run.class_names, run.readable_names, strict=True)
    return ClassList(
        dataset=str(run.manifest["dataset"]),
        classes=tuple(
            ActionClass(class_id=label, name=name, readable=readable)
            for label, (name, readable) in enumerate(names)
        ),
    )
