"""Where a run takes place: its secrets, its network, its terminal."""

import fcntl
import json
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import termios

import pytest
from describe_process import ROOT, Describe
from scripted_server import Answer, good_reply

from describe import cache_command

CANARY = "sk-canary-5ad1f0"


def all_that_is_left(describe: Describe, *ends) -> bytes:
    """What the runs printed, and every file they left, names included."""
    printed = "".join(ended.out + ended.err for ended in ends).encode()
    left = describe.files()
    return printed + b"".join(name.encode() + data for name, data in left.items())


def test_a_key_is_sent_and_is_found_nowhere_else(describe, serve, monkeypatch):  # failure 25
    # A server that repeats the key in every error, in a header and as its own name.
    faults = [
        Answer(status=500, raw=f"internal error for {CANARY}"),
        Answer(status=400, raw=json.dumps({"error": {"message": f"context length of {CANARY}"}})),
        Answer(raw=f"<html>{CANARY}</html>"),
        Answer(status=429, raw=CANARY, headers={"Retry-After": "0"}),
    ]
    server = serve(lambda b, n: faults[n] if n < len(faults) else Answer(text=good_reply(b)))
    ends = [describe("--base-url", server.url, "--concurrency", "1", OPENAI_API_KEY=CANARY)]
    assert ends[0].status == 0
    assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {CANARY}"}
    server.answer = lambda body, n: Answer(status=401, raw=f"wrong key {CANARY}")
    more = {
        "refused": ["--seed", "1"],
        "dry": ["--seed", "1", "--dry-run"],
        "batch": ["--seed", "1", "--export-batch", describe.home / "batch.jsonl"],
    }
    ends += [
        describe("--base-url", server.url, *flags, OPENAI_API_KEY=CANARY) for flags in more.values()
    ]
    assert [ended.status for ended in ends[1:]] == [1, 0, 0]
    assert cache_command.main(["--export", str(describe.home / "replies.jsonl")]) == 0
    left = all_that_is_left(describe, *ends)
    assert b"[key]" in left
    assert CANARY.encode() not in left
    assert len(describe.files()) >= 6  # replies, ledger, card, parquet, manifest, batch, export


def test_a_key_in_a_url_is_refused_and_not_repeated(describe):  # failure 25
    ended = describe("--base-url", f"http://me:{CANARY}@localhost:1/v1", "--model", "m")
    assert ended.status == 1
    assert "a base URL has a user name in it" in ended.err
    assert CANARY not in ended.out + ended.err


@pytest.mark.parametrize("key", [f"{CANARY}\nX: y", f"{CANARY} {CANARY}", f"{CANARY}ü"])
def test_a_key_that_can_be_none_is_refused_and_not_repeated(describe, serve, key):  # failure 25
    server = serve()
    ended = describe("--base-url", server.url, OPENAI_API_KEY=key)
    assert (ended.status, server.count) == (1, 0)
    assert "the API key has a space, a line break" in ended.err
    assert CANARY not in ended.out + ended.err


def proxies(url):
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    return {name: url for name in names}


def test_loopback_is_never_proxied(describe, serve):  # failure 26
    server = serve()
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        for base in (server.url, server.url.replace("127.0.0.1", "localhost")):
            ended = describe("--base-url", base, "--cache", "refresh", **proxies(url))
            assert ended.status == 0
        with pytest.raises(BlockingIOError):
            proxy.accept()
    assert server.count == 12


def test_another_host_is_reached_through_the_proxy(describe, serve):  # failure 26
    proxy = serve()
    url = proxy.url.removesuffix("/v1")
    ended = describe("--base-url", "http://far-away.invalid/v1", **proxies(url))
    assert (ended.status, proxy.count) == (0, 6)
    assert {headers["Host"] for headers in proxy.headers} == {"far-away.invalid"}


NO_NETWORK = "import socket, sys; from describe.__main__ import main\n" + (
    "def watch(event, arguments):\n"
    "    if event == 'socket.connect' and arguments[1][0] != '127.0.0.1':\n"
    "        raise OSError('no network')\n"
    "    if event == 'socket.getaddrinfo' and arguments[0] not in ('127.0.0.1', None):\n"
    "        raise OSError('no network')\n"
    "sys.addaudithook(watch)\nsys.exit(main(sys.argv[1:]))"
)


def test_without_a_network_local_servers_and_files_work(describe, serve):  # failure 26
    server = serve()
    ended = describe.fresh(
        *("--base-url", server.url),
        command=(sys.executable, "-c", NO_NETWORK),
        HF_HUB_OFFLINE="1",
    )
    assert (ended.status, server.count) == (0, 6)
    assert "Version v1 written" in ended.out


def test_without_a_terminal_progress_is_plain_lines(describe, serve):  # failure 27
    ended = describe("--base-url", serve().url, CI="true", TERM="xterm-256color")
    assert "\x1b" not in ended.out + ended.err
    assert "\r" not in ended.out + ended.err
    assert re.fullmatch(
        r"describing: 6/6 replies, 12 kept, 0 rejected, \d+ tokens/s, 0:00 left\n", ended.err
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
    ],
    ids=["C", "ascii"],
)
def test_an_output_that_is_not_utf_8_is_written_to_all_the_same(  # failure 27
    describe, serve, environment
):
    describe.classes("tai chi 太極", "Über-Sprung")
    server = serve(lambda body, n: Answer(text=good_reply(body).replace("A ", "“A” ")))
    ended = describe.fresh("--base-url", server.url, "--show", "4", **environment)
    assert ended.status == 0
    assert "Traceback" not in ended.err
    assert "tai chi ??" in ended.out
    wrong = describe.fresh("--base-url", server.url, "--subset", "tai chi 極;", **environment)
    assert wrong.status == 1
    assert wrong.err.startswith("describe: no class 'tai chi ")
    assert "Traceback" not in wrong.err


def on_a_terminal(describe, columns, *args, **more) -> tuple[int, str]:
    """Run on a pseudo-terminal of that many columns; return the status and what it showed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    process = subprocess.Popen(
        [sys.executable, "-m", "describe", *describe.argv(*args)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment, "PYTHONPATH": str(ROOT), "TERM": "xterm", "PYTHONUTF8": "1", **more},
    )
    os.close(theirs)
    shown = b""
    while part := _read(ours):
        shown += part
    os.close(ours)
    return process.wait(), shown.decode()


def _read(file: int) -> bytes:
    try:
        return os.read(file, 4096)
    except OSError:  # the other side is closed
        return b""


@pytest.mark.parametrize(("columns", "in_ci"), [(40, False), (120, True)])
def test_a_narrow_terminal_and_ci_get_plain_lines(describe, serve, columns, in_ci):  # failure 27
    more = {"CI": "true"} if in_ci else {}
    status, shown = on_a_terminal(describe, columns, "--base-url", serve().url, **more)
    assert status == 0
    assert "\x1b" not in shown
    assert "describing: 6/6 replies, 12 kept, 0 rejected" in shown
    assert "Version v1 written" in shown


def test_a_terminal_shows_a_bar_counts_rate_and_time_left(describe, serve):
    status, shown = on_a_terminal(describe, 72, "--base-url", serve().url)
    assert status == 0
    assert re.search(r"describing .*━.*6/6.* 12 kept 0 rejected \d+ tok/s 0:00", shown)
