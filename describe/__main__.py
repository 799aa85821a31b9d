"""The command: `python -m describe --dataset k400`."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from describe.config import Config
from describe.terminal import INTERRUPTED, run_command

if TYPE_CHECKING:
    from describe.build import Outcome

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
    return run_command(
        "describe",
        lambda: parse_args(argv),
        run,
        if_interrupted="run the same command again to go on",
    )


def run(config: Config) -> int:
    """Do what is asked for and say what came of it; return the exit status."""
    if config.edits:
        from describe.edit_build import build_edited, print_edited

        print_edited(build_edited(config))
        return 0
    from describe.build import build
    from describe.summary import print_outcome

    outcome = build(config)
    print_outcome(config, outcome)
    return exit_status(outcome)


def exit_status(outcome: "Outcome") -> int:
    """Return the exit status of a run."""
    if outcome.stopped is None:
        return 0
    return INTERRUPTED if outcome.stopped.why == "interrupted" else 1


if __name__ == "__main__":
    sys.exit(main())
