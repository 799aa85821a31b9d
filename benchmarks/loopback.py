"""A scripted OpenAI-compatible server in a process of its own, as cheap as asyncio allows.

On two cores the server takes CPU from the client it is measured with, so this one knows just
enough HTTP for one request at a time on a kept-open connection. A reply is a function of the
prompt and the seed, and comes when `loop.call_later` says so. `python benchmarks/loopback.py`
is the process; `serve` starts one and `Loopback.stats` asks it how it went.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from zlib import crc32

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
MODELS = json.dumps({"object": "list", "data": [{"id": "scripted", "object": "model"}]}).encode()


@dataclass(frozen=True, kw_only=True)
class Script:
    """How the server behaves. Durations are in seconds."""

    latency_s: float = 0.25
    """Time that one reply takes in a slot."""

    slow_s: float = 0.0
    """Time of the replies whose numbers are in `slow`."""

    slow: tuple[int, ...] = ()
    """Numbers of the slow ones: the number of a request is the one in `action 17`."""

    capacity: int | None = None
    """Requests worked on at once; further ones queue, first come first served. None: no limit."""

    cut_after: int | None = None
    """Replies after which the capacity falls to `cut_to`."""

    cut_to: int = 1
    """Capacity from then on. Replies under way are still finished."""


@dataclass(kw_only=True)
class Stats:
    """What the server saw. Times are its own monotonic seconds."""

    served: int = 0
    peak_in_flight: int = 0
    cpu_s: float = 0.0
    """CPU time of the server's process."""

    settled_at: float = 0.0
    """When, after the cut, no more was worked on than the new capacity."""

    begun_since: int = 0
    """Requests that got a slot since then."""

    last_reply_at: float = 0.0
    queue_since: list[int] = field(default_factory=list)
    """Requests waiting for a slot, noted at each reply since the cut."""


class Slots:
    """Works on requests as `script` says, and keeps count."""

    def __init__(self, script: Script) -> None:
        self.stats = Stats()
        self._script = script
        self._slow = frozenset(script.slow)
        self._capacity = script.capacity or sys.maxsize
        self._working = 0
        self._queue: deque[tuple[Connection, bytes]] = deque()
        self._loop = asyncio.get_running_loop()

    def arrive(self, connection: "Connection", body: bytes) -> None:
        """Work on a request, or queue it."""
        self._queue.append((connection, body))
        in_flight = self._working + len(self._queue)
        self.stats.peak_in_flight = max(self.stats.peak_in_flight, in_flight)
        self._begin()

    def _begin(self) -> None:
        while self._queue and self._working < self._capacity:
            connection, body = self._queue.popleft()
            self._working += 1
            self.stats.begun_since += self.stats.settled_at > 0
            slow = bool(self._slow) and number_in(body) in self._slow
            latency_s = self._script.slow_s if slow else self._script.latency_s
            self._loop.call_later(latency_s, self._finish, connection, body)

    def _finish(self, connection: "Connection", body: bytes) -> None:
        self._working -= 1
        self.stats.served += 1
        self._cut()
        self._begin()
        connection.reply(completion(body))

    def _cut(self) -> None:
        stats, script = self.stats, self._script
        if script.cut_after is None or stats.served < script.cut_after:
            return
        self._capacity = script.cut_to
        stats.last_reply_at = self._loop.time()
        stats.queue_since.append(len(self._queue))
        if not stats.settled_at and self._working <= self._capacity:
            stats.settled_at = stats.last_reply_at


class Connection(asyncio.Protocol):
    """One client connection: a request, its reply, the next request."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect until a request is whole."""
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < _content_length(head):
            return
        self._received = b""
        if head.startswith(b"POST"):
            self._slots.arrive(self, body)
        elif head.startswith(b"GET /stats"):
            self._slots.stats.cpu_s = time.process_time()
            self.reply(json.dumps(asdict(self._slots.stats)).encode())
        else:
            self.reply(MODELS)

    def reply(self, body: bytes) -> None:
        """Send a 200 answer, if the client is still there."""
        if not self._transport.is_closing():
            self._transport.write(HEAD % len(body) + body)


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


def number_in(body: bytes) -> int:
    """Return 17 for a prompt that ends with `action 17`; -1 when it names none."""
    return _number_at(body, b"action ")


def _number_at(body: bytes, mark: bytes) -> int:
    """Return the number that follows the last `mark`, after a space or none; -1 for none."""
    start = body.rfind(mark) + len(mark)
    found = re.match(rb" ?(\d+)", body[start : start + 12])
    return int(found[1]) if found else -1


def completion(body: bytes) -> bytes:
    """Return a good reply that depends on the last message and the seed, however JSON is spaced."""
    from scripted_server import sentence

    start = body.find(b'"', body.rfind(b'"content"') + len(b'"content"'))
    prompt = body[start : body.find(b'"}', start)]
    draw = crc32(b"%d" % _number_at(body, b'"seed":'), crc32(prompt))
    text = json.dumps({"sentences": [sentence(f"{draw} {i}") for i in range(2)]})
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 140}
    reply = {"id": "x", "object": "chat.completion", "created": 0, "model": "scripted"}
    return json.dumps(reply | {"choices": [choice], "usage": usage}).encode()


@dataclass(frozen=True)
class Loopback:
    """A running server."""

    url: str
    """Base URL, `/v1` included."""

    def stats(self) -> Stats:
        """Ask the server what it saw."""
        address = self.url.removesuffix("/v1") + "/stats"
        with urllib.request.urlopen(address, timeout=30) as response:
            return Stats(**json.load(response))


@contextmanager
def serve(script: Script) -> Iterator[Loopback]:
    """Run a server that behaves as `script` says, until the end of the block."""
    command = [sys.executable, __file__, json.dumps(asdict(script))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Loopback(f"http://127.0.0.1:{int(process.stdout.readline())}/v1")
        finally:
            process.terminate()


async def _serve(script: Script) -> None:
    slots = Slots(script)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(slots), "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Script(**json.loads(sys.argv[1]))))
