"""Run a command, and end it with all it started once standard input ends.

    python -I guard.py SECONDS COMMAND [ARGUMENT ...]

Standard input is a pipe from the process that wants the command. However that process dies, by
`kill -9` too, the kernel closes the pipe, and nothing is left behind: SIGTERM, and after SECONDS
SIGKILL. Uses the standard library alone, and ends with the command's exit status (128 + N for
signal N).
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress


def run(command: list[str], term_timeout_s: float) -> int:
    """Run `command` in a session of its own and return its exit status."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    stopping = threading.Thread(
        target=_stop_at_end_of_input, args=(child, term_timeout_s), daemon=True
    )
    stopping.start()
    status = child.wait()
    _signal_group(child, signal.SIGKILL)  # what the command left running
    return status if status >= 0 else 128 - status


def _stop_at_end_of_input(child: "subprocess.Popen[bytes]", term_timeout_s: float) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    # To the whole group: a vLLM server that is still loading may swallow its own signal.
    _signal_group(child, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(term_timeout_s)
        return
    _signal_group(child, signal.SIGKILL)


def _signal_group(child: "subprocess.Popen[bytes]", number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)


if __name__ == "__main__":
    sys.exit(run(sys.argv[2:], float(sys.argv[1])))
