"""Which set, and which version of it, a command line means: a name or a folder."""

from collections.abc import Sequence
from pathlib import Path

from describe.browse_sets import choose_sets, find_sets
from describe.errors import UserError
from describe.escape import printable
from describe.paths import workspace
from describe.terminal import some
from describe.versions import MANIFEST, list_versions

_PLACES = ("sets", "published")


def find_set(name: str) -> Path:
    """Return the folder of the set that `name` means: a name in the workspace, or a folder.

    Raises:
        UserError: There is none; those that exist are named.
    """
    return choose_sets(workspace(), name)[0].root


def find_version(side: str, dataset: str | None = None) -> tuple[Path, str]:
    """Return the set's folder and the version that `side` means.

    Args:
        side: A version (`v1`, `msta_n8`, or the beginning `msta`), also with its set before it
            (`hmdb51/v1`, `published/hmdb51/ost_n8`), or the folder of a version or a set. A set
            means its newest version.
        dataset: The set's name where `side` does not say it.

    Raises:
        UserError: It means no version, or several; those that exist are named.
    """
    path = Path(side).expanduser()
    if (path / MANIFEST).is_file():
        return path.resolve().parent, path.resolve().name
    home = workspace()
    is_set = side in {each.name for each in find_sets(home)} or (dataset is None and path.is_dir())
    if "/" not in side and not is_set:
        return _version_of(side, dataset or _only_set(side))
    head, _, tail = side.rpartition("/")
    places = (Path(head).expanduser(), *(home / place / head for place in _PLACES), home / head)
    known = {root: list_versions(root) for root in places if head and root.is_dir()}
    for root, versions in known.items():
        if tail in versions:
            return root, tail
    if any(known.values()) and not is_set and not path.is_dir():
        raise _no_version(tail, head, [name for names in known.values() for name in names])
    root = find_set(side)
    return root, list_versions(root)[-1]


def _only_set(side: str) -> str:
    names = list(dict.fromkeys(each.root.name for each in find_sets(workspace())))
    if len(names) == 1:
        return names[0]
    if not names:
        raise UserError("no description set in the workspace; make one with `python -m describe`")
    raise UserError(f"of which set is {printable(side)!r}? give --dataset: {some(names)}")


def _version_of(name: str, dataset: str) -> tuple[Path, str]:
    """Return the version that is called so, or begins so, of a made or an imported set."""
    roots = [workspace() / place / dataset for place in _PLACES]
    found = [(root, each) for root in roots if root.is_dir() for each in list_versions(root)]
    for hits in (_called(name, found), _beginning(name, found)):
        if len(hits) == 1:
            return hits[0]
        if hits:
            spelt = [f"{root.parent.name}/{root.name}/{each}" for root, each in hits]
            raise UserError(f"{name!r} may mean {some(spelt)}; write one of them")
    raise _no_version(name, dataset, [each for _, each in found])


def _no_version(name: str, dataset: str, known: Sequence[str]) -> UserError:
    return UserError(
        f"no version {printable(name)!r} of {printable(dataset)!r}; "
        f"known: {some(known, 8) or 'no such set'}"
    )


def _called(name: str, found: list[tuple[Path, str]]) -> list[tuple[Path, str]]:
    return [(root, each) for root, each in found if each == name]


def _beginning(name: str, found: list[tuple[Path, str]]) -> list[tuple[Path, str]]:
    return [(root, each) for root, each in found if each.startswith(f"{name}_")]
