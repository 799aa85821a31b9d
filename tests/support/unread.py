"""Commands whose output nobody reads to its end, as behind `| head`."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def run_unread(*args: object, unbuffered: str = "", **environment: str) -> tuple[int, str]:
    """Run `python -m ...` with nobody at the other end of its output; return status and errors."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as out:
        done = subprocess.run(
            [sys.executable, "-m", *map(str, args)],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered, **environment},
            check=False,
        )
    return done.returncode, done.stderr
