"""The command: `python -m adapt.compare A B`. Whether two runs differ, video by video.

Both must have been evaluated on the same videos, in the same way. Of the videos that only one of
the two has right, McNemar's test asks how likely so uneven a division is by chance.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from describe.errors import UserError
from describe.escape import printable
from describe.terminal import run_command, say, show

if TYPE_CHECKING:
    from adapt.compare_pairs import Comparison, Flip
    from adapt.results import Result


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Which two runs are compared, and on which videos."""

    first: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="A")]
    """Folder of a run."""

    second: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="B")]
    """Folder of another."""

    split: str | None = None
    """Result that both have, such as test, novel, test.best, test.4x3 or test.paper; needed where
    they have several in common."""

    classes: int = 10
    """Classes shown of those that gained or lost most."""

    flips: int = 0
    """Videos shown of those that only one of the two has right."""

    def __post_init__(self) -> None:
        """Refuse what cannot be shown."""
        for name in ("classes", "flips"):
            if getattr(self, name) < 0:
                raise UserError(f"--{name} is {getattr(self, name)}; it must be at least 0")


def run(config: CompareConfig) -> int:
    """Compare, and print what was found; return the exit status.

    Raises:
        UserError: A run or result is missing, or the two are not alike.
    """
    from adapt.compare_pairs import compare_results

    first, second = find_results(config.first, config.second, config.split)
    found = compare_results(first, second)
    for line in report_lines(config, first, second, found):
        show(line)
    return 0


def find_results(first: Path, second: Path, name: str | None) -> "tuple[Result, Result]":
    """Read the result of that name from both runs; without a name, the one they have in common.

    What one run calls `test` is `test.4x3` in another whose own views are others: of the results of
    one list, those that were made alike belong together.

    Raises:
        UserError: There is none, or there are several; their names are given.
    """
    from adapt.compare_pairs import manner_of

    ours, theirs = _results_of(first, name), _results_of(second, name)
    common = {each: (ours[each], theirs[each]) for each in ours if each in theirs}
    alike = [
        (one, other)
        for one in ours.values()
        for other in theirs.values()
        if one.list == other.list and manner_of(one) == manner_of(other)
    ]
    pairs = common | {each[1].name: each for each in alike} | {each[0].name: each for each in alike}
    if not pairs or (name is not None and name not in pairs):
        has = "; ".join(f"{path} has {', '.join(each)}" for path, each in (
            (first, ours), (second, theirs)))  # fmt: skip
        raise UserError(f"no result {name or ''} in both runs: {has}".replace("  ", " "))
    if name is not None:
        return pairs[name]
    chosen = alike or list(common.values())
    if len(chosen) > 1:
        raise UserError(f"which result? give --split with one of: {', '.join(sorted(pairs))}")
    return chosen[0]


def _results_of(path: Path, wanted: str | None) -> "dict[str, Result]":
    """Read the results of a run. One that is damaged is left out, unless it is the one wanted."""
    from adapt.results import read_result
    from adapt.run_folder import RESULTS, open_run

    files = sorted((open_run(path).path / RESULTS).glob("*.json"))
    if not files:
        raise UserError(f"{path} has no results; python -m adapt.evaluate {path}")
    found = {}
    for file in files:
        try:
            found[file.stem] = read_result(file)
        except UserError as error:
            if wanted in (None, file.stem):
                raise
            say(f"left out: {error}")
    return found


def report_lines(
    config: CompareConfig, first: "Result", second: "Result", found: "Comparison"
) -> Iterator[str]:
    """Yield the lines that are printed."""
    yield f"A: {printable(first.run)}, B: {printable(second.run)}"
    yield (f"{printable(first.name)}: {found.videos} videos, {len(found.classes)} classes, "
           f"{first.num_clips}x{first.num_crops} views")  # fmt: skip
    if found.left_out:
        yield (f"{len(found.left_out)} videos that only one of the two could read are left out, "
               f"first {printable(found.left_out[0])}")  # fmt: skip
    for side, result in (("A", first), ("B", second)):
        yield from (f"{side}: {line}" for line in cautions(result))
    low, high = found.interval
    yield ""
    yield f"top-1       A {found.first_top1:6.2f}   B {found.second_top1:6.2f}"
    yield f"B - A       {found.difference:+.2f} points, 95% {low:+.2f} to {high:+.2f}"
    yield f"only A      {len(found.lost)} videos right, only B {len(found.gained)}"
    yield f"McNemar     p = {_p_value(found.p)}: {verdict(found)}"
    yield "Of these videos and these two trainings; other seeds may differ by more."
    yield from _class_lines(found, config.classes)
    yield from _flip_lines("only A has right", found.lost, config.flips)
    yield from _flip_lines("only B has right", found.gained, config.flips)


def cautions(result: "Result") -> Iterator[str]:
    """Yield what flatters a result."""
    for leak in result.leaks:
        yield f"leakage allowed: {printable(leak)}"
    if result.selection == "best-on-test":
        yield "its epoch was chosen on test videos, which flatters"


def verdict(found: "Comparison") -> str:
    """Say in words what the test says."""
    if not found.lost and not found.gained:
        return "the two are right on the same videos"
    if found.p >= 0.05:
        return "chance alone could make this difference"
    return f"{'B' if found.difference > 0 else 'A'} is better on these videos"


def _p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"


def _class_lines(found: "Comparison", most: int) -> Iterator[str]:
    moved = [each for each in found.classes if each.change]
    if not most or not moved:
        return
    half = (most + 1) // 2
    shown = moved if len(moved) <= most else moved[:half] + moved[len(moved) - most // 2 :]
    yield f"\n{'class':<30} {'videos':>6} {'A right':>8} {'B right':>8} {'change':>7}"
    for each in shown:
        name = printable(each.class_name)
        name = name if len(name) <= 30 else name[:29] + "…"
        yield (f"{name:<30} {each.videos:>6} {each.first_right:>8} {each.second_right:>8} "
               f"{each.change:>+7}")  # fmt: skip
    if len(shown) < len(moved):
        yield f"and {len(moved) - len(shown)} more that moved; see --classes"


def _flip_lines(title: str, flips: "Sequence[Flip]", most: int) -> Iterator[str]:
    if not most or not flips:
        return
    yield f"\n{title}:"
    for each in flips[:most]:
        yield (f"  {printable(each.video)}: {printable(each.class_name)}, taken for "
               f"{printable(each.taken_for)}")  # fmt: skip
    if len(flips) > most:
        yield f"  and {len(flips) - most} more; see --flips"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 done, 1 the user must change something, 130 interrupted."""
    return run_command(
        "adapt.compare",
        lambda: tyro.cli(
            CompareConfig, args=argv, prog="python -m adapt.compare", description=__doc__
        ),
        run,
    )


if __name__ == "__main__":
    sys.exit(main())
