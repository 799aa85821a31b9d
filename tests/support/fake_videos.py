"""Videos folders of empty files: all that a reader of lists looks at is names."""

from collections.abc import Iterable
from pathlib import Path

from describe.classes import load_classes


def touch(folder: Path, names: Iterable[str]) -> Path:
    """Make an empty file for each name, with its folders; return the folder."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def write(path: Path, *lines: str, end: str = "\n") -> Path:
    """Write a text file of these lines; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}{end}" for line in lines).encode("utf-8"))
    return path


UCF = load_classes("ucf101").names


def ucf_names(name: str, groups: range, clips: int = 2) -> list[str]:
    return [f"v_{name}_g{g:02}_c{c:02}.avi" for g in groups for c in range(1, clips + 1)]


def make_ucf(root: Path) -> Path:
    """UCF-101 as it unpacks: class folders, and the official lists beside them."""
    lines: dict[str, list[str]] = {"train": [], "test": []}
    for label, name in enumerate(UCF, start=1):
        folder = name.replace("HandstandPushups", "HandStandPushups")  # as the lists spell it
        test, train = ucf_names(name, range(1, 3)), ucf_names(name, range(8, 13))
        touch(root / "UCF-101" / folder, [*test, *train])
        lines["test"] += [f"{folder}/{each}" for each in test]
        lines["train"] += [f"{folder}/{each} {label}" for each in train]
    for part, rows in lines.items():
        write(root / "ucfTrainTestlist" / f"{part}list01.txt", *rows, end="\r\n")
    return root / "UCF-101"


def make_own(root: Path) -> Path:
    """A person's own folder of class folders, without any list."""
    names = [f"{name}/clip_{name}_{i}.mp4" for name in ("kick", "hug", "bow") for i in range(10)]
    return touch(root / "mine", names)
