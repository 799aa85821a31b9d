"""An OpenAI-compatible server on loopback whose every answer is scripted. Tests and benchmarks."""

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

COLORS = "red blue green yellow white black brown grey orange purple pink silver golden".split()
PEOPLE = "man woman boy girl dancer runner player worker child teenager swimmer cook".split()
GARMENTS = "shirt jacket coat dress hoodie vest sweater uniform apron helmet cap scarf".split()
VERBS = "lifts swings holds drops turns pushes pulls throws catches carries rolls spins".split()
THINGS = "ball rope stick box pan brush bottle board wheel paddle ribbon bucket ladder".split()
PLACES = "a wooden floor;a grassy field;a sandy beach;a kitchen counter;a wet street".split(";")


def sentence(seed: str) -> str:
    """Return a plain visual sentence that depends on `seed` alone; 12 million different ones."""
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")
    words = []
    for choices in (PEOPLE, COLORS, GARMENTS, VERBS, COLORS, THINGS, PLACES):
        number, index = divmod(number, len(choices))
        words.append(choices[index])
    return "A {} in a {} {} {} a {} {} near {}.".format(*words)


def good_reply(body: Mapping[str, Any]) -> str:
    """Return what a good model says: as many sentences as the schema asks for, as JSON."""
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema", {})
    n = schema.get("properties", {}).get("sentences", {}).get("minItems", 2)
    prompt = body["messages"][-1]["content"]
    return json.dumps({"sentences": [sentence(f"{prompt}{body['seed']}{i}") for i in range(n)]})


@dataclass(kw_only=True)
class Answer:
    """One scripted HTTP answer. `text` is the model's content; `raw` replaces the whole body."""

    text: str | None = None
    status: int = 200
    raw: str | bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    finish_reason: str = "stop"
    delay_s: float = 0.0
    reset: bool = False
    """Close the connection without an answer."""
    wait_for: threading.Event | None = None
    """Answer only once this is set (a stalled reply, when it never is)."""

    def body(self, model: str) -> str | bytes:
        """The HTTP body."""
        if self.raw is not None:
            return self.raw
        choice = {"index": 0, "finish_reason": self.finish_reason}
        choice["message"] = {"role": "assistant", "content": self.text}  # type: ignore[assignment]
        usage = {"prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 140}
        return json.dumps({"id": "x", "model": model, "choices": [choice], "usage": usage})


class ScriptedServer:
    """Serves `/v1/chat/completions` and `/v1/models` from a thread, until `stop`.

    Args:
        answer: Maps (body, number of the request from 0) to its answer; None: `good_reply`.
        models: Entries of `/v1/models`.
        capacity: Requests worked on at once; the rest queue, as in a real server.
        keep: Whether to remember every request in `requests`.
    """

    def __init__(
        self,
        answer: Callable[[dict[str, Any], int], Answer] | None = None,
        *,
        models: tuple[Mapping[str, Any], ...] = ({"id": "scripted", "object": "model"},),
        capacity: int | None = None,
        keep: bool = True,
    ) -> None:
        self.answer = answer or (lambda body, n: Answer(text=good_reply(body)))
        self.models = models
        self.capacity = capacity
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.count = 0
        self.in_flight = 0
        self.peak = 0
        self._keep = keep
        self._working = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(20), "the scripted server did not start"

    @property
    def url(self) -> str:
        """The base URL, `/v1` included."""
        return f"http://127.0.0.1:{self.port}/v1"

    def stop(self) -> None:
        """Stop serving: open connections are closed, later ones refused."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join(20)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._room = asyncio.Condition()
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._models)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self._ready.set()
        await self._stopped.wait()
        await runner.cleanup()

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": list(self.models)})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        number, self.count = self.count, self.count + 1
        if self._keep:
            self.requests.append(body)
            self.headers.append(dict(request.headers))
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            return await self._respond(request, body, self.answer(body, number))
        finally:
            self.in_flight -= 1

    async def _respond(
        self, request: web.Request, body: dict[str, Any], answer: Answer
    ) -> web.StreamResponse:
        await self._work(answer.delay_s)
        if answer.wait_for is not None:
            await asyncio.to_thread(_wait_until, answer.wait_for, self._stopped)
        if answer.reset and request.transport is not None:
            request.transport.abort()
        content = answer.body(body["model"])
        data = content if isinstance(content, bytes) else content.encode()
        headers = {"Content-Type": "application/json", **answer.headers}
        return web.Response(status=answer.status, body=data, headers=headers)

    async def _work(self, delay_s: float) -> None:
        if self.capacity is None:
            if delay_s:
                await asyncio.sleep(delay_s)
            return
        async with self._room:
            await self._room.wait_for(lambda: self._working < (self.capacity or 1))
            self._working += 1
        try:
            await asyncio.sleep(delay_s)
        finally:
            async with self._room:
                self._working -= 1
                self._room.notify()


def _wait_until(event: threading.Event, stopped: asyncio.Event) -> None:
    while not event.wait(0.02) and not stopped.is_set():
        pass
