"""A list of videos of a person's own, to evaluate a run on."""

from pathlib import Path

from adapt.run_folder import Run
from adapt.split_index import VideoIndex
from adapt.split_locate import locate, missing_text
from adapt.split_sources import Collection
from adapt.splits import VideoList
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
    found = locate(rows, collection.index, collection.classes)
    if found.missing:
        folder = collection.index.folder
        raise UserError(missing_text(found.missing, len(rows), path.name, folder))
    name = path.stem
    if name in run.list_names:
        name = f"own-{name}"  # its results must not take the place of the run's
    return VideoList(
        name=name,
        dataset=collection.classes.dataset,
        classes=collection.classes.classes,
        videos=found.videos,
        source=path.name,
    )


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
