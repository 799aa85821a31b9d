"""Class lists: the actions a recognizer must tell apart, in label order.

A list is one file. The shipped ones, `data/<dataset>/classes.tsv`, have a header and one class a
line: its official name, a readable name, and in a column for each subset the place of the class in
that subset's public label order. `describe.class_files` reads these and anyone's own lists alike.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Literal

from describe.class_files import ClassEntry, read_entries
from describe.errors import UserError
from describe.paths import SHIPPED

Group = Literal["base", "novel"]

_RUN_TOGETHER = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)+")  # ApplyEyeMakeup


@dataclass(frozen=True, kw_only=True, slots=True)
class ActionClass:
    """One action."""

    class_id: int
    """The label: the place in the full list, from 0."""

    name: str
    """The official name, by which rows, videos and files are joined."""

    readable: str
    """The name in plain English, for prompts and text encoders."""

    group: Group | None = None
    """Where the base-to-novel protocol puts the class; None where there is no such split."""


@dataclass(frozen=True, kw_only=True)
class ClassList:
    """The classes of one dataset, or of a subset of it, by ascending label."""

    dataset: str
    classes: tuple[ActionClass, ...]

    subsets: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Subset name to its official names, in the public label order of that subset."""

    @cached_property
    def by_name(self) -> Mapping[str, ActionClass]:
        """Official name to class."""
        return {each.name: each for each in self.classes}

    @property
    def names(self) -> tuple[str, ...]:
        """The official names, in label order."""
        return tuple(each.name for each in self.classes)

    @cached_property
    def _by_loose_key(self) -> Mapping[str, tuple[ActionClass, ...]]:
        found: dict[str, tuple[ActionClass, ...]] = {}
        for each in self.classes:
            key = _loose_key(each.name)
            found[key] = (*found.get(key, ()), each)
        return found

    def find(self, name: str) -> ActionClass:
        """Return the class called `name`, in any public spelling of it.

        Public files spell one class in several ways: `HandstandPushups` and `HandStandPushups`,
        `brush_hair` and `brush hair`. Case, spaces and punctuation do not count unless two classes
        differ in nothing else.

        Raises:
            UserError: No class, or more than one, is called so.
        """
        if name in self.by_name:
            return self.by_name[name]
        found = self._by_loose_key.get(_loose_key(name), ())
        if len(found) == 1:
            return found[0]
        near = [each.name for each in found] or get_close_matches(name, self.names, n=3)
        hint = f"; nearest: {', '.join(map(repr, near))}" if near else ""
        raise UserError(f"no class {name!r} in {self.dataset}{hint}")


def known_datasets() -> list[str]:
    """Return the datasets whose class lists are shipped."""
    return sorted(path.parent.name for path in (SHIPPED / "data").glob("*/classes.tsv"))


def load_classes(dataset: str) -> ClassList:
    """Read a shipped class list.

    Raises:
        UserError: No list of that name is shipped.
    """
    known = known_datasets()
    if dataset not in known:
        raise UserError(
            f"no dataset {dataset!r}; known: {', '.join(known)}; a list of your own: --classes FILE"
        )
    return read_classes(SHIPPED / "data" / dataset / "classes.tsv", dataset)


def read_classes(path: Path, dataset: str | None = None) -> ClassList:
    """Read a class list of any form: text, CSV, TSV, JSON, or a folder of class folders.

    Args:
        path: The file or folder.
        dataset: What to call the list; the file's stem by default.

    Raises:
        UserError: The list cannot be read, is empty, repeats a name, or has unusable labels. The
            message gives the place, such as a line number.
    """
    dataset = path.stem if dataset is None else dataset
    if not re.fullmatch(r"\w[\w.-]*", slug := re.sub(r"\s+", "_", dataset)):
        raise UserError(f"{dataset!r} cannot name a dataset; use letters, digits, '_', '-' and '.'")
    entries = read_entries(path)
    return ClassList(
        dataset=slug,
        classes=tuple(_action_class(label, entry) for label, entry in enumerate(entries)),
        subsets=_subset_orders(entries),
    )


def subset(classes: ClassList, name: str) -> ClassList:
    """Return the classes of one subset; they keep the labels of the full list.

    Args:
        classes: A full list.
        name: `base`, `novel`, or for k600 `zero_shot_1`, `zero_shot_2`, `zero_shot_3`.

    Raises:
        UserError: The list has no such subset.
    """
    members = set(_order(classes, name))
    kept = tuple(each for each in classes.classes if each.name in members)
    return ClassList(dataset=classes.dataset, classes=kept)


def protocol_order(dataset: str, name: str) -> tuple[str, ...]:
    """Return the official names of a shipped subset, in the label order public files use.

    That order is not the full list's: label 0 of k400's base classes is `getting a tattoo`.

    Raises:
        UserError: There is no such dataset or subset.
    """
    return _order(load_classes(dataset), name)


def readable_name(name: str) -> str:
    """Split an identifier into words: `ApplyEyeMakeup`, `brush_hair`. Other names stay."""
    if " " in name:
        return name
    if _RUN_TOGETHER.fullmatch(name):
        return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()
    return " ".join(name.replace("_", " ").split()) or name


def _order(classes: ClassList, name: str) -> tuple[str, ...]:
    if name not in classes.subsets:
        known = ", ".join(classes.subsets) or "none"
        raise UserError(f"{classes.dataset} has no subset {name!r}; it has: {known}")
    return classes.subsets[name]


def _action_class(label: int, entry: ClassEntry) -> ActionClass:
    groups: tuple[Group, ...] = ("base", "novel")
    return ActionClass(
        class_id=label,
        name=entry.name,
        readable=entry.readable or readable_name(entry.name),
        group=next((group for group in groups if group in entry.places), None),
    )


def _subset_orders(entries: list[ClassEntry]) -> Mapping[str, tuple[str, ...]]:
    members: dict[str, dict[int, str]] = {}
    for entry in entries:
        for name, place in entry.places.items():
            members.setdefault(name, {})[place] = entry.name
    return {
        name: tuple(members[name][i] for i in sorted(members[name])) for name in sorted(members)
    }


def _loose_key(name: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if c.isalnum())
