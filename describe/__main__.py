"""The command: `python -m describe --dataset k400`."""

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from describe.config import Config
from describe.errors import UserError

if TYPE_CHECKING:
    from describe.build import Outcome

INTERRUPTED = 130
DESCRIPTION = """Describe every class of an action dataset with a language model.

For each class the model writes what the action looks like (spatial) and how it unfolds (temporal).
Without --base-url, --model or --vllm an embedded model writes, offline. Every reply is stored; run
the same command again, and only what is missing is sent. The result is a versioned Hugging Face
dataset folder."""


def parse_args(argv: Sequence[str] | None) -> Config:
    """Read the flags; each is a field of `Config`."""
    import tyro

    return tyro.cli(
        Config,
        args=argv,
        prog="python -m describe",
        description=DESCRIPTION,
        config=(tyro.conf.FlagCreatePairsOff,),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 done, 1 the user must change something, 130 interrupted."""
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    try:
        config = parse_args(argv)
        report, status = run(config)
    except UserError as error:
        print(f"describe: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("describe: interrupted; run the same command again to go on", file=sys.stderr)
        return INTERRUPTED
    try:
        report()
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has read enough; the work is done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def run(config: Config) -> tuple[Callable[[], None], int]:
    """Do what is asked for; return what prints the end of it, and the exit status."""
    if config.edits:
        from describe.edit_build import build_edited, print_edited

        return partial(print_edited, build_edited(config)), 0
    from describe.build import build
    from describe.summary import print_outcome

    outcome = build(config)
    return partial(print_outcome, config, outcome), exit_status(outcome)


def exit_status(outcome: "Outcome") -> int:
    """Return the exit status of a run."""
    if outcome.stopped is None:
        return 0
    return INTERRUPTED if outcome.stopped.why == "interrupted" else 1


if __name__ == "__main__":
    sys.exit(main())
