"""`python -m describe.diff v1 v2`: what is different between two versions, word by word.

A side is a version (v1, msta_n8, or the beginning msta), one of another set (hmdb51/v1,
published/hmdb51/ost_n8), or a folder. Classes are joined by name.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from describe.diff_pairs import ClassDiff, Diff, compare, word_changes
from describe.diff_print import print_diff
from describe.diff_sides import find_version
from describe.errors import UserError
from describe.terminal import run_command, say, show
from describe.versions import DescriptionSet, read_rejected, read_version


@dataclass(frozen=True, kw_only=True)
class DiffConfig:
    """Which versions to compare, and how to show it."""

    old: Annotated[str, tyro.conf.Positional]
    """The old side."""

    new: Annotated[str, tyro.conf.Positional]
    """The new side."""

    dataset: str | None = None
    """The set in the workspace, where the sides do not say it and there are several."""

    html: Path | None = None
    """Write a page of it: one file, with search and filters."""

    json: bool = False
    """Print it as JSON."""

    show: int = 20
    """Print this many of the changed classes, those that changed most first; 0: none."""

    exit_code: bool = False
    """Exit 1 if the sides differ, 0 if not, and 2 after an error."""

    def __post_init__(self) -> None:
        """Refuse what cannot be shown."""
        if self.show < 0:
            raise UserError(f"--show is {self.show}; it must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Two versions, and what is different."""

    names: tuple[str, str]
    """Set and version of each side: `hmdb51 v1`."""

    versions: tuple[DescriptionSet, DescriptionSet]
    diff: Diff


def compare_sides(config: DiffConfig) -> Sides:
    """Read both sides and compare them.

    Raises:
        UserError: A side does not exist or is damaged, or they have no class in common.
    """
    places = [find_version(side, config.dataset) for side in (config.old, config.new)]
    old, new = (read_version(root, name) for root, name in places)
    if not {row.class_name for row in old.rows} & {row.class_name for row in new.rows}:
        raise UserError(
            f"{config.old} describes {old.manifest['dataset']} and {config.new} "
            f"{new.manifest['dataset']}: they have no class in common"
        )
    rejected = [read_rejected(root, name) for root, name in places]
    names = [f"{root.name} {name}" for root, name in places]
    if names[0] == names[1]:
        names = [f"{root.parent.name}/{root.name} {name}" for root, name in places]
    return Sides(
        names=(names[0], names[1]),
        versions=(old, new),
        diff=compare(old.rows, new.rows, *rejected),
    )


def as_json(sides: Sides) -> dict[str, Any]:
    """Return a comparison as JSON data: what the page shows, and `--json` prints."""
    diff = sides.diff
    meanings = _meanings()
    return {
        "old": _about(sides.names[0], sides.versions[0]),
        "new": _about(sides.names[1], sides.versions[1]),
        "same": diff.is_same,
        "counts": {
            state: {kind: diff.count(state, kind) for kind in ("spatial", "temporal")}
            for state in ("same", "changed", "added", "removed")
        },
        "rules": [
            {"name": name, "meaning": meanings.get(name, ""), **vars(rule)}
            for name, rule in diff.rules.items()
        ],
        "classes": [_class(each) for each in diff.classes],
    }


def _about(name: str, version: DescriptionSet) -> dict[str, Any]:
    model = version.manifest.get("model", {})
    return {
        "name": name,
        "dataset": version.manifest["dataset"],
        "model": str(model.get("name", "")),
        "fingerprint": version.fingerprint,
        "kept": len(version.rows),
    }


def _meanings() -> Mapping[str, str]:
    from describe.edit_apply import EDITED, MEANING
    from describe.rules import RULES
    from describe.selection import SURPLUS

    surplus = {SURPLUS: "good, but the class had as many as were asked for", EDITED: MEANING}
    return surplus | {rule.name: rule.meaning for rule in RULES}


def _class(each: ClassDiff) -> dict[str, Any]:
    return {
        "id": each.class_id,
        "name": each.name,
        "readable": each.readable,
        "only": each.only,
        "score": round(each.score, 3),
        "entries": [
            {
                "kind": entry.kind,
                "state": entry.state,
                "old": entry.old,
                "new": entry.new,
                "old_rule": entry.old_rule,
                "new_rule": entry.new_rule,
                "detail": entry.detail,
                "words": word_changes(entry.old or "", entry.new or "")
                if entry.state == "changed"
                else [],
            }
            for entry in each.entries
        ],
    }


def _write_page(path: Path, sides: Sides) -> None:
    from describe.pages import render_page

    page = render_page(
        f"{sides.names[0]} → {sides.names[1]}",
        "diff.html",
        as_json(sides),
        scripts=("page.js", "diff.js"),
        styles=("page.css", "diff.css"),
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def run(config: DiffConfig) -> bool:
    """Compare, and show it as asked for; return whether the sides are the same.

    Raises:
        UserError: As `compare_sides`, or the page cannot be written.
    """
    sides = compare_sides(config)
    if config.html is not None:
        _write_page(config.html, sides)
    if config.json:
        show(json.dumps(as_json(sides), ensure_ascii=False, indent=1))
    else:
        print_diff(sides.names, sides.diff, config.show)
        if config.html is not None:
            show(f"\nThe page: {config.html}")
    return sides.diff.is_same


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 done, 1 an error; with --exit-code 0 same, 1 different, 2."""
    return run_command(
        "describe.diff",
        lambda: tyro.cli(
            DiffConfig,
            args=argv,
            prog="python -m describe.diff",
            description=__doc__,
            config=(tyro.conf.FlagCreatePairsOff,),
        ),
        _run_for_status,
    )


def _run_for_status(config: DiffConfig) -> int:
    if not config.exit_code:
        run(config)
        return 0
    try:
        return 0 if run(config) else 1
    except UserError as error:
        say(f"describe.diff: {error}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
