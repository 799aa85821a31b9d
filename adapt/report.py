"""The command: `python -m adapt.report RUN...`. Runs become a table, and a page to look into.

    python -m adapt.report runs

Runs that differ in nothing but their seed share a row. Give runs, or folders of runs.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from describe.errors import UserError
from describe.terminal import run_command, show

if TYPE_CHECKING:
    from adapt.report_runs import RunRecord

PAGE_NAME = "report.html"


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Which runs are reported, and where to."""

    runs: tyro.conf.Positional[tuple[Path, ...]] = (Path("runs"),)
    """Runs, or folders of runs."""

    html: Path | None = None
    """Where the page goes; by default report.html in the folder that holds the runs."""

    markdown: Path | None = None
    """Also write the tables as Markdown, to this file."""

    page: bool = True
    """Whether the page is written at all."""

    def __post_init__(self) -> None:
        """Refuse what cannot go together."""
        if not self.runs:
            raise UserError("no runs given; name some, or a folder of runs")
        if self.html is not None and not self.page:
            raise UserError("give --html or --no-page, not both")


def run(config: ReportConfig) -> int:
    """Write the files, then print the tables: a reader who stops early has the files.

    Returns the exit status.

    Raises:
        UserError: A run is missing or damaged, or a file cannot be written.
    """
    from adapt.files import write_atomically
    from adapt.report_groups import group_runs
    from adapt.report_notes import left_out
    from adapt.report_runs import read_runs
    from adapt.report_table import make_sections, markdown, print_sections

    records = read_runs(config.runs)
    sections = make_sections(group_runs(records))
    others = left_out(records)
    written = []
    if config.markdown is not None:
        write_atomically(config.markdown, markdown(sections, others).encode())
        written.append(f"tables: {config.markdown}")
    if config.page:
        from adapt.report_page import render_report

        path = config.html or _default_page(records)
        write_atomically(path, render_report(records, sections, others).encode())
        written.append(f"page: {path}")
    print_sections(sections, others)
    for line in written:
        show(line)
    return 0


def _default_page(records: "Sequence[RunRecord]") -> Path:
    """Return where the page goes when it was not said.

    Raises:
        UserError: The runs lie in several folders.
    """
    folders = {record.run.path.resolve().parent: record.run.path.parent for record in records}
    if len(folders) > 1:
        raise UserError(
            "these runs lie in several folders; say where the page goes with --html, or --no-page"
        )
    return next(iter(folders.values())) / PAGE_NAME


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 done, 1 the user must change something, 130 interrupted."""
    return run_command(
        "adapt.report",
        lambda: tyro.cli(
            ReportConfig, args=argv, prog="python -m adapt.report", description=__doc__
        ),
        run,
    )


if __name__ == "__main__":
    sys.exit(main())
