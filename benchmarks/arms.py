"""The loops that are compared: each sends the same requests, and returns the replies' texts."""

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from openai import AsyncOpenAI

from describe.asking import Asking
from describe.build import sampling
from describe.cache import ReplyStore
from describe.classes import ActionClass
from describe.config import Config
from describe.endpoints import Endpoint, ModelIdentity
from describe.ledger import Ledger
from describe.llm import Failure
from describe.pacing import PaceConfig
from describe.prompts import Ask, Asker, load_prompts
from describe.request import Reply, Request
from describe.send import SendConfig, Sender

Pairs = Sequence[tuple[Ask, Request]]
MODEL = ModelIdentity(name="scripted")


@dataclass(frozen=True, kw_only=True)
class Sent:
    """How one loop went."""

    wall_s: float
    texts: dict[str, str]
    """Request key to the reply's text."""

    tokens: int
    """Completion tokens of these replies, by the server's count."""


def asker(config: Config, model: ModelIdentity = MODEL) -> Asker:
    """Return what makes the requests of a run with `config`."""
    return Asker(load_prompts(config.prompts), sampling(config, model))


def numbered(number: int) -> ActionClass:
    """Return the class `action 17`."""
    name = f"action {number}"
    return ActionClass(class_id=number, name=name, readable=name, group=None)


def make_pairs(num_requests: int) -> list[tuple[Ask, Request]]:
    """Return the requests of a run over the classes `action 0`, `action 1`, ..., one for each."""
    maker = asker(Config(dataset="made-up", model=MODEL.name))
    asks = [maker.ask(numbered(i), "spatial", 0) for i in range(num_requests)]
    return [(ask, maker.request(ask)) for ask in asks]


async def _gather(pairs: Pairs, concurrency: int, ask_one: Any) -> list[tuple[str, int]]:
    room = asyncio.Semaphore(concurrency)

    async def one(request: Request) -> tuple[str, int]:
        async with room:
            text, tokens = await ask_one(request.body)
            return text, tokens

    return await asyncio.gather(*(one(request) for _, request in pairs))


def _sent(pairs: Pairs, began_at: float, replies: Iterable[tuple[str, int]]) -> Sent:
    wall_s = time.perf_counter() - began_at
    found = list(replies)
    texts = {request.key: text for (_, request), (text, _) in zip(pairs, found, strict=True)}
    return Sent(wall_s=wall_s, texts=texts, tokens=sum(tokens for _, tokens in found))


def bare_aiohttp(pairs: Pairs, endpoint: Endpoint, concurrency: int) -> Sent:
    """Send with aiohttp and a semaphore: no retries, no pace, nothing stored."""

    async def run() -> list[tuple[str, int]]:
        url = f"{endpoint.base_url}/chat/completions"
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {endpoint.api_key}",
        }

        async def ask_one(body: Any) -> tuple[str, int]:
            data = json.dumps(body, ensure_ascii=False).encode()
            async with session.post(url, data=data, headers=headers) as response:
                return _read(await response.json())

        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=600)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            return await _gather(pairs, concurrency, ask_one)

    began_at = time.perf_counter()
    return _sent(pairs, began_at, asyncio.run(run()))


def _read(answer: Any) -> tuple[str, int]:
    """Text and tokens of a completion; neither, where it was cut short, as we do not use those."""
    choice = answer["choices"][0]
    if choice["finish_reason"] == "length":
        return "", 0
    return str(choice["message"]["content"]), int(answer["usage"]["completion_tokens"])


def plain_openai(pairs: Pairs, endpoint: Endpoint, concurrency: int) -> Sent:
    """Send with the `AsyncOpenAI` client as it comes (httpx), and a semaphore."""

    async def run() -> list[tuple[str, int]]:
        async def ask_one(body: Any) -> tuple[str, int]:
            answer = await client.chat.completions.create(**body)
            tokens = answer.usage.completion_tokens if answer.usage else 0
            return str(answer.choices[0].message.content), tokens

        key = endpoint.api_key or "none"
        async with AsyncOpenAI(base_url=endpoint.base_url, api_key=key, max_retries=0) as client:
            return await _gather(pairs, concurrency, ask_one)

    began_at = time.perf_counter()
    return _sent(pairs, began_at, asyncio.run(run()))


def ours(pairs: Pairs, endpoint: Endpoint, concurrency: int) -> Sent:
    """Send as a run does, each reply on disk as it arrives; the texts are read back from there."""
    failed: list[tuple[Ask, Failure]] = []
    with TemporaryDirectory() as folder, ReplyStore(Path(folder) / "replies") as store:

        def put(ask: Ask, request: Request, reply: Reply, endpoint: Endpoint) -> None:
            store.put(request, reply, {"class": ask.action.name, "kind": ask.kind})

        sender = Sender(
            [endpoint],
            SendConfig(pace=PaceConfig(max_concurrency=concurrency)),
            on_reply=put,
            on_failure=lambda ask, failure: failed.append((ask, failure)),
        )
        began_at = time.perf_counter()
        stopped = asyncio.run(sender.run(pairs))
        wall_s = time.perf_counter() - began_at
        assert stopped is None, stopped
        cut = {ask.key for ask, failure in failed if failure.kind == "truncated"}
        assert len(cut) == len(failed), failed
        replies = {
            request.key: Reply(text="") if request.key in cut else store.get(request.key)
            for _, request in pairs
        }
    texts = {key: reply.text for key, reply in replies.items() if reply}
    tokens = sum(reply.completion_tokens or 0 for reply in replies.values() if reply)
    return Sent(wall_s=wall_s, texts=texts, tokens=tokens)


def ours_in_full(pairs: Pairs, endpoint: Endpoint, concurrency: int) -> Sent:
    """What `python -m describe` does between its class list and its rules over the whole set.

    Besides `ours`: prompts rendered while sending, the model looked up, rules at first sight and
    the progress line.
    """
    config = replace(
        Config(dataset="made-up", model=MODEL.name, base_url=(endpoint.base_url,)),
        concurrency=concurrency,
    )
    with TemporaryDirectory() as folder, ExitStack() as servers:
        store = servers.enter_context(ReplyStore(Path(folder) / "replies"))
        ledger = Ledger(Path(folder) / "failures.jsonl")
        began_at = time.perf_counter()
        asking = Asking(config, asker(config), MODEL, store, ledger, servers)
        stopped = asking.send([ask for ask, _ in pairs], 0)
        wall_s = time.perf_counter() - began_at
        assert stopped is None, stopped
        assert not asking.counts.failures, asking.counts.failures
        texts = {entry.request.key: entry.reply.text for entry in store.entries()}
        return Sent(wall_s=wall_s, texts=texts, tokens=asking.counts.completion_tokens)
