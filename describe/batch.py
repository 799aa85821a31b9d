"""OpenAI Batch API files: requests out, replies in, matched by custom_id = request key."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

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

    Raises:
        UserError: The file is missing, or a line is not one of a batch's results.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _read_line(line, f"{path}:{number}")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the batch file {path}: {error}") from error


def _read_line(line: str, where: str) -> tuple[str, Reply | Failure]:
    try:
        data: Mapping[str, Any] = json.loads(line)
        key = str(data["custom_id"])
        response = data.get("response") or {}
        error = data.get("error")
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise UserError(
            f"{where}: not a line of a batch's results (custom_id, response, error)"
        ) from fault
    if error or not response:
        return key, Failure(kind="bad_reply", detail=f"the batch reports: {json.dumps(error)}")
    body = json.dumps(response.get("body")).encode()
    return key, classify(int(response.get("status_code") or 200), {}, body)
