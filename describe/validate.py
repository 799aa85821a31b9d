"""`python -m describe.validate DIR`: check a set for all that the Hub's viewer needs."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from describe.card import CardVersion, version_row
from describe.dataset import UNFINISHED, write_card
from describe.errors import UserError
from describe.terminal import run_command, show
from describe.validate_card import (
    REWRITE,
    CardConfig,
    front_matter_faults,
    parse_configs,
    read_front_matter,
)
from describe.validate_version import version_faults
from describe.versions import CARD, DESCRIPTIONS, REJECTED, list_versions, read_manifest

_DATA_SUFFIXES = {".arrow", ".csv", ".gz", ".json", ".jsonl", ".parquet", ".tsv", ".txt", ".zip"}

FrontMatter = Mapping[str, Any]

# A process of its own: `datasets` reads its settings once, and writes to the screen as it likes.
_LOAD = """
import sys
from datasets import load_dataset
for config in sys.argv[2:]:
    print(config, flush=True)
    load_dataset(sys.argv[1], config)
"""


@dataclass(frozen=True, kw_only=True)
class ValidateConfig:
    """Which set to check, and how thoroughly."""

    folder: Annotated[Path, tyro.conf.Positional]
    """Folder of the set: the one that holds README.md and v1, v2, ..."""

    load: bool = True
    """Load every config with `datasets`, offline and from an empty cache (takes some seconds)."""

    write_card: bool = False
    """First write README.md anew from the manifests."""


def validate(root: Path, *, load: bool = True) -> list[str]:
    """Return the faults of the set in `root`, one line each: the file, what is wrong, what to do.

    Faults that hide others end the search early: nothing is loaded until all else is right.

    Raises:
        UserError: `root` is no folder.
    """
    if not root.is_dir():
        raise UserError(f"{root} is no folder; give the folder of a description set")
    names = _version_folders(root)
    faults = [fault for name in names for fault in version_faults(root, name)]
    if not names:
        faults.append("no version folder; describe a class list first")
    faults += _leftover_faults(root)
    try:
        front = read_front_matter(root)
    except UserError as error:
        return [*faults, str(error)]
    card_faults = list(front_matter_faults(front))
    if card_faults:
        return faults + card_faults
    configs = parse_configs(front)
    faults += _data_file_faults(root, configs)
    for check in (_config_faults, _stray_faults, _count_faults, *([_load_faults] if load else [])):
        if not faults:
            faults += check(root, front)
    return faults


def _version_folders(root: Path) -> list[str]:
    folders = (path.name for path in root.iterdir() if path.is_dir())
    return sorted(name for name in folders if not name.startswith("."))


def _leftover_faults(root: Path) -> Iterator[str]:
    for path in sorted(root.glob(f"{UNFINISHED}*")):
        yield f"{path.name}: was left by an interrupted run; delete it, or describe again"


def _data_file_faults(root: Path, configs: Sequence[CardConfig]) -> Iterator[str]:
    for config in configs:
        for pattern in config.paths:
            where = f"{CARD}: config {config.name!r} names {pattern!r}"
            if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
                yield f"{where}, outside the set; name a file in it"
            elif not (files := list(root.glob(pattern))):
                yield f"{where}, which does not exist; {REWRITE}"
            elif any(path.suffix != ".parquet" for path in files):
                yield f"{where}, which is not parquet; a set has one format, {REWRITE}"


def _stray_faults(root: Path, front: FrontMatter) -> Iterator[str]:
    named = {
        path
        for config in parse_configs(front)
        for pattern in config.paths
        for path in root.glob(pattern)
    }
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        hidden = any(part.startswith(".") for part in inside.parts)
        is_manifest = len(inside.parts) == 2 and path.name == "manifest.json"
        if path.suffix in _DATA_SUFFIXES and not (hidden or is_manifest or path in named):
            yield f"{inside}: no config in {CARD} names it; delete it, or {REWRITE}"


def _config_faults(root: Path, front: FrontMatter) -> Iterator[str]:
    """Yield where the card's configs are not the versions that are there."""
    versions = list_versions(root)
    expected = {name: f"{name}/{DESCRIPTIONS}" for name in versions}
    for name in versions:
        if REJECTED in read_manifest(root / name)["files"]:
            expected[f"{name}_rejected"] = f"{name}/{REJECTED}"
    configs = parse_configs(front)
    for config in configs:
        if config.name not in expected:
            yield f"{CARD}: config {config.name!r} is no version of this set; {REWRITE}"
        elif config.paths != (expected[config.name],):
            yield f"{CARD}: config {config.name!r} should name {expected[config.name]}; {REWRITE}"
        if config.is_default and config.name != versions[-1]:
            newest = versions[-1]
            yield f"{CARD}: the default is {config.name!r}, and the newest {newest!r}; {REWRITE}"
    missing = sorted(set(expected) - {config.name for config in configs})
    if missing:
        yield f"{CARD}: has no config {', '.join(missing)}; {REWRITE}"


def _count_faults(root: Path, front: FrontMatter) -> Iterator[str]:
    """Yield where the card states other counts than the manifests, which were checked by now."""
    stated = _stated_counts(front)
    lines = (root / CARD).read_text(encoding="utf-8").splitlines()
    for name in list_versions(root):
        manifest = read_manifest(root / name)
        for file, info in manifest["files"].items():
            config = name if file == DESCRIPTIONS else f"{name}_rejected"
            rows = info["rows"]
            if stated.get(config, rows) != rows:
                yield f"{CARD}: says {stated[config]} rows for {config!r} of {rows}; {REWRITE}"
        if version_row(CardVersion(name=name, manifest=manifest)) not in lines:
            yield f"{CARD}: the line of its table for {name!r} is stale or missing; {REWRITE}"


def _stated_counts(front: FrontMatter) -> dict[str, object]:
    """Return what `dataset_info` says of each config; an entry of another form says nothing."""
    infos = front.get("dataset_info")
    counts: dict[str, object] = {}
    for info in infos if isinstance(infos, list) else []:
        match info:
            case {"config_name": str(name), "splits": [{"num_examples": number}]}:
                counts[name] = number
    return counts


def _load_faults(root: Path, front: FrontMatter) -> Iterator[str]:
    names = [config.name for config in parse_configs(front)]
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [sys.executable, "-c", _LOAD, str(root.resolve()), *names],
            cwd=cache,  # not the user's folder, which may hold a datasets.py
            env={**os.environ, **_fresh_cache(cache)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        config = (done.stdout.splitlines() or ["?"])[-1]
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        yield f"{CARD}: `datasets` cannot load the config {config!r}: {reason}"


def _fresh_cache(folder: str) -> dict[str, str]:
    return {
        "HF_DATASETS_CACHE": folder,
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": folder,
        "HF_HUB_OFFLINE": "1",
    }


def summary(root: Path) -> str:
    """Return what a set without faults holds, on one line."""
    names = list_versions(root)
    versions = [CardVersion(name=name, manifest=read_manifest(root / name)) for name in names]
    kept = ", ".join(f"{v.name}: {v.num_kept} kept, {v.num_rejected} rejected" for v in versions)
    return f"ok: {root} ({kept})"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 no faults, 1 faults, each on a line."""
    return run_command(
        "describe.validate",
        lambda: tyro.cli(
            ValidateConfig, args=argv, prog="python -m describe.validate", description=__doc__
        ),
        run,
    )


def run(config: ValidateConfig) -> int:
    """Check a set, and say what is to mend; return the exit status."""
    if config.write_card:
        write_card(config.folder)
    faults = validate(config.folder, load=config.load)
    line = f"{len(faults)} to mend in {config.folder}" if faults else summary(config.folder)
    for each in (*faults, line):
        show(each)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
