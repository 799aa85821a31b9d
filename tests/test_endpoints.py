"""Endpoints: what a URL means, what a server says of its models, and what goes wrong in between."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from describe.endpoints import (
    Endpoint,
    fetch_models,
    is_loopback,
    nearest_model,
    proxy_for,
    server_description,
    url_endpoints,
)
from describe.errors import UserError

CANARY = "sk-canary-0123456789"


class Server:
    """Answers every GET alike, and remembers paths and headers."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.seen.append((self.path, dict(self.headers)))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._httpd.server_port
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.01,))
        self._thread.start()

    def endpoint(self, key: str = "") -> Endpoint:
        return url_endpoints([f"http://127.0.0.1:{self.port}"], key)[0]

    def stop(self) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()


@pytest.fixture
def answering() -> Iterator[Callable[..., Server]]:
    servers = []

    def start(
        status: int = 200,
        body: bytes = b'{"data": []}',
        headers: Mapping[str, str] | None = None,
    ) -> Server:
        servers.append(Server(status, body, headers or {}))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.mark.parametrize(
    ("given", "base_url"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://localhost:8000/", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/", "http://localhost:8000/v1"),
        (" https://api.openai.com/v1\n", "https://api.openai.com/v1"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1"),
        ("https://h/v1beta/openai/", "https://h/v1beta/openai"),
        ("http://h:1/v1/chat/completions", "http://h:1/v1"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
    ],
)
def test_a_base_url_ends_without_a_slash_and_has_a_path(given, base_url):
    assert [endpoint.base_url for endpoint in url_endpoints([given])] == [base_url]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:8000", r"'localhost:8000' has no http:// or https:// and host; write it as"),
        ("", "'' has no http:// or https:// and host"),
        ("ftp://host/v1", "'ftp://host/v1' has no http:// or https://"),
        ("http:///v1", "'http:///v1' has no http:// or https:// and host"),
        ("http://host:port/v1", "'http://host:port/v1': .*write it as http://localhost:8000/v1"),
        ("http://[::1/v1", "Invalid IPv6 URL; write it as"),
        ("https://host/v1?api-version=2", "has a '\\?' or a '#' in it"),
    ],
)
def test_a_url_that_is_no_endpoint_is_named(url, message):
    with pytest.raises(UserError, match=message) as caught:
        url_endpoints(["http://good:1", url])
    assert "\n" not in str(caught.value)


def test_a_password_in_a_url_is_refused_and_not_repeated():
    with pytest.raises(
        UserError, match="user name in it; give the key in OPENAI_API_KEY"
    ) as caught:
        url_endpoints([f"https://me:{CANARY}@host/v1"])
    assert CANARY not in str(caught.value)


def test_the_same_url_twice_is_one_endpoint_and_names_differ():
    urls = ["http://a:1", "http://b:1/v1", "http://a:1/v1/", "http://b:1/other/v1"]
    endpoints = url_endpoints(urls)
    assert [endpoint.name for endpoint in endpoints] == ["a:1", "b:1/v1", "b:1/other/v1"]


def test_the_key_is_in_no_representation():
    endpoint = url_endpoints(["http://a:1"], CANARY)[0]
    assert endpoint.api_key == CANARY
    assert CANARY not in f"{endpoint} {endpoint!r}"


def test_a_key_loses_its_line_break_and_a_broken_one_is_not_repeated():
    assert url_endpoints(["http://a:1"], f"{CANARY}\n")[0].api_key == CANARY
    for broken in (f"{CANARY}\nX: y", f"{CANARY} x", f"{CANARY}é"):
        with pytest.raises(UserError, match="the API key has a space, a line break") as caught:
            url_endpoints(["http://a:1"], broken)
        assert CANARY not in str(caught.value)


def test_models_are_fetched_with_the_key(answering):
    server = answering(body=b'{"data": [{"id": "a"}, "junk", {"id": "b"}]}')
    models = fetch_models(server.endpoint(CANARY), timeout_s=10)
    assert models == [{"id": "a"}, {"id": "b"}]
    path, headers = server.seen[0]
    assert path == "/v1/models"
    assert headers["Authorization"] == f"Bearer {CANARY}"


def test_without_a_key_no_authorization_is_sent(answering):
    server = answering()
    fetch_models(server.endpoint(), timeout_s=10)
    assert "Authorization" not in server.seen[0][1]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_said_and_not_printed(answering, status):
    server = answering(status, f"bad key {CANARY}".encode())
    with pytest.raises(UserError, match=rf"refused the key \(HTTP {status}\)") as caught:
        fetch_models(server.endpoint(CANARY), timeout_s=10)
    assert CANARY not in str(caught.value)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, b"<html>hello</html>", "is not JSON; is this an API?"),
        (200, b"\xff\xfe\x00", "is not JSON"),
        (200, b"[1]", "holds no list of models"),
        (200, b'{"data": null}', "holds no list of models"),
        (200, b'{"error": "no"}', "holds no list of models"),
        (404, b"", r"gave no list of models \(HTTP 404\): GET http://127.0.0.1:\d+/v1/models"),
        (503, b"loading", r"gave no list of models \(HTTP 503\)"),
    ],
)
def test_what_is_no_list_of_models_is_one_line(answering, status, body, message):
    with pytest.raises(UserError, match=message) as caught:
        fetch_models(answering(status, body).endpoint(), timeout_s=10)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there_is_named():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(UserError, match=f"cannot reach {url}/v1: .*refused"):
        fetch_models(url_endpoints([url])[0], timeout_s=10)


def test_a_server_that_speaks_no_http_is_named():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def say_hello() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        thread = threading.Thread(target=say_hello)
        thread.start()
        with pytest.raises(UserError, match=f"cannot reach {url}/v1"):
            fetch_models(url_endpoints([url])[0], timeout_s=10)
        thread.join()


def test_a_redirect_is_not_followed_with_the_key(answering):
    elsewhere = answering()
    where = {"Location": f"http://localhost:{elsewhere.port}/v1/models"}
    with pytest.raises(UserError, match=r"HTTP 302"):
        fetch_models(answering(302, headers=where).endpoint(CANARY), timeout_s=10)
    assert elsewhere.seen == []


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_loopback_never_goes_through_a_proxy(answering, monkeypatch, name):  # failure 26
    proxy, server = answering(), answering()
    monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert fetch_models(server.endpoint(), timeout_s=10) == []
    assert len(server.seen) == 1
    assert proxy.seen == []


def test_another_host_goes_through_the_proxy_of_the_environment(answering, monkeypatch):
    proxy = answering(body=b'{"data": [{"id": "by proxy"}]}')
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    endpoint = url_endpoints(["http://llm.invalid:8000"])[0]
    assert fetch_models(endpoint, timeout_s=10) == [{"id": "by proxy"}]
    assert proxy.seen[0][0] == "http://llm.invalid:8000/v1/models"
    monkeypatch.setenv("no_proxy", "llm.invalid")
    assert proxy_for(endpoint.base_url) is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:1/v1", True),
        ("http://LOCALHOST/v1", True),
        ("http://127.3.2.1/v1", True),
        ("http://[::1]:1/v1", True),
        ("http://0.0.0.0:1/v1", True),
        ("http://localhost.example.com/v1", False),
        ("http://10.0.0.1/v1", False),
    ],
)
def test_loopback_is_told_from_other_hosts(url, expected):
    assert is_loopback(url) is expected


def test_the_description_of_a_model_changes_with_the_model_alone(serve):
    def described(**entry: object) -> str:
        server = serve(models=({"id": "other"}, {"id": "m", "object": "model", **entry}))
        return server_description(url_endpoints([server.url])[0], "m")

    first = described(created=1, root="/srv/llama-8b", permission=[{"id": "p1", "created": 1}])
    assert first == '{"id":"m","object":"model","root":"llama-8b"}'
    assert described(created=2, root="/srv/llama-8b", max_model_len=4096) == first
    assert described(created=1, root="/mnt/elsewhere/llama-8b/") == first
    assert described(created=1, root="/srv/llama-70b") != first
    assert described(meta={"n_params": 1, "n_ctx": 1}) == described(
        meta={"n_ctx": 2, "n_params": 1}
    )


def test_a_server_that_says_nothing_of_the_model_has_no_description(serve, answering):
    assert server_description(url_endpoints([serve().url])[0], "m") == ""
    assert server_description(answering(503).endpoint(), "m") == ""


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("gpt-4o-mimi", "gpt-4o-mini"),
        ("Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct"),
        ("META-LLAMA/llama-3.1-8b-instruct", "meta-llama/Llama-3.1-8B-Instruct"),
        ("other/gpt-4o-mini", "gpt-4o-mini"),
        ("zzz", None),
    ],
)
def test_the_nearest_model_is_found(name, nearest):  # failure 9
    names = ["gpt-4o", "gpt-4o-mini", "meta-llama/Llama-3.1-8B-Instruct", "qwen2.5"]
    assert nearest_model(name, names) == nearest
    assert nearest_model(name, []) is None
