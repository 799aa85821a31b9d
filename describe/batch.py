"""OpenAI Batch API files: requests out, replies in, matched by custom_id = request key."""

import json
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from describe.errors import UserError
from describe.llm import Failure, classify
from describe.request import Reply, Request

# Limits of one file of the Batch API; beyond them another file is begun.
MAX_REQUESTS = 50_000
MAX_BYTES = 190_000_000


def export_batch(path: Path, requests: Iterable[Request]) -> list[Path]:
    """Write requests as batch input; `FILE`, then `FILE-2` and so on when one is full.

    Returns:
        The files written; none, where there are no requests.

    Raises:
        UserError: A file cannot be written.
    """
    written: list[Path] = []
    try:
        for number, lines in enumerate(_parts(requests), start=1):
            part = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
            part.parent.mkdir(parents=True, exist_ok=True)
            part.write_text("".join(lines), encoding="utf-8")
            written.append(part)
    except OSError as error:
        raise UserError(f"cannot write {error.filename or path}: {error.strerror}") from error
    return written


def _parts(requests: Iterable[Request]) -> Iterator[list[str]]:
    lines: list[str] = []
    num_bytes = 0
    for request in requests:
        line = json.dumps(
            {
                "custom_id": request.key,
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": request.body,
            },
            ensure_ascii=False,
        )
        size = len(line.encode()) + 1
        if lines and (len(lines) >= MAX_REQUESTS or num_bytes + size > MAX_BYTES):
            yield lines
            lines, num_bytes = [], 0
        lines.append(line + "\n")
        num_bytes += size
    if lines:
        yield lines


def read_batch(path: Path) -> Iterator[tuple[str, Reply | Failure]]:
    """Yield (request key, outcome) for each line of a batch's output or error file.

    A line that is none of a batch's results (the last one of a download cut short, say) is passed
    over with a warning: the others were paid for.

    Raises:
        UserError: The file cannot be read, or no line of it is a result of a batch.
    """
    found = faults = 0
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, start=1):
                result = _read_line(line)
                if result is not None:
                    found += 1
                    yield result
                elif line.strip():
                    faults += 1
                    warnings.warn(
                        f"{path}:{number}: not a result of a batch (custom_id, response, error); "
                        "passed over",
                        stacklevel=2,
                    )
    except OSError as error:
        raise UserError(f"cannot read the batch file {path}: {error.strerror}") from error
    if faults and not found:
        raise UserError(f"{path} is no result file of a batch: none of its {faults} lines is one")


def _read_line(line: str) -> tuple[str, Reply | Failure] | None:
    try:
        data = json.loads(line)
        key, response, error = str(data["custom_id"]), data.get("response"), data.get("error")
        if error or not response:
            reason = json.dumps(error)[:200]
            return key, Failure(kind="bad_reply", detail=f"the batch reports: {reason}")
        body = json.dumps(response["body"]).encode()
        return key, classify(int(response.get("status_code") or 200), {}, body)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
