"""The command: `python -m adapt.miniature OUT`. Small labelled videos to try everything with.

Drawn figures, 24 actions, 16 of them in pairs that only the order of frames tells apart. They are
real video files in class folders, with lists, so that they are read as any dataset is:

    OUT/train/<class>/0000.mp4 ...    OUT/train.csv
    OUT/test/<class>/0000.mp4 ...     OUT/test.csv
    OUT/descriptions/                 written-in descriptions, right ones and three spoilt ways
"""

import sys
from collections.abc import Sequence

import tyro

from adapt.miniature_config import MiniatureConfig
from describe.terminal import run_command


def run(config: MiniatureConfig) -> int:
    """Write the world; return the exit status."""
    from adapt.miniature_files import write_miniature

    write_miniature(config)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 done, 1 the user must change something, 130 interrupted."""
    return run_command(
        "adapt.miniature",
        lambda: tyro.cli(
            MiniatureConfig, args=argv, prog="python -m adapt.miniature", description=__doc__
        ),
        run,
        if_interrupted="delete the folder before drawing it again",
    )


if __name__ == "__main__":
    sys.exit(main())
