"""Results as a table for the terminal."""

from collections.abc import Sequence

from adapt.metrics import harmonic_mean
from adapt.results import Result
from describe.escape import printable

HEADER = ("list", "videos", "classes", "top-1", "95%", "top-5", "per class")


def results_table(results: Sequence[Result], chosen_on: str | None = None) -> str:
    """Return one line a result, the harmonic mean of base and novel, and what one must know.

    Args:
        results: Of one run.
        chosen_on: The list that the best epoch on test videos was chosen on; by default the first.
    """
    chosen_on = results[0].list if chosen_on is None and results else chosen_on
    rows = [HEADER, *(_row(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, *_harmonic(results), *_notes(results, chosen_on)])


def _row(result: Result) -> tuple[str, ...]:
    low, high = result.top1_interval
    return (
        printable(result.name),
        str(result.n_evaluated),
        str(len(result.class_names)),
        f"{result.top1:.2f}",
        f"{low:.1f}-{high:.1f}",
        f"{result.top5:.2f}",
        f"{result.mean_per_class:.2f}",
    )


def _harmonic(results: Sequence[Result]) -> list[str]:
    by_list = {result.list: result for result in results}
    if not {"base", "novel"} <= set(by_list):
        return []
    mean = harmonic_mean(by_list["base"].top1, by_list["novel"].top1)
    return [f"harmonic mean of base and novel: {mean:.2f}"]


def _notes(results: Sequence[Result], chosen_on: str | None) -> list[str]:
    notes = []
    for result in results:
        name = printable(result.list)
        if result.n_failed:
            shown = "; ".join(f"{printable(n)}: {printable(why)}" for n, why in result.failed[:3])
            more = f"; and {result.n_failed - 3} more" if result.n_failed > 3 else ""
            notes.append(
                f"{name}: {result.n_failed} of {result.n_total} videos could not be read and are "
                f"not counted: {shown}{more}"
            )
        if result.protocol == "paper":
            notes.append(
                f"{name}: the paper's protocol: {result.n_dropped} of {result.n_total} videos were "
                "dropped, as the published evaluations did"
            )
        notes += [f"{name}: leakage allowed: {printable(text)}" for text in result.leaks]
        if result.selection == "held-out":
            notes.append(f"{name}: after epoch {result.epoch}, the best on the held-out videos")
        if result.selection == "best-on-test" and result.list == chosen_on:
            notes.append(
                f"{name}: epoch {result.epoch} was chosen on these same videos, which flatters"
            )
        elif result.selection == "best-on-test":
            notes.append(
                f"{name}: the epoch was chosen on the test videos of {printable(chosen_on or '')}"
            )
    return notes
