"""The report as one HTML file: no script, nothing fetched, every text escaped.

Its Content-Security-Policy allows the style by its hash, pictures inside the file, and no more.
"""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from adapt.report_classes import GroupChange, group_changes
from adapt.report_details import change_bars, run_details
from adapt.report_runs import RunRecord
from adapt.report_table import LEGEND, Section
from describe.escape import printable

PAGE = Path(__file__).parent / "page"

_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect width='16' height='16' rx='3.5' fill='%231f5f8b'/%3E"
    "%3Cpath d='M4 12V8M8 12V4M12 12V6' stroke='white' stroke-width='2'/%3E%3C/svg%3E"
)


def render_report(
    records: Sequence[RunRecord], sections: Sequence[Section], others: Sequence[str]
) -> str:
    """Return the page.

    Args:
        records: All runs, in the order they are shown in.
        sections: Their tables.
        others: Lines on what is in no table.

    Raises:
        UserError: A file of a run is damaged.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined, finalize=_shown
    )
    style = (PAGE / "report.css").read_text(encoding="utf-8")
    return environment.get_template("report.html").render(
        title="Runs",
        lead=_lead(records, sections),
        policy=_policy(style),
        icon=_ICON,
        style=style,
        sections=[(section, _changes(section)) for section in sections],
        legend=LEGEND,
        others=others,
        runs=[run_details(record) for record in records],
    )


def _shown(value: object) -> object:
    """Spell out what is invisible in a plain text; markup of ours, which is a subclass, stays."""
    return printable(value) if type(value) is str else value


def _lead(records: Sequence[RunRecord], sections: Sequence[Section]) -> str:
    groups = [group for section in sections for group in section.groups]
    counted = len({record.run.path for group in groups for record in group.records})
    runs = f"{len(records)} run" + ("s" if len(records) != 1 else "")
    return f"{runs}; {counted} in the tables" if counted != len(records) else runs


def _changes(section: Section) -> list[tuple[GroupChange, str]]:
    return [(each, change_bars(each)) for each in group_changes(section.groups) if each.classes]


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
