"""The command: `python -m adapt.bench`. Ratios in one run, with equal outputs.

A training step against the published recipe done plainly and against full fine-tuning, inference
against the frozen backbone, peak memory, and the temporal convolution by kernel. Weights are
random: the time of a step does not depend on them.
"""

import sys
from collections.abc import Sequence

from adapt.bench_config import BenchConfig
from describe.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 done, 1 it could not, or outputs differ."""
    import tyro

    try:
        config = tyro.cli(BenchConfig, args=argv, prog="python -m adapt.bench", description=__doc__)
        from adapt.bench_parts import run  # loads torch

        run(config)
    except UserError as error:
        print(f"adapt.bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
