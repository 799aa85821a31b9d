"""The command: `python -m adapt.quality SET --backbone X`. What a filter would do, before training.

The text tower of the backbone looks at every description of a set: is it nearer to its own class
than to any other, does it say what another says, is it too long? Nothing is written unless asked.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tyro

from adapt.quality_config import FilterConfig
from adapt.quality_report import summary_line, worst_classes, worst_sentences
from describe.errors import UserError
from describe.terminal import run_command, show


@dataclass(frozen=True, kw_only=True)
class QualityConfig:
    """Which set is looked at, and through which backbone."""

    descriptions: tyro.conf.Positional[str]
    """A description set: its folder, that of one version, or a version's name with --dataset."""

    backbone: str = "OpenGVLab/ViCLIP-B-16-hf"
    """A file, a folder, a hub name, or `miniature`."""

    dataset: str | None = None
    """The dataset, where `descriptions` is the name of a version that several have, such as v2."""

    worst: int = 10
    """Classes and sentences that are shown."""

    output: Path | None = None
    """Also write what happens to each sentence, as a run does in its descriptions.json."""

    device: str = "auto"
    """A torch device; auto: cuda where there is one."""

    filter: FilterConfig = field(default_factory=lambda: FilterConfig(filter="text"))

    def __post_init__(self) -> None:
        """Refuse a table of nothing."""
        if self.worst < 0:
            raise UserError(f"--worst is {self.worst}; it must be at least 0")


def look(config: QualityConfig) -> dict[str, Any]:
    """Return what the filter does with each sentence of a set.

    Raises:
        UserError: There is no such set or backbone, or the filter cannot work.
    """
    from adapt.constraint import build_constraint
    from adapt.device import choose_device, with_memory
    from adapt.distributed import Processes
    from adapt.train_backbone import open_backbone
    from adapt.train_descriptions import find_descriptions
    from describe.classes import ActionClass

    described = find_descriptions(config.descriptions, config.dataset)
    named = {row.class_name: row for row in described.rows}
    classes = [
        ActionClass(class_id=row.class_id, name=row.class_name, readable=row.readable_name)
        for row in sorted(named.values(), key=lambda row: row.class_id)
    ]
    present = {row.kind for row in described.rows}
    chosen = config.filter
    if chosen.description_kinds == "both" and len(present) == 1:
        chosen = replace(chosen, description_kinds=present.pop())  # type: ignore[arg-type]
    device = choose_device(config.device, Processes())
    with with_memory(device):
        backbone = open_backbone(config.backbone).to(device)
        return build_constraint(backbone, described, classes, chosen).report


def worst_of(report: dict[str, Any], worst: int) -> str:
    """Return what a person should look at first."""
    counts = report["summary"]
    lines = [f"{report['dataset']} {report['version']}: {summary_line(report)}"]
    if counts["median_margin"] is not None:
        lines.append(f"median margin {counts['median_margin']:.2f}")
    classes = worst_classes(report, worst)
    if classes:
        lines += [
            "",
            "Classes whose sentences are nearest to other classes (margin, kept):",
            *classes,
        ]
    sentences = worst_sentences(report, worst)
    if sentences:
        lines += ["", "Sentences in doubt, the worst first:", *sentences]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 done, 1 the user must change something, 130 interrupted.
    """
    return run_command(
        "adapt.quality",
        lambda: tyro.cli(
            QualityConfig, args=argv, prog="python -m adapt.quality", description=__doc__,
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
        ),
        run,
    )  # fmt: skip


def run(config: QualityConfig) -> int:
    """Look, print, and write where asked; return the exit status."""
    report = look(config)
    if config.output is not None:
        from adapt.files import write_atomically

        text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
        write_atomically(config.output, text.encode())
    show(worst_of(report, config.worst))
    return 0


if __name__ == "__main__":
    sys.exit(main())
