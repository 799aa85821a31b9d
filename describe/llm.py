"""One HTTP exchange with an OpenAI-compatible endpoint, and what to make of its outcome."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal

from describe.endpoints import Endpoint, proxy_for
from describe.request import Reply, Request

if TYPE_CHECKING:
    import aiohttp

FailureKind = Literal[
    "rate_limited",  # 429: wait, then again
    "loading",  # 503 from a server that is not ready: wait, then again
    "server_error",  # 5xx, 408, 409
    "connection",  # refused, reset, DNS
    "timeout",  # no reply within the request's own time
    "bad_reply",  # 200, but no usable answer in it
    "truncated",  # finish_reason length: the same request would be cut again
    "filtered",  # the provider's content filter
    "too_long",  # 400: the prompt does not fit
    "bad_request",  # 400, 422 and the like: the server does not take this request
    "quota",  # 429 that no waiting cures: the account is empty
    "auth",  # 401, 403
    "not_found",  # 404: no such model, or no such path
]
UNANSWERED: frozenset[FailureKind] = frozenset({"server_error", "connection", "timeout"})
RETRIED: frozenset[FailureKind] = UNANSWERED | {"rate_limited", "loading", "bad_reply"}
FATAL: frozenset[FailureKind] = frozenset({"quota", "auth", "not_found"})
# What a repeat of the same request would meet again: remembered, so that a next run asks for
# another sample instead.
PERMANENT: frozenset[FailureKind] = frozenset({"truncated", "filtered", "too_long"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A request without a usable reply."""

    kind: FailureKind
    detail: str
    """What the server or the network said, on one line, without the key."""

    retry_after_s: float | None = None


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Read `Retry-After`: seconds, or an HTTP date relative to `now` (Unix seconds)."""
    value = next((v for k, v in headers.items() if k.lower() == "retry-after"), "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _valid(text: str) -> str:
    """Replace lone surrogates, which JSON may hold and UTF-8 may not."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _one_line(text: str, limit: int = 300) -> str:
    line = _valid(" ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 3] + "..."


def _error_message(body: bytes) -> str:
    """The server's own words: `error.message`, `message`, `detail`, else the start of the body."""
    text = body.decode(errors="replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return _one_line(text)
    error = data.get("error", data) if isinstance(data, dict) else data
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error
    return _one_line(error if isinstance(error, str) else json.dumps(error))


def _failed_status(status: int, body: bytes, wait_s: float | None) -> Failure:
    message = _error_message(body)
    said = f"{status}: {message}" if message else str(status)
    low = message.lower()
    kind: FailureKind
    if status == 429:
        # Rate limits speak of "quota" too, at several providers; only this code means an empty
        # account, and only it comes without a time to wait.
        is_empty = b"insufficient_quota" in body and wait_s is None
        kind = "quota" if is_empty else "rate_limited"
    elif status == 503 and "loading" in low:
        kind = "loading"
    elif status in (401, 403):
        kind = "auth"
    elif status == 404:
        kind = "not_found"
    elif status >= 500 or status in (408, 409, 425):
        kind = "server_error"
    elif any(word in low for word in ("context length", "too long", "context size", "too large")):
        kind = "too_long"
    else:
        kind = "bad_request"
    return Failure(kind=kind, detail=said, retry_after_s=wait_s)


def _bad(detail: str) -> Failure:
    return Failure(kind="bad_reply", detail=detail)


def _read_completion(body: bytes) -> Reply | Failure:
    """Take the text out of a 200 response, or say what is wrong with it."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return _bad(f"200 with no JSON: {_one_line(body.decode(errors='replace'), 120)}")
    if not isinstance(data, dict) or "choices" not in data:
        return _bad(f"200 without choices: {_error_message(body)}")
    choices = data["choices"]
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return _bad("200 with empty choices")
    choice = choices[0]
    message = choice.get("message")
    text = message.get("content") if isinstance(message, dict) else None
    reason = str(choice.get("finish_reason") or "stop")
    if reason == "length":
        return Failure(kind="truncated", detail="cut at max_tokens; raise --max-tokens")
    if reason == "content_filter":
        return Failure(kind="filtered", detail="stopped by the provider's content filter")
    if not isinstance(text, str) or not text.strip():
        return _bad("200 with no text (content is null or empty)")
    usage = data.get("usage") or {}
    return Reply(
        text=_valid(text),
        finish_reason=_valid(reason),
        model=_valid(str(data.get("model") or "")),
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
    )


def _count(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) else None


def classify(status: int, headers: Mapping[str, str], body: bytes) -> Reply | Failure:
    """Turn an HTTP response into a reply or a failure. Nothing else decides what is stored."""
    if status == 200:
        return _read_completion(body)
    return _failed_status(status, body, retry_after_s(headers, time.time()))


async def post(
    session: "aiohttp.ClientSession", endpoint: Endpoint, request: Request, timeout_s: float
) -> Reply | Failure:
    """Send one request and read its answer. Raises nothing that the network can cause."""
    import aiohttp

    headers = {"Content-Type": "application/json"}
    if endpoint.api_key:
        headers["Authorization"] = f"Bearer {endpoint.api_key}"
    url = f"{endpoint.base_url}/chat/completions"
    try:
        async with session.post(
            url,
            data=json.dumps(request.body, ensure_ascii=False).encode(),
            headers=headers,
            proxy=proxy_for(url),
            timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(timeout_s, 15.0)),
        ) as response:
            body = redact(await response.read(), endpoint)
            return classify(response.status, response.headers, body)
    except TimeoutError:
        return Failure(
            kind="timeout", detail=f"no reply within {timeout_s:g} s (--request-timeout)"
        )
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError, ValueError) as e:
        said = redact((str(e) or type(e).__name__).encode(), endpoint).decode(errors="replace")
        return Failure(kind="connection", detail=_one_line(said))


def redact(said: bytes, endpoint: Endpoint) -> bytes:
    """Remove the endpoint's key from what a server says: some repeat it in their errors."""
    key = endpoint.api_key.encode()
    return said.replace(key, b"[key]") if key else said
