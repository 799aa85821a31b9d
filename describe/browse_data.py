"""What the page shows of one version: its rows, what the rules mean, and where it all came from."""

import os
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from describe.browse_neighbours import neighbours
from describe.browse_replies import stored_replies
from describe.browse_sets import SetFolder
from describe.edit_apply import EDITED, MEANING, overruled
from describe.edits import read_edits
from describe.pages import render_page
from describe.request import KINDS
from describe.rows import Description, Rejected
from describe.rules import FLAGS, RULES
from describe.selection import SURPLUS
from describe.tokens import num_clip_tokens
from describe.versions import (
    DescriptionSet,
    list_versions,
    read_manifest,
    read_rejected,
    read_version,
)

STYLES = ("page.css", "browse.css")
SCRIPTS = (
    "page.js",
    "browse_model.js",
    "browse_apply.js",
    "browse_cards.js",
    "browse_drawer.js",
    "browse_edit.js",
    "browse.js",
)


def render_version(
    folder: SetFolder, home: Path, version: str | None = None, num_sets: int = 0
) -> str:
    """Return the page of one version.

    Args:
        folder: The set.
        home: The workspace, with the replies and the edits.
        version: Its name; by default the newest.
        num_sets: Sets that the server behind the page shows; 0: there is no server, and the page
            is a file that nothing can be edited in.

    Raises:
        UserError: There is no such version, or a file is damaged.
    """
    name = _version_name(folder.root, version)
    manifest = read_manifest(folder.root / name)
    data, replies = _version_data(folder.root, name, manifest["fingerprint"], home)
    shown = {
        **data,
        "set": {**data["set"], "name": folder.name},
        "versions": _versions(folder),
        "base": _base(folder.root) or name,
        **edits_in_force(manifest),
        "read_only": why_read_only(folder, manifest, is_live=num_sets > 0),
        "live": num_sets > 0,
        "several_sets": num_sets > 1,
        "command": edit_command(folder, data["set"]["dataset"], home),
    }
    return render_page(
        f"{folder.name} {name}",
        "browse.html",
        shown,
        scripts=SCRIPTS,
        styles=STYLES,
        later={"replies": replies},
        connects=num_sets > 0,
    )


def edits_in_force(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the edits of the dataset that no later one overrules, and how many there are in all.

    What was imported stays as it was published: it has none.
    """
    if manifest.get("source"):
        return {"edits": [], "known_edits": 0}
    edits = read_edits(manifest["dataset"])
    gone = overruled(edits)
    in_force = [
        {**asdict(edit), "num_tokens": num_clip_tokens(edit.becomes[2])}
        for index, edit in enumerate(edits)
        if index not in gone
    ]
    return {"edits": in_force, "known_edits": len(edits)}


def _base(root: Path) -> str:
    """Return the version that the command applies all edits to; empty if edits made them all."""
    names = list_versions(root)
    unedited = [name for name in names if "edits" not in read_manifest(root / name)]
    return unedited[-1] if unedited else ""


def _version_name(root: Path, version: str | None) -> str:
    names = list_versions(root)
    if names and version in (None, *names):
        return version or names[-1]
    return read_version(root, version).name  # raises, and names those that exist


def edit_command(folder: SetFolder, dataset: str, home: Path) -> str:
    """Return the command that makes a version of the edits."""
    if folder.root.parent == home / "sets":
        return f"python -m describe --dataset {shlex.quote(folder.root.name)} --edits"
    out = shlex.quote(str(folder.root))
    return f"python -m describe --dataset {shlex.quote(dataset)} --edits --out {out}"


@lru_cache(maxsize=8)
def _version_data(
    root: Path, version: str, fingerprint: str, home: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what never changes of a version, and the replies behind it."""
    found, rejected = read_version(root, version), read_rejected(root, version)
    rows = (*found.rows, *rejected)
    return _page_data(found, rejected), stored_replies(home, _keys(rows))


def _keys(rows: Iterable[Description]) -> list[str]:
    return [key for key in dict.fromkeys(row.request_key for row in rows) if key]


def _page_data(found: DescriptionSet, rejected: Sequence[Rejected]) -> dict[str, Any]:
    rows = (*found.rows, *rejected)
    classes = _classes(found, rows)
    places = {each["name"]: place for place, each in enumerate(classes)}
    near = neighbours(found.rows, rejected)
    for each in classes:
        each["near"] = [
            [places[other.name], other.shared, other.cosine] for other in near.get(each["name"], ())
        ]
    kinds = [kind for kind in KINDS if any(row.kind == kind for row in rows)]
    manifest, wanted = found.manifest, _wanted(found)
    return {
        "set": {
            "dataset": manifest["dataset"],
            "version": found.name,
            "fingerprint": found.fingerprint,
            "model": str(manifest.get("model", {}).get("name", "")),
            "prompts": str(manifest.get("prompts", {}).get("version", "")),
            "source": manifest.get("source", {}).get("paper", ""),
        },
        "kinds": kinds,
        "wanted": wanted,
        "funnel": _funnel(manifest, len(rows), len(found.rows), wanted * len(kinds) * len(classes)),
        "rules": rule_meanings(manifest),
        "flags": {**FLAGS, EDITED: "was kept or written by a person"},
        "classes": classes,
        "columns": _columns(found.rows, rejected, places),
    }


def _classes(found: DescriptionSet, rows: Iterable[Description]) -> list[dict[str, Any]]:
    """Return the classes by label; those without a single row are known from the manifest."""
    classes = {
        row.class_name: {
            "id": row.class_id,
            "name": row.class_name,
            "readable": row.readable_name,
            "group": row.group,
        }
        for row in rows
    }
    known = {each["readable"] for each in classes.values()}
    for slot in found.manifest["counts"].get("short", {}):
        readable = slot.rpartition(" (")[0]
        if readable and readable not in known:
            known.add(readable)
            classes[readable] = {"id": None, "name": readable, "readable": readable, "group": ""}
    return sorted(classes.values(), key=lambda each: (each["id"] is None, each["id"] or 0))


def _wanted(found: DescriptionSet) -> int:
    """Return the sentences that a class and kind should have: as asked for, else the most."""
    asked = found.manifest.get("sampling", {}).get("num_descriptions")
    if isinstance(asked, int):
        return asked
    return max(Counter((row.class_name, row.kind) for row in found.rows).values())


def _funnel(
    manifest: Mapping[str, Any], parsed: int, kept: int, wanted: int
) -> list[dict[str, Any]]:
    """Return how requests became sentences, step by step."""
    counts = manifest["counts"]
    if isinstance(counts.get("asked"), int):
        steps = {"asked": counts["asked"], "replied": counts.get("replied", 0)}
        steps["sentences parsed"] = parsed
    else:  # imported: nobody knows what was asked
        steps = {"sentences published": counts.get("published", parsed)}
    steps[f"kept of {wanted:,}"] = kept
    return [{"name": name, "count": count} for name, count in steps.items()]


def rule_meanings(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return what each rule means, in the words of the version where it has them."""
    stated = manifest.get("rules", {}).get("meanings", {})
    ours = {rule.name: rule.meaning for rule in RULES}
    return {
        **ours,
        SURPLUS: "it is good, but its class had as many as were asked for",
        EDITED: MEANING,
        **{str(name): str(meaning) for name, meaning in stated.items()},
    }


def _columns(
    kept: Sequence[Description], rejected: Sequence[Rejected], places: Mapping[str, int]
) -> dict[str, Any]:
    """Return the rows column by column; texts that repeat stand in tables once."""
    rows: list[Description] = [*kept, *rejected]
    tables = {name: list(dict.fromkeys(getattr(row, name) for row in rows)) for name in _TABLED}
    columns: dict[str, Any] = {
        "class": [places[row.class_name] for row in rows],
        "kind": [row.kind[0] for row in rows],
        "rule": [row.rule if isinstance(row, Rejected) else "" for row in rows],
        "detail": [row.detail if isinstance(row, Rejected) else "" for row in rows],
    }
    for name in ("step", "text", "num_tokens", "flags", "repairs", "sample"):
        columns[name] = [getattr(row, name) for row in rows]
    for name, table in tables.items():
        index = {text: place for place, text in enumerate(table)}
        columns[name] = [index[getattr(row, name)] for row in rows]
    return {"tables": tables, **columns}


_TABLED = ("model", "prompt_version", "request_key")


def _versions(folder: SetFolder) -> list[dict[str, Any]]:
    """Return all versions of the set, the newest first."""
    found = []
    for name in reversed(list_versions(folder.root)):
        counts = read_manifest(folder.root / name)["counts"]
        found.append(
            {"name": name, "kept": counts["kept"], "rejected": sum(counts["rejected"].values())}
        )
    return found


def why_read_only(folder: SetFolder, manifest: Mapping[str, Any], *, is_live: bool) -> str:
    """Return why nothing can be edited here, as a sentence; empty where it can."""
    if manifest.get("source"):
        return "This set was imported from a publication and stays as it was published."
    if not is_live:
        command = f"python -m describe.browse {folder.name}"
        return f"This page is a file. To edit, open the set with `{command}`."
    if not os.access(folder.root, os.W_OK):
        return "The folder of this set is read-only, so no new version could be written to it."
    return ""
