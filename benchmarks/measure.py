"""Repeats, medians and the table: how a figure is measured and said."""

import gc
import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

_T = TypeVar("_T")
PACKAGES = ("aiohttp", "openai", "httpx", "diskcache", "xllamacpp")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number to reach, or to know, as measured in each repeat."""

    name: str
    values: Sequence[float]
    at_most: float | None = None
    at_least: float | None = None
    unit: str = ""
    detail: str = ""
    """What else was seen, in words."""

    best: bool = False
    """Whether the best repeat counts (the least time a command can take), not the median."""

    @property
    def value(self) -> float:
        """The number that counts."""
        return min(self.values) if self.best else median(self.values)

    @property
    def is_met(self) -> bool:
        """Whether the bound is kept; a figure without one always is."""
        low = float("-inf") if self.at_least is None else self.at_least
        high = float("inf") if self.at_most is None else self.at_most
        return low <= self.value <= high

    @property
    def bound(self) -> str:
        """The bound, as text."""
        if self.at_most is not None:
            return f"<= {self.at_most:g}{self.unit}"
        return "" if self.at_least is None else f">= {self.at_least:g}{self.unit}"

    def row(self) -> str:
        """Return the figure as a row of a Markdown table."""
        mark = "" if self.is_met else " **missed**"
        each = ", ".join(f"{value:.3g}" for value in self.values)
        value = f"{self.value:.3g}{self.unit}{' (best)' if self.best else ''}{mark}"
        return f"| {self.name} | {self.bound} | {value} | {each} | {self.detail} |"


HEADER = "| figure | bound | median | repeats | seen |\n|---|---|---|---|---|"


def interleave(repeats: int, *arms: Callable[[], _T]) -> Iterator[tuple[_T, ...]]:
    """Run every arm once a repeat, starting with another one each time; yield their results."""
    for repeat in range(repeats):
        results: dict[int, _T] = {}
        for turn in range(len(arms)):
            index = (repeat + turn) % len(arms)
            gc.collect()
            results[index] = arms[index]()
        yield tuple(results[i] for i in range(len(arms)))


def machine() -> str:
    """Say what this was measured on."""
    versions = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"no {name}")
    return f"{platform.machine()} {sys.platform}, {os.cpu_count()} cores; {', '.join(versions)}"


def load() -> str:
    """Say how busy the machine is; well over 0 before a figure, something else is running."""
    return "load " + " ".join(f"{each:.1f}" for each in os.getloadavg())
