"""Kinetics' annotation files: CSV of label, YouTube id and seconds.

The files on disk have one of three names: the id and both times (`id_000033_000043.mp4`), the id
alone for a clip that was cut, or the id alone for the whole video.
"""

from collections.abc import Mapping

from adapt.split_rows import Row, seconds
from describe.errors import UserError

_PARTS = {"train": "train", "val": "val", "validate": "val", "validation": "val", "test": "test"}


def kinetics_row(cells: Mapping[str, str], place: str) -> Row:
    """Read one row; times are kept for the case that the file was not cut.

    Raises:
        UserError: The label or the id is missing, or a time is no time.
    """
    youtube_id = cells.get("youtube_id", "")
    if not youtube_id or not cells.get("label"):
        raise UserError(f"{place}: no {'label' if youtube_id else 'youtube_id'}")
    start = seconds(cells.get("time_start", ""), place)
    end = seconds(cells.get("time_end", ""), place)
    name = youtube_id
    if start is not None and end is not None:
        if end <= start:
            raise UserError(f"{place}: ends at {end:g} s, before it starts at {start:g} s")
        name = f"{youtube_id}_{start:06.0f}_{end:06.0f}"
    return Row(
        name=name,
        place=place,
        class_name=cells["label"].strip('"'),
        other_names=(youtube_id,) if name != youtube_id else (),
        start_seconds=start,
        end_seconds=end,
        group=youtube_id,
        part=_PARTS.get(cells.get("split", "").casefold(), ""),
    )
