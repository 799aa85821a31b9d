"""The tables of a report: one for each dataset and task, a row for each group of runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from adapt.report_groups import Group, Stat, column_of
from adapt.report_paper import (
    BASE,
    HM,
    NOVEL,
    SOURCE,
    TOP1,
    is_paper_backbone,
    paper_method,
    paper_rows,
    unlike_paper,
)
from describe.escape import escape, printable
from describe.terminal import show

if TYPE_CHECKING:
    from rich.console import Console

_FIRST = (TOP1, BASE, NOVEL, HM)

LEGEND = (
    "Accuracies are top-1 in percent, every video counted once. ± is the standard deviation over "
    "seeds (over official splits where there is one seed). In brackets 95%: of one run over its "
    "test videos, of several the mean over seeds by Student's t. HM is the harmonic mean of the "
    "means."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One accuracy, as text; all empty where there is none."""

    value: str = ""
    spread: str = ""
    interval: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A group of runs, or what the paper says of its like."""

    label: str
    seeds: str
    cells: tuple[Cell, ...]

    caution: str = ""
    """Why it cannot be compared with others; empty where it can."""

    is_paper: bool = False


@dataclass(frozen=True, kw_only=True)
class Section:
    """One dataset and task."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    groups: tuple[Group, ...]


def make_sections(groups: Sequence[Group]) -> list[Section]:
    """Return a section for each setting; groups come sorted by setting."""
    return [
        _section(setting, list(members))
        for setting, members in groupby(groups, key=lambda group: group.setting)
    ]


def _section(setting: str, groups: Sequence[Group]) -> Section:
    found = dict.fromkeys(name for group in groups for name in group.columns)
    columns = sorted(found, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
    published, notes = _published(groups, columns)
    rows = [_row(group, columns) for group in groups]
    notes += [note for group in groups for note in group.notes]
    return Section(
        title=setting,
        columns=tuple(columns),
        rows=(*rows, *published),
        notes=tuple(dict.fromkeys(notes)),
        groups=tuple(groups),
    )


def _row(group: Group, columns: Sequence[str]) -> Row:
    caution = "" if group.is_comparable else "not comparable with other rows"
    return Row(
        label=group.label,
        seeds=str(len(group.records)),
        cells=tuple(_cell(group.columns.get(name)) for name in columns),
        caution=f"{caution} or the paper" if group.is_leaky else caution,
    )


def _cell(stat: Stat | None) -> Cell:
    if stat is None:
        return Cell()
    low_high = stat.interval
    return Cell(
        value=f"{stat.mean:.2f}",
        spread="" if stat.std is None else f"±{stat.std:.2f}",
        interval="" if low_high is None else f"[{low_high[0]:.1f}, {low_high[1]:.1f}]",
    )


def _published(groups: Sequence[Group], columns: Sequence[str]) -> tuple[list[Row], list[str]]:
    """Return the paper's rows for the methods that are here, or say why they are left out."""
    records = [group.records[0] for group in groups]
    record = next((each for each in records if not each.is_untrained), records[0])
    dataset = str(record.manifest["dataset"])
    rows = [
        row
        for row in paper_rows(record.task, dataset, record.shots)
        if not row.values.keys().isdisjoint(columns)
    ]
    fitting = [each for each in groups if is_paper_backbone(_sizes(each)) and not each.is_leaky]
    if not rows or not fitting:
        return [], []
    split = record.options("data").get("split", 1)
    reasons = [unlike_paper(record.task, dataset, _tests(each)) for each in fitting]
    fitting = [group for group, reason in zip(fitting, reasons, strict=True) if not reason]
    if split != 1:
        reasons.insert(0, f"they are of split 1, and this is split {split}")
    if split != 1 or not fitting:
        return [], [f"the paper's numbers are left out: {reasons[0]}"]
    unlike = [f"the paper's numbers are not of all rows: {reason}" for reason in reasons if reason]
    methods = {paper_method(each.adapter, each.described != "none") for each in fitting}
    return [
        Row(
            label=f"paper: {row.method}",
            seeds="",
            cells=tuple(Cell(value=_published_value(row.values.get(name))) for name in columns),
            is_paper=True,
        )
        for row in rows
        if row.method in methods
    ], [f"the paper's rows: {SOURCE}, whose epoch was chosen on the test videos", *unlike]


def _sizes(group: Group) -> dict[str, object]:
    return dict(group.records[0].manifest["backbone"]["config"])


def _published_value(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _tests(group: Group) -> dict[str, list[tuple[str, int]]]:
    """Return the name and length of each list of a group, by column."""
    found: dict[str, list[tuple[str, int]]] = {}
    for each in group.results[0]:
        found.setdefault(column_of(each.list), []).append((each.list, each.n_total))
    return found


def print_sections(sections: Sequence[Section], others: Sequence[str]) -> None:
    """Print all tables, then what is left out of them; in ASCII where nothing else can be shown."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=False)
    with console.capture() as captured:  # of a closed pipe, rich would end the process
        for section in sections:
            _print_section(section, console)
        if sections:
            console.print(_terminal(LEGEND, console), style="dim")
        if others:
            console.print("\nnot in the tables:")
            for line in others:  # they hold commands to copy, so no line is broken
                console.print("- " + _terminal(line, console), soft_wrap=True)
    show(captured.get().removesuffix("\n"))


def _print_section(section: Section, console: "Console") -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console.print(Text(_terminal(section.title, console), style="bold"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    table.add_column("run", overflow="fold")
    table.add_column("seeds", justify="right")
    for name in section.columns:
        table.add_column(_terminal(name, console), justify="right", no_wrap=True)
    for row in section.rows:
        style = "dim" if row.is_paper else ""
        label = Text(_terminal(row.label, console), style=style)
        if row.caution:
            label.append(f"\n({row.caution})", style="yellow")
        cells = [Text(_terminal_cell(cell, console), style=style) for cell in row.cells]
        table.add_row(label, row.seeds, *cells)
    console.print(table)
    _print_lines(section.notes, console)
    console.print()


def _terminal_cell(cell: Cell, console: "Console") -> str:
    value = _terminal(f"{cell.value} {cell.spread}".strip(), console)
    return f"{value}\n{cell.interval}" if cell.interval else value


def _print_lines(lines: Sequence[str], console: "Console") -> None:
    for line in lines:
        console.print("- " + _terminal(line, console))


def _terminal(text: str, console: "Console") -> str:
    """Return a line that this terminal can show."""
    shown = printable(text)
    if console.encoding.lower().startswith("utf"):
        return shown
    return shown.replace("±", "+-").encode("ascii", "backslashreplace").decode()


def markdown(sections: Sequence[Section], others: Sequence[str]) -> str:
    """Return the same tables as Markdown."""
    blocks = ["# Runs"]
    for section in sections:
        blocks += [f"## {escape(section.title)}", _markdown_table(section)]
        if section.notes:
            blocks.append("\n".join(f"- {escape(note)}" for note in section.notes))
    if sections:
        blocks.append(LEGEND)
    if others:
        blocks += ["## Not in the tables", "\n".join(f"- {escape(line)}" for line in others)]
    return "\n\n".join(blocks) + "\n"


def _markdown_table(section: Section) -> str:
    lines = [
        f"| run | seeds | {' | '.join(escape(name) for name in section.columns)} |",
        f"|---|---:|{'---:|' * len(section.columns)}",
    ]
    for row in section.rows:
        label = escape(row.label) + (f" *({row.caution})*" if row.caution else "")
        cells = (
            " ".join(part for part in (cell.value, cell.spread, cell.interval) if part)
            for cell in row.cells
        )
        lines.append(f"| {label} | {row.seeds} | {' | '.join(cells)} |")
    return "\n".join(lines)
