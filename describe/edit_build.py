"""`python -m describe --edits`: a new version of a set, as people edited it. Sends nothing."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from describe.build import set_name
from describe.classes import ClassList, read_classes
from describe.config import Config
from describe.dataset import WrittenVersion, next_free_name, write_version
from describe.edit_apply import EDITED, MEANING, Applied, apply_edits, overruled
from describe.edits import Edit, edits_path, read_edits
from describe.errors import UserError
from describe.escape import printable
from describe.paths import workspace
from describe.request import KINDS, canonical_json
from describe.rows import Description, Rejected, fingerprint, fitted, in_order
from describe.rules import RuleConfig
from describe.terminal import show, some, table
from describe.versions import (
    DescriptionSet,
    list_versions,
    read_manifest,
    read_rejected,
    read_version,
)

# What decides about an edit's effect; who made it, and when, leaves no trace in a version.
_DECIDING = ("action", "class_name", "kind", "new_text", "reason", "text")
_SHOWN = 5  # edits that did nothing, named one by one


@dataclass(frozen=True, kw_only=True)
class Edited:
    """What the edits of a dataset make of a set."""

    base: DescriptionSet
    """The newest version that no edit has touched."""

    edits: Sequence[Edit]
    overruled: int
    applied: Applied
    written: WrittenVersion | None
    """None: a dry run."""


def build_edited(config: Config) -> Edited:
    """Apply the stored edits to the newest version that a run made, and write what comes of it.

    Every edit is applied anew, so that an edit can be taken back by a later one.

    Raises:
        UserError: There is no set, or no edit of it, or nothing would be kept.
    """
    root = edited_root(config)
    base = base_version(root)
    dataset = str(base.manifest["dataset"])
    edits = read_edits(dataset)
    if not edits:
        raise UserError(
            f"no edits of {dataset} in {edits_path(dataset)}; make some in the browser: "
            "python -m describe.browse"
        )
    applied = apply_edits(
        base.rows,
        read_rejected(root, base.name),
        edits,
        rules=_rules(base.manifest),
        wanted=_wanted(base),
    )
    return Edited(
        base=base,
        edits=edits,
        overruled=len(overruled(edits)),
        applied=applied,
        written=None if config.dry_run else _write(root, base, applied, config.version),
    )


def edited_root(config: Config) -> Path:
    """Return the folder of the set that the edits of `config` are for."""
    if config.out is not None:
        return config.out
    dataset = config.dataset
    if config.classes is not None:
        dataset = read_classes(config.classes, config.dataset).dataset
    named = ClassList(dataset=str(dataset), classes=(), subsets={})
    return workspace() / "sets" / set_name(config, named)


def base_version(root: Path) -> DescriptionSet:
    """Read the newest version of a set that is not itself made by edits."""
    names = list_versions(root)
    unedited = [name for name in names if "edits" not in read_manifest(root / name)]
    return read_version(root, unedited[-1] if unedited else None)


def _write(root: Path, base: DescriptionSet, applied: Applied, name: str | None) -> WrittenVersion:
    kept = [fitted(row) for row in in_order(applied.kept)]
    rejected = [fitted(row) for row in in_order(applied.rejected)]
    if name is None and read_version(root).fingerprint != fingerprint(kept, rejected):
        # An older version may hold these rows: the newest is the one that people get.
        name = next_free_name(root)
    return write_version(root, kept, rejected, edited_manifest(base, applied), name)


def edited_manifest(base: DescriptionSet, applied: Applied) -> dict[str, Any]:
    """Return the manifest of `base`, with what the edits changed of it."""
    made = dict(base.manifest)
    deciding = [{name: asdict(edit)[name] for name in _DECIDING} for edit in applied.in_force]
    text = canonical_json(sorted(deciding, key=canonical_json))
    made["edits"] = {
        "base": base.name,
        "base_fingerprint": base.fingerprint,
        "count": len(deciding),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        **dict(sorted(applied.done.items())),
    }
    rules = dict(made.get("rules", {}))
    made["rules"] = {**rules, "meanings": {**rules.get("meanings", {}), EDITED: MEANING}}
    made["counts"] = {**made["counts"], **_counts(base, applied)}
    return made


def _counts(base: DescriptionSet, applied: Applied) -> dict[str, Any]:
    kept, rejected = applied.kept, applied.rejected
    return {
        "flags": _sorted_counts(flag for row in kept for flag in row.flags),
        "repairs": _sorted_counts(name for row in (*kept, *rejected) for name in row.repairs),
        "short": _short(base, kept, rejected),
    }


def _sorted_counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _short(
    base: DescriptionSet, kept: Sequence[Description], rejected: Sequence[Rejected]
) -> dict[str, int]:
    """Return the classes and kinds with fewer sentences than were asked for."""
    found = Counter((row.readable_name, row.kind) for row in kept)
    wanted, kinds = _wanted(base), {row.kind for row in base.rows}
    classes = {row.class_id: row.readable_name for row in (*kept, *rejected)}
    short = {
        f"{readable} ({kind})": found[readable, kind]
        for _, readable in sorted(classes.items())
        for kind in KINDS
        if kind in kinds and found[readable, kind] < wanted
    }
    # Classes that the run got no sentence for at all are named in its manifest alone.
    nothing = {name: n for name, n in base.manifest["counts"].get("short", {}).items() if not n}
    filled = {f"{readable} ({kind})" for readable, kind in found}
    return short | {name: n for name, n in nothing.items() if name not in filled}


def _wanted(base: DescriptionSet) -> int:
    """Return how many sentences of each class and kind `base` was to have."""
    asked = base.manifest.get("sampling", {}).get("num_descriptions")
    if isinstance(asked, int):
        return asked
    return max(Counter((row.class_name, row.kind) for row in base.rows).values())


def _rules(manifest: Mapping[str, Any]) -> RuleConfig:
    """Return the limits that a version was made with."""
    stated = manifest.get("rules", {}).get("config", {})
    known = {each.name for each in fields(RuleConfig)}
    return RuleConfig(**{name: value for name, value in stated.items() if name in known})


def print_edited(edited: Edited) -> None:
    """Print what the edits did, and where the version is."""
    applied = edited.applied
    rows: list[tuple[str, object]] = [
        ("version", f"{edited.base.name}, the newest that no edit has touched"),
        ("edits", f"{len(edited.edits)}, of which {edited.overruled} overruled or undone since"),
        ("in force", len(applied.in_force)),
        ("rejected", applied.done["rejected"]),
        ("kept", f"{applied.done['kept']} that a rule had rejected"),
        ("rewritten", applied.done["rewritten"]),
    ]
    if applied.done["added"]:
        rows.append(("added", f"{applied.done['added']} that people wrote for older sentences"))
    if applied.done["promoted"]:
        rows.append(("promoted", f"{applied.done['promoted']} of the surplus"))
    for line in table(rows):
        show(line)
    _print_repeats(applied.repeats)
    _print_left_short(edited)
    _print_idle(applied.idle)
    _print_next(edited)


def _print_repeats(repeats: Sequence[Rejected]) -> None:
    if repeats:
        show(f"\n{len(repeats)} dropped, because an edit made another sentence say the same:")
    for row in repeats[:_SHOWN]:
        show(f"  {printable(row.class_name)} ({row.kind}): {_quoted(row.text)}")
    if len(repeats) > _SHOWN:
        show(f"  and {len(repeats) - _SHOWN} more")


def _print_left_short(edited: Edited) -> None:
    short = _short(edited.base, edited.applied.kept, edited.applied.rejected)
    if short:
        wanted = _wanted(edited.base)
        names = [f"{printable(name)} {number} of {wanted}" for name, number in short.items()]
        show(f"\n{len(names)} left short: {some(names)}")


def _print_idle(idle: Sequence[tuple[Edit, str]]) -> None:
    if not idle:
        return
    show(f"\n{len(idle)} edits did nothing here (they stay stored, for versions that they fit):")
    for edit, reason in idle[:_SHOWN]:
        show(f"  {printable(edit.class_name)} ({edit.kind}), {reason}: {_quoted(edit.text)}")
    if len(idle) > _SHOWN:
        names = sorted({printable(edit.class_name) for edit, _ in idle[_SHOWN:]})
        show(f"  and {len(idle) - _SHOWN} more, of {some(names)}")


def _quoted(text: str) -> str:
    words = printable(text)
    return f'"{words}"' if len(words) <= 60 else f'"{words[:59]}…"'


def _print_next(edited: Edited) -> None:
    written = edited.written
    if written is None:
        show("\nNothing was written (--dry-run).")
        return
    state = "written" if written.created else "there already, with these very rows"
    show(f"\nVersion {written.name} {state}: {written.path}")
    show(f"Compare:     python -m describe.diff {edited.base.path} {written.path}")
    show(f"Check it:    python -m describe.validate {written.path.parent}")
