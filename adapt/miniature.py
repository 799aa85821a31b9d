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
from describe.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 done, 1 the user must change something."""
    try:
        config = tyro.cli(
            MiniatureConfig, args=argv, prog="python -m adapt.miniature", description=__doc__
        )
        from adapt.miniature_files import write_miniature

        write_miniature(config)
    except UserError as error:
        print(f"adapt.miniature: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
