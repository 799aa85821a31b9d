"""The page that lists the sets, to choose one."""

from collections.abc import Sequence
from typing import Any

from describe.browse_sets import SetFolder
from describe.errors import UserError
from describe.pages import render_page
from describe.versions import list_versions, read_manifest


def render_sets(sets: Sequence[SetFolder]) -> str:
    """Return the page that lists `sets`; a damaged one is listed with what is wrong."""
    return render_page(
        "Description sets",
        "browse_sets.html",
        {"sets": [_summary(each) for each in sets]},
        scripts=("page.js", "browse_sets.js"),
        styles=("page.css", "browse_sets.css"),
        connects=True,
    )


def _summary(folder: SetFolder) -> dict[str, Any]:
    summary: dict[str, Any] = {"name": folder.name, "versions": [], "fault": ""}
    try:
        for name in reversed(list_versions(folder.root)):
            summary["versions"].append(_version(folder, name))
    except UserError as error:
        summary["fault"] = str(error)
    return summary


def _version(folder: SetFolder, name: str) -> dict[str, Any]:
    manifest = read_manifest(folder.root / name)
    counts = manifest["counts"]
    return {
        "name": name,
        "classes": manifest.get("classes", {}).get("count", 0),
        "kept": counts["kept"],
        "rejected": sum(counts["rejected"].values()),
        "model": str(manifest.get("model", {}).get("name", "")),
    }
