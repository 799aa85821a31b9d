"""Seeking the files of a task's lists: all that is missing is known before anything is done."""

from collections.abc import Mapping

from adapt.data_config import DataConfig
from adapt.settings import remember_videos
from adapt.split_locate import count_missing, locate, missing_text
from adapt.split_tasks import Part, Parts
from adapt.splits import VideoList
from describe.errors import UserError


class MissingVideosError(UserError):
    """Videos of the lists are not there.

    Args:
        text: How many, of which classes.
        missing: List to class to number.
    """

    def __init__(self, text: str, missing: Mapping[str, Mapping[str, int]]) -> None:
        super().__init__(
            f"{text}; `python -m adapt.tasks` with these flags counts every class, --allow-missing "
            "goes on without them"
        )
        self.text, self.missing = text, missing


class Files:
    """Seeks the files of all lists before anything is made of what is not there."""

    def __init__(self, config: DataConfig) -> None:
        self.config = config
        self.missing: dict[str, dict[str, int]] = {}
        self._texts: list[str] = []
        self._untimed = 0

    def seek(self, part: Part) -> VideoList:
        """Return the videos of a part that are there, and remember those that are not."""
        index = part.collection.index
        found = locate(part.rows, index, part.collection.classes, uncut=self.config.uncut)
        self._untimed += found.untimed
        if found.missing:
            self.missing[part.name] = count_missing(found.missing)
            what = f"{part.collection.dataset} ({part.name})"
            total = len(part.rows)
            self._texts.append(missing_text(found.missing, total, what, index.folder))
        return VideoList(
            name=part.name,
            dataset=part.collection.dataset,
            classes=part.classes,
            videos=found.videos,
            source=part.source,
        )

    def refuse_missing(self) -> None:
        """Raise a `UserError` if anything is missing and that was not allowed."""
        if self._texts and not self.config.allow_missing:
            more = "; other lists lack videos too" if len(self._texts) > 1 else ""
            raise MissingVideosError(f"{self._texts[0]}{more}", self.missing)

    def notes(self, parts: Parts) -> list[str]:
        """Return what was decided in reading, and what is missing."""
        notes = []
        for part in (parts.train, *parts.tests):
            notes += [note for note in part.collection.notes if note not in notes]
        if self._untimed:
            notes.append(
                f"{self._untimed} files are named without times and are taken whole; if they are "
                "not cut, pass --uncut"
            )
        return notes + [f"missing: {text}" for text in self._texts]

    def remember(self, parts: Parts) -> list[str]:
        """Remember the folders in which every video was found."""
        lines = []
        for part in (parts.train, *parts.tests):
            collection = part.collection
            is_whole = not (collection.has_official_lists and collection.allow_unofficial)
            if not self.missing and part.rows and collection.has_name and is_whole:
                lines.append(remember_videos(collection.dataset, collection.index.folder))
        return [line for line in lines if line]
