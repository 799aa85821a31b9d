"""The command: `python -m adapt.bench`. Ratios in one run, with equal outputs.

A training step against the published recipe done plainly and against full fine-tuning, inference
against the frozen backbone, peak memory, and the temporal convolution by kernel. Weights are
random: the time of a step does not depend on them.
"""

import sys
from collections.abc import Sequence

from adapt.bench_config import BenchConfig
from describe.terminal import run_command


def run(config: BenchConfig) -> int:
    """Measure; return the exit status."""
    from adapt.bench_parts import measure  # loads torch

    measure(config)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 done, 1 it could not, or outputs differ, 130 interrupted."""
    import tyro

    return run_command(
        "adapt.bench",
        lambda: tyro.cli(BenchConfig, args=argv, prog="python -m adapt.bench", description=__doc__),
        run,
    )


if __name__ == "__main__":
    sys.exit(main())
