"""`python -m describe.browse`: read a description set in a browser, and edit it there."""

import os
import sys
import threading
import warnings
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from describe.browse_sets import SetFolder, choose_sets
from describe.errors import UserError
from describe.paths import workspace
from describe.terminal import INTERRUPTED, run_command, show

DESCRIPTION = """Read a description set in a browser, and edit it there.

A small server on 127.0.0.1 shows every version: what was kept, what was rejected and why, and the
prompt and reply behind each sentence. Ctrl-C stops it. With --html the page is written to a file
that needs no server and can be passed on."""


@dataclass(frozen=True, kw_only=True)
class BrowseConfig:
    """What to look at, and how."""

    dataset: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[DATASET]")] = None
    """A set of the workspace (hmdb51, published/k400) or its folder; by default all of them."""

    version: str | None = None
    """Version to show first; by default the newest."""

    html: Path | None = None
    """Write the page of one version to this file and stop; nothing can be edited in it."""

    open: bool = True
    """Open a browser, where there is a screen."""

    port: int = 0
    """Port of the server on 127.0.0.1; 0: a free one."""

    def __post_init__(self) -> None:
        """Refuse a port that is none."""
        if not 0 <= self.port <= 65535:
            raise UserError(f"--port is {self.port}; it must be in [0, 65535]")


def run(config: BrowseConfig) -> None:
    """Write the page, or serve pages until Ctrl-C.

    Raises:
        UserError: There is no such set or version, or the page cannot be written or served.
    """
    home = workspace()
    sets = choose_sets(home, config.dataset)
    if config.html is not None:
        write_page(_the_one(sets), home, config.version, config.html)
    else:
        serve(config, sets, home)


def write_page(folder: SetFolder, home: Path, version: str | None, path: Path) -> None:
    """Write the page of a version to a file, whole or not at all.

    Raises:
        UserError: There is no such version, or the file cannot be written.
    """
    from describe.browse_data import render_version

    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder; name a file in it")
    data = render_version(folder, home, version).encode()
    unfinished = path.with_name(f".writing-{path.name}")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    show(f"{folder.name}: {path} ({len(data) / 1e6:.1f} MB)")


def serve(config: BrowseConfig, sets: Sequence[SetFolder], home: Path) -> None:
    """Serve the pages of `sets`, and open the first.

    Raises:
        UserError: There is no such version, it is damaged, or the port is taken.
    """
    from describe.browse_data import render_version
    from describe.browse_server import BrowseServer

    folder = None
    if len(sets) == 1 or config.version is not None:
        folder = _the_one(sets)
        render_version(folder, home, config.version)  # what is wrong shows before anything opens
    with BrowseServer(sets, home, config.port) as server:
        address = server.address(folder, config.version)
        show(f"{folder.name if folder else f'{len(sets)} sets'}: {address}")
        show("Ctrl-C stops the server.")
        sys.stdout.flush()
        if config.open and _has_screen():
            threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()
        server.serve_forever()


def _the_one(sets: Sequence[SetFolder]) -> SetFolder:
    if len(sets) > 1:
        names = ", ".join(each.name for each in sets)
        raise UserError(f"there are {len(sets)} sets; name one of them: {names}")
    return sets[0]


def _has_screen() -> bool:
    """Whether a browser could open a window; a text browser would take over the terminal."""
    if sys.platform in ("darwin", "win32"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 done, 1 the user must change something, 130 Ctrl-C."""
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    return run_command(
        "describe.browse",
        lambda: tyro.cli(
            BrowseConfig, args=argv, prog="python -m describe.browse", description=DESCRIPTION
        ),
        _run,
    )


def _run(config: BrowseConfig) -> int:
    try:
        run(config)
    except KeyboardInterrupt:  # how the server is meant to end, so nothing is said
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
