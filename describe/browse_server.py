"""The server behind the page: on loopback alone, and nothing but pages and one place for edits.

Any web page that is open in a browser can send requests to loopback. So a request must name this
machine as its host (against DNS rebinding), and an edit must come from a page of this server and
carry the token of this run. The token stands in the address that the command prints, behind the
`#`, which browsers send to nobody: who only finds the port can read, and not write.
"""

import json
import secrets
import sys
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from describe.browse_data import render_version
from describe.browse_list import render_sets
from describe.browse_sets import SetFolder
from describe.browse_store import store_edit
from describe.errors import UserError

HOST = "127.0.0.1"
HOST_NAMES = frozenset({"127.0.0.1", "localhost"})
TOKEN_HEADER = "X-Describe-Token"
MAX_BODY_BYTES = 64 * 1024
NEWEST = "-"  # in place of a version in a path; no version is named so


class Refused(Exception):
    """A request that gets no page: its status and one line for the person who sent it."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class BrowseServer(ThreadingHTTPServer):
    """Serves the pages of some sets, read anew for each request.

    Args:
        sets: What is shown.
        home: The workspace, with replies and edits.
        port: 0: a free one.

    Raises:
        UserError: The port is taken or forbidden.
    """

    daemon_threads = True

    def __init__(self, sets: Sequence[SetFolder], home: Path, port: int = 0) -> None:
        self.sets = {each.name: each for each in sets}
        self.home = home
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise UserError(
                f"cannot serve on port {port}: {error.strerror}; leave out --port for a free one"
            ) from error

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://{HOST}:{self.server_port}"

    def address(self, folder: SetFolder | None = None, version: str | None = None) -> str:
        """Return the address of a version (the newest, the list of sets), with the token."""
        path = "/" if folder is None else set_path(folder.name, version)
        return f"{self.origin}{path}#token={self.token}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about a browser that went away; tell of anything else."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def set_path(name: str, version: str | None = None) -> str:
    """Return where a version is served: `/set/hmdb51/v1`; without one, the newest."""
    return f"/set/{quote(name)}/{quote(version or NEWEST)}"


class _Handler(BaseHTTPRequestHandler):
    server: BrowseServer
    protocol_version = "HTTP/1.1"
    server_version = "describe"
    sys_version = ""
    timeout = 120  # seconds of silence after which a connection is closed

    def do_GET(self) -> None:
        self._answer(self._page, "text/html; charset=utf-8")

    def do_POST(self) -> None:
        self._answer(self._edit, "application/json")

    def log_message(self, format: str, *args: Any) -> None:
        """Print no line for every request."""

    def _answer(self, make: Callable[[], str], content_type: str) -> None:
        status, headers = HTTPStatus.OK, {"Content-Type": content_type}
        try:
            self._check_host()
            body = make()
        except Refused as refused:
            status, body = refused.status, f"{refused}\n"
            headers["Content-Type"] = "text/plain; charset=utf-8"
        except UserError as error:
            status, body = HTTPStatus.CONFLICT, f"{error}\n"
            headers["Content-Type"] = "text/plain; charset=utf-8"
        self._send(status, headers, body.encode())

    def _send(self, status: HTTPStatus, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {
            **headers,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": "frame-ancestors 'none'",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }.items():
            self.send_header(name, value)
        if status != HTTPStatus.OK:
            self.close_connection = True  # what is left of a refused body is not read
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _check_host(self) -> None:
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        if host not in HOST_NAMES:
            raise Refused(HTTPStatus.FORBIDDEN, f"this server is {HOST} and nothing else")

    def _page(self) -> str:
        path = unquote(urlsplit(self.path).path)
        sets = list(self.server.sets.values())
        if path == "/":
            return render_sets(sets)
        if not path.startswith("/set/"):
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such page; begin at /")
        name, _, version = path.removeprefix("/set/").rpartition("/")
        folder = self._folder(name)
        named = None if version == NEWEST else version
        return render_version(folder, self.server.home, named, len(sets))

    def _folder(self, name: str) -> SetFolder:
        if name not in self.server.sets:
            raise Refused(HTTPStatus.NOT_FOUND, "this server shows no such set; begin at /")
        return self.server.sets[name]

    def _edit(self) -> str:
        if self.path != "/edits":
            raise Refused(HTTPStatus.NOT_FOUND, "edits go to /edits")
        self._check_sender()
        data = self._body()
        folder = self._folder(str(data.pop("set", "")))
        return json.dumps(store_edit(folder, data))

    def _check_sender(self) -> None:
        """Refuse what no page of this run sent."""
        origin = urlsplit(self.headers.get("Origin", ""))
        if origin.scheme != "http" or origin.netloc != self.headers.get("Host"):
            raise Refused(HTTPStatus.FORBIDDEN, "an edit comes from a page of this server")
        token = self.headers.get(TOKEN_HEADER, "")
        if not secrets.compare_digest(token.encode(), self.server.token.encode()):
            raise Refused(
                HTTPStatus.FORBIDDEN,
                "this page belongs to another run of the server: open the address that the "
                "command printed",
            )

    def _body(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            raise Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"an edit has at most {MAX_BODY_BYTES} bytes"
            )
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "an edit is application/json")
        try:
            data = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise Refused(HTTPStatus.BAD_REQUEST, "an edit is a JSON object") from None
        if not isinstance(data, dict):
            raise Refused(HTTPStatus.BAD_REQUEST, "an edit is a JSON object")
        return data
