"""The command `python -m describe.cache`: look after the stored replies."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from describe.cache import Entry, ReplyStore
from describe.errors import UserError
from describe.paths import workspace
from describe.terminal import run_command, show


@dataclass(frozen=True, kw_only=True)
class CacheConfig:
    """Verify, export or import the stored replies; say why a class is asked again."""

    export: Path | None = None
    """Write all replies to this file, one JSON object a line, oldest first."""

    import_: Annotated[tuple[Path, ...], tyro.conf.arg(name="import")] = ()
    """Add the replies of such files; a stored one is never replaced."""

    explain: str | None = None
    """A class: say how its requests differ from the nearest stored ones. All other flags are
    those of `python -m describe`: --dataset hmdb51 --temperature 0.8, say."""


def run(config: CacheConfig, rest: Sequence[str]) -> int:
    """Do what was asked for; verifying is the default. Returns the exit status.

    Raises:
        UserError: A flag goes with no other, or a file cannot be used.
    """
    if rest and config.explain is None:
        raise UserError(f"{rest[0]} goes with --explain CLASS only")
    with ReplyStore(workspace() / "replies") as store:
        if config.export is not None:
            return _export(store, config.export)
        if config.import_:
            return max(_import(store, path) for path in config.import_)
        if config.explain is not None:
            return _explain(store, config.explain, rest)
        return _verify(store)


def _verify(store: ReplyStore) -> int:
    sound, faults = store.verify()
    show(f"{sound} sound replies in {store.folder}, {len(faults)} damaged")
    for fault in faults:
        show(f"  {fault}")
    return 1 if faults else 0


def _export(store: ReplyStore, path: Path) -> int:
    unfinished = path.with_name(path.name + ".part")
    number = 0
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            for entry in store.entries():
                file.write(entry.to_json() + "\n")
                number += 1
        unfinished.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    show(f"{number} replies written to {path}")
    return 0


def _import(store: ReplyStore, path: Path) -> int:
    added = known = damaged = 0
    for where, entry in _read(path):
        if isinstance(entry, ValueError):
            damaged += 1
            print(f"warning: {where}: {entry}; passed over", file=sys.stderr)
        elif entry.request.key in store:
            known += 1
        else:
            store.put(entry.request, entry.reply, entry.label)
            added += 1
    show(f"{path}: {added} replies added, {known} there already, {damaged} damaged")
    return 1 if damaged else 0


def _read(path: Path) -> Iterator[tuple[str, Entry | ValueError]]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield f"{path}:{number}", Entry.from_json(line)
                except ValueError as error:
                    yield f"{path}:{number}", error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def _explain(store: ReplyStore, class_name: str, rest: Sequence[str]) -> int:
    from describe.__main__ import parse_args
    from describe.backend import identify
    from describe.build import listed_classes, pick_classes, sampling
    from describe.estimate import Nearest
    from describe.prompts import Asker, load_prompts
    from describe.request import KINDS

    config = parse_args([*rest, "--subset", class_name])
    nearest = Nearest(store)
    asker = Asker(load_prompts(config.prompts), sampling(config, identify(config)))
    for action in pick_classes(config, listed_classes(config)).classes:
        for kind in KINDS:
            ask = asker.ask(action, kind, 0)
            if ask.key in store:
                show(f"{action.name}, {kind}: stored ({ask.key[:15]})")
                continue
            found = nearest.differences(action.name, kind, asker.request(ask))
            show(f"{action.name}, {kind}: not stored" + ("" if found else "; none like it is"))
            for line in found or ():
                show(f"  {line}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 sound or done, 1 damaged or a mistake of the user's."""
    return run_command(
        "describe",
        lambda: tyro.cli(
            CacheConfig, args=argv, prog="python -m describe.cache", return_unknown_args=True
        ),
        lambda parsed: run(*parsed),
    )
