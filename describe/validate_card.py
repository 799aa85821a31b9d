"""Faults of a card: what the Hub's viewer reads in README.md before it reads any data."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from describe.errors import UserError
from describe.versions import CARD

REWRITE = "write it anew with --write-card"
_CONFIG_NAME = re.compile(r"\w+(\.\w+)*", re.ASCII)
_RESERVED_SPLIT = "all"  # `datasets` means every split by it


@dataclass(frozen=True, kw_only=True)
class CardConfig:
    """One entry of `configs`."""

    name: str
    """What `load_dataset(folder, name)` is given."""

    is_default: bool
    """The viewer opens with this config."""

    paths: tuple[str, ...]
    """The data files of all its splits, as written."""


def read_front_matter(root: Path) -> dict[str, Any]:
    """Return the YAML at the top of README.md.

    Raises:
        UserError: There is none that the Hub can read; the message says what is wrong with it.
    """
    import yaml

    text = _read(root / CARD)
    if not re.match(r"---[ \t]*\r?\n", text):
        raise UserError(f"{CARD}: does not begin with '---'; the YAML must come first, {REWRITE}")
    match = re.match(r"---[ \t]*\r?\n(.*?\r?\n)---[ \t]*(\r?\n|$)", text, re.DOTALL)
    if match is None:
        raise UserError(f"{CARD}: its YAML has no closing '---' line; {REWRITE}")
    try:
        front = yaml.safe_load(match[1])
        _refuse_repeated_keys(yaml.compose(match[1], Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f" at line {error.problem_mark.line + 2}"
        raise UserError(f"{CARD}: its YAML cannot be read{line}: {error.problem}") from error
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise UserError(f"{CARD}: its YAML cannot be read: {problem}") from error
    if not isinstance(front, dict):
        raise UserError(f"{CARD}: its YAML holds no keys; {REWRITE}")
    return front


def front_matter_faults(front: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with `configs` and what stands around it."""
    if front.get("viewer") is False:
        yield f"{CARD}: 'viewer: false' switches the viewer off; remove that line"
    entries = front.get("configs")
    if not isinstance(entries, list) or not entries:
        yield f"{CARD}: its YAML has no list 'configs'; {REWRITE}"
        return
    seen: set[str] = set()
    for number, entry in enumerate(entries, start=1):
        name = entry.get("config_name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            yield f"{CARD}: config {number} has no 'config_name' that is text; name it, in quotes"
            continue
        yield from _config_faults(name, entry)
        if name in seen:
            yield f"{CARD}: two configs are named {name!r}; remove one"
        seen.add(name)
    yield from _default_faults(entries)


def parse_configs(front: Mapping[str, Any]) -> list[CardConfig]:
    """Return the configs of a front matter that has no faults."""
    return [
        CardConfig(
            name=entry["config_name"],
            is_default=bool(entry.get("default")),
            paths=tuple(path for item in entry["data_files"] for path in _paths(item)),
        )
        for entry in front["configs"]
    ]


def _config_faults(name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    if not _CONFIG_NAME.fullmatch(name):
        yield f"{CARD}: {name!r} is no config name; use letters, digits, '_' and single dots"
    items = entry.get("data_files")
    if not isinstance(items, list) or not items or not all(map(_paths, items)):
        yield f"{CARD}: config {name!r} has no data_files with a split and a path; {REWRITE}"
        return
    splits = [item["split"] for item in items]
    for split in splits:
        if not isinstance(split, str) or not _CONFIG_NAME.fullmatch(split):
            yield (
                f"{CARD}: config {name!r} has the split name {split!r}; use letters, digits, '_' "
                "and single dots"
            )
        elif split == _RESERVED_SPLIT:
            yield f"{CARD}: config {name!r} has a split {split!r}, a reserved word; name it train"
    for split in sorted({str(split) for split in splits if splits.count(split) > 1}):
        yield f"{CARD}: config {name!r} has the split {split!r} twice; list its paths in one entry"


def _paths(item: object) -> list[str]:
    """Return the paths of one entry of data_files; none when the entry is malformed."""
    if not isinstance(item, dict) or set(item) != {"split", "path"}:
        return []
    paths = item["path"] if isinstance(item["path"], list) else [item["path"]]
    return paths if all(isinstance(path, str) and path for path in paths) else []


def _default_faults(entries: list[Any]) -> Iterator[str]:
    defaults = [
        str(entry.get("config_name"))
        for entry in entries
        if isinstance(entry, dict) and entry.get("default")
    ]
    if not defaults:
        yield f"{CARD}: no config is the default; give the newest version 'default: true'"
    if len(defaults) > 1:
        yield (
            f"{CARD}: {len(defaults)} configs are the default ({', '.join(defaults)}); leave "
            "'default: true' with the newest version alone"
        )


def _refuse_repeated_keys(node: Any) -> None:
    """Refuse a top-level key given twice: YAML would drop the first in silence."""
    keys = [key.value for key, _ in node.value] if node is not None and node.id == "mapping" else []
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    if repeated:
        raise UserError(f"{CARD}: its YAML has the key {repeated[0]!r} twice; merge them")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{CARD}: is missing; {REWRITE}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{CARD}: is not UTF-8 (byte {error.start}); {REWRITE}") from error
    except OSError as error:
        raise UserError(f"{CARD}: cannot be read: {error.strerror}") from error
