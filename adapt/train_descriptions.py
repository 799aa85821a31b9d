"""Finding the description set that `--descriptions` names."""

import re
from pathlib import Path

from adapt.settings import find_set
from describe.dataset import DescriptionSet, list_versions, read_version
from describe.errors import UserError


def find_descriptions(named: str, dataset: str | None = None) -> DescriptionSet:
    """Read the set that a run is to use.

    Args:
        named: A version (v2), the folder of a set (its newest version), or that of one version.
        dataset: The dataset it must describe, where it is named by version alone.

    Raises:
        UserError: There is no such set; the versions that exist are named.
    """
    folder = Path(named).expanduser()
    if (folder / "manifest.json").is_file():
        return read_version(folder.parent, folder.name)
    versions = list_versions(folder) if folder.is_dir() else []
    if len(versions) > 1 and not all(re.fullmatch(r"v\d+", name) for name in versions):
        raise UserError(
            f"{named} holds {', '.join(versions)}, none of them the newest; name one, such as "
            f"{folder / versions[0]}"
        )
    if versions:
        return read_version(folder)
    if len(folder.parts) > 1:
        raise UserError(f"no description set in {named}; give its folder, or a version such as v2")
    return read_version(find_set(named, dataset), named)
