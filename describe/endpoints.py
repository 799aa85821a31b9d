"""Where a model is reached: endpoints that speak the OpenAI protocol, and the models they offer."""

import difflib
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from describe.errors import UserError
from describe.request import canonical_json

# What a server says of itself, and not of the model; it changes with every start of the server.
VOLATILE = frozenset({"created", "max_model_len", "modified_at", "n_ctx", "permission"})

_MOST_BYTES = 16 << 20  # of a list of models; the longest known one is under 1 MB


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One server that answers `POST {base_url}/chat/completions`."""

    base_url: str
    """Ends without a slash; the version is part of it: `http://127.0.0.1:8000/v1`."""

    api_key: str = field(default="", repr=False)
    """Sent as a bearer token, and shown nowhere."""

    name: str
    """What messages call it, different for every endpoint of a run."""

    max_in_flight: int | None = None
    """Most requests that it works on at once, where that is known."""


@dataclass(frozen=True, kw_only=True)
class ModelIdentity:
    """Which model writes, as it goes into the key of every request."""

    name: str
    """The `model` of the request's body."""

    revision: str = ""
    """A commit, or the fingerprint of a GGUF file; empty when it is not known."""


def url_endpoints(base_urls: Iterable[str], api_key: str = "") -> list[Endpoint]:
    """Return the endpoints at `base_urls`, in order, each once.

    A URL without a path gets `/v1`, which is where every server has its OpenAI protocol.

    Raises:
        UserError: A URL that cannot be one of an endpoint, or a key that cannot be a key.
    """
    key = api_key.strip()  # a key read from a file ends with a line break
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UserError("the API key has a space, a line break or another character no key has")
    urls = list(dict.fromkeys(_normalized(url) for url in base_urls))
    hosts = [urlsplit(url).netloc for url in urls]
    return [
        Endpoint(
            base_url=url,
            api_key=key,
            name=host if hosts.count(host) == 1 else url.partition("://")[2],
        )
        for url, host in zip(urls, hosts, strict=True)
    ]


def _normalized(url: str) -> str:
    parts = _split(url)
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def _split(url: str) -> SplitResult:
    wanted = "write it as http://localhost:8000/v1"
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UserError(f"base URL {url!r}: {error}; {wanted}") from error
    if parts.username is not None:  # not repeated here: a password is in it
        raise UserError("a base URL has a user name in it; give the key in OPENAI_API_KEY")
    if parts.scheme not in ("http", "https") or not host:
        raise UserError(f"base URL {url!r} has no http:// or https:// and host; {wanted}")
    if parts.query or parts.fragment:
        raise UserError(f"base URL {url!r} has a '?' or a '#' in it; {wanted}")
    return parts


def is_loopback(url: str) -> bool:
    """Whether the server at `url` runs on this machine."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1", "0.0.0.0") or host.startswith("127.")


def proxy_for(url: str) -> str | None:
    """Return the environment's proxy for `url`; a server on this machine never goes through one."""
    parts = urlsplit(url)
    if is_loopback(url) or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return urllib.request.getproxies().get(parts.scheme)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: following it would hand the key to another server."""

    def redirect_request(self, *_: object) -> None:
        return None


def get(url: str, timeout_s: float, api_key: str = "") -> bytes:
    """Return the body of a 200 answer to `GET url`.

    Raises:
        OSError: No such answer within `timeout_s` (`urllib.error.HTTPError` for another status).
        http.client.HTTPException: What answered does not speak HTTP.
    """
    proxy = proxy_for(url)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({urlsplit(url).scheme: proxy} if proxy else {}), _NoRedirect()
    )
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    request = urllib.request.Request(url, headers={"Accept": "application/json", **headers})
    with opener.open(request, timeout=timeout_s) as response:
        body: bytes = response.read(_MOST_BYTES)
    return body


def fetch_models(endpoint: Endpoint, timeout_s: float) -> list[dict[str, Any]]:
    """Return the models that `endpoint` offers, as it describes them (`GET /models`).

    Raises:
        UserError: It refused the key, could not be reached, or gave no list of models.
    """
    try:
        answer = json.loads(get(f"{endpoint.base_url}/models", timeout_s, endpoint.api_key))
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            message = f"{endpoint.name} refused the key (HTTP {error.code}); check OPENAI_API_KEY"
        else:
            message = f"{endpoint.name} gave no list of models (HTTP {error.code})"
        raise UserError(f"{message}: GET {endpoint.base_url}/models") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error or type(error).__name__
        raise UserError(f"cannot reach {endpoint.base_url}: {reason}") from error
    except ValueError as error:
        raise UserError(f"{endpoint.base_url}/models is not JSON; is this an API?") from error
    models = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(models, list):
        raise UserError(f"{endpoint.base_url}/models holds no list of models; is this an API?")
    return [model for model in models if isinstance(model, dict)]


def server_description(endpoint: Endpoint, model: str, timeout_s: float = 15.0) -> str:
    """Return what the server says of `model`, as canonical JSON without `VOLATILE` fields.

    Stored beside each reply, it shows when another model stands behind the same name. Of a path on
    the server only the last part is kept: the same model may lie elsewhere tomorrow. Empty when the
    server says nothing of the model, or nothing at all: that is no reason not to ask it.
    """
    try:
        models = fetch_models(endpoint, timeout_s)
    except UserError:
        return ""
    entries = [entry for entry in models if entry.get("id") == model]
    return canonical_json(_lasting(entries[0])) if entries else ""


def _lasting(value: object) -> object:
    if isinstance(value, Mapping):
        return {k: _lasting(v) for k, v in value.items() if k not in VOLATILE}
    if isinstance(value, list):
        return [_lasting(each) for each in value]
    if isinstance(value, str) and value.startswith("/"):
        return value.rstrip("/").rpartition("/")[2]
    return value


def nearest_model(name: str, names: Sequence[str]) -> str | None:
    """Return the one of `names` most like `name`, in whole or after its last slash, if any is."""

    def likeness(other: str) -> float:
        pairs = ((name, other), (name.rpartition("/")[2], other.rpartition("/")[2]))
        return max(difflib.SequenceMatcher(None, a.lower(), b.lower()).ratio() for a, b in pairs)

    best = max(names, key=likeness, default=None)
    return best if best is not None and likeness(best) > 0.5 else None
