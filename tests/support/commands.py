"""The `--help` of every command, as docs/commands.md holds it: run with --write to renew it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOC = ROOT / "docs" / "commands.md"
COMMANDS = (
    "describe",
    "describe.browse",
    "describe.diff",
    "describe.cache",
    "describe.validate",
    "describe.viewer",
    "describe.publish",
    "describe.published",
    "adapt.tasks",
    "adapt.quality",
    "adapt.train",
    "adapt.evaluate",
    "adapt.predict",
    "adapt.report",
    "adapt.compare",
    "adapt.miniature",
    "adapt.miniature_pretrain",
    "adapt.model",
    "adapt.bench",
    "adapt.gradient_demo",
)
HEAD = """# Commands

The `--help` of each, as it is printed on 80 columns. A test holds them true.
"""


def help_of(command: str) -> str:
    """Return what `python -m <command> --help` prints on 80 columns."""
    done = subprocess.run(
        [sys.executable, "-m", command, "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"},
    )
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def document() -> str:
    """Return docs/commands.md as it should be."""
    blocks = [f"## python -m {name}\n\n```text\n{help_of(name)}\n```\n" for name in COMMANDS]
    return "\n".join([HEAD, *blocks])


if __name__ == "__main__":
    if "--write" in sys.argv:
        DOC.write_text(document(), encoding="utf-8")
    elif DOC.read_text(encoding="utf-8") != document():
        sys.exit(f"{DOC} is stale: run {sys.argv[0]} --write")
