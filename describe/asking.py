"""Getting the replies of a run: from the store, from a batch file, or from the endpoints."""

import asyncio
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from describe.backend import opened
from describe.batch import read_batch
from describe.cache import ReplyStore
from describe.config import Config
from describe.endpoints import Endpoint, ModelIdentity, server_description
from describe.ledger import Ledger
from describe.llm import Failure, FailureKind
from describe.prompts import Ask, Asker, conforms
from describe.request import Reply, Request
from describe.selection import Slot, first_sight
from describe.send import SendConfig, Sender, Stopped
from describe.terminal import Progress, progress, say

# Replies after which a server that does not keep to the JSON schema is noticed and told of.
LOOK_AT_FIRST = 8
# Another sample of the same prompt would fail in the same way.
HOPELESS: frozenset[FailureKind] = frozenset({"too_long", "bad_request"})


@dataclass(kw_only=True)
class Counts:
    """What a run asked for, and what it got. A request that two classes share counts once."""

    asked: int = 0
    cached: int = 0
    replied: int = 0
    topped_up: int = 0
    """Of the asked ones, those beyond the first round."""

    failures: dict[str, Failure] = field(default_factory=dict)
    """Request key to why it has no usable reply."""

    unmatched: int = 0
    """Replies of a batch that no request of this run has."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Asking:
    """Where the replies of one run come from, and where they go.

    Args:
        config: The run.
        asker: Makes the requests.
        model: The model, as it stands in every request.
        store: All replies, ever.
        ledger: All failures, ever.
        servers: Closed at the end of the run; endpoints are opened into it on first use.
    """

    def __init__(
        self,
        config: Config,
        asker: Asker,
        model: ModelIdentity,
        store: ReplyStore,
        ledger: Ledger,
        servers: ExitStack,
    ) -> None:
        self.config = config
        self.asker = asker
        self.model = model
        self.store = store
        self.ledger = ledger
        self.counts = Counts()
        self._servers = servers
        self._endpoints: list[Endpoint] | None = None
        self._described: dict[str, str] = {}  # endpoint name -> the server's own description
        self._stored_servers: set[str] = set()
        self._fresh: set[str] = set()  # keys that this run has replies to (--cache refresh)
        self._imported: dict[str, Reply | Failure] = {}
        self._conforming: list[bool] = []
        self._has_said_form = False
        self._began_at = time.monotonic()

    def read_batches(self) -> None:
        """Read batch files; each reply is stored when its request comes up."""
        for path in self.config.import_batch:
            self._imported.update(read_batch(path))
        self.counts.unmatched = len(self._imported)

    def find(self, ask: Ask) -> Reply | None:
        """Return the stored reply to `ask`."""
        return self.store.get(ask.key)

    def missing(self, asks: Sequence[Ask], *, topping_up: bool) -> list[Ask]:
        """Return the asks that nothing is known of, and count all of them."""
        replied = self.counts.replied
        for ask in asks:
            self._take_imported(ask)
        missing = [ask for ask in asks if not self._is_known(ask)]
        keys = {ask.key for ask in asks}
        without = {ask.key for ask in missing} | (keys & self.counts.failures.keys())
        self.counts.asked += len(keys)
        self.counts.cached += len(keys - without) - (self.counts.replied - replied)
        self.counts.topped_up += len(keys) if topping_up else 0
        return missing

    def requests(self, asks: Iterable[Ask]) -> Iterator[tuple[Ask, Request]]:
        """Yield each request once, passing over what another run has stored meanwhile."""
        seen = set()
        for ask in asks:
            if ask.key in seen:
                continue
            seen.add(ask.key)
            if self._is_known(ask):
                self.counts.cached += 1
            else:
                yield ask, self.asker.request(ask)

    def send(self, asks: Sequence[Ask], number: int) -> Stopped | None:
        """Send what is missing in round `number`; return why it ended early, or None."""
        title = "describing" if number == 0 else f"top-up {number}"
        endpoints = self._open()
        # Two runs on one workspace begin at different places, and so meet each other's replies
        # instead of asking in step. The order leaves no trace in the set.
        first = random.randrange(len(asks))
        with progress(title, len({ask.key for ask in asks})) as shown:
            sender = Sender(
                endpoints,
                self._sending(),
                is_proven=self.counts.cached + self.counts.replied > 0,
                on_reply=lambda *args: self._on_reply(shown, *args),
                on_failure=lambda *args: self._on_failure(shown, *args),
                on_note=shown.note,
            )
            stopped = asyncio.run(sender.run(self.requests([*asks[first:], *asks[:first]])))
            self._say_form(shown)
            return stopped

    def _sending(self) -> SendConfig:
        """The configuration, with what is left of the deadline: it is one for the whole run."""
        sending = self.config.sending
        if sending.deadline_s is None:
            return sending
        passed_s = time.monotonic() - self._began_at
        return replace(sending, deadline_s=max(0.0, sending.deadline_s - passed_s))

    def mark_hopeless(self, slots: Iterable[Slot]) -> None:
        """Mark the slots that another sample would not help."""
        for slot in slots:
            failures = (self.counts.failures.get(ask.key) for ask in slot.asks)
            slot.hopeless = any(failure and failure.kind in HOPELESS for failure in failures)

    def _take_imported(self, ask: Ask) -> None:
        outcome = self._imported.pop(ask.key, None)
        self.counts.unmatched = len(self._imported)
        if self.config.cache != "refresh" and ask.key in self.store:
            return  # a stored reply is never replaced in passing
        if isinstance(outcome, Reply):
            self._store(ask, self.asker.request(ask), outcome)
        elif outcome is not None:
            self.ledger.add(ask, outcome)
            self.counts.failures[ask.key] = outcome

    def _is_known(self, ask: Ask) -> bool:
        """Whether asking would bring nothing new: a reply, or a failure that would recur."""
        if ask.key in self._fresh:
            return True
        if self.config.cache == "refresh":
            return False
        reply = self.store.get(ask.key)
        if reply is not None:
            self._stored_servers |= {reply.server} - {""}
            return True
        failure = self.ledger.permanent.get(ask.key)
        if failure is None or self.config.retry_failures:
            return False
        self.counts.failures[ask.key] = failure
        return True

    def _store(self, ask: Ask, request: Request, reply: Reply) -> None:
        label = {"class": ask.action.name, "kind": ask.kind}
        self.store.put(request, reply, label)
        self._fresh.add(ask.key)
        self.counts.failures.pop(ask.key, None)
        self.counts.replied += 1
        self.counts.prompt_tokens += reply.prompt_tokens or 0
        self.counts.completion_tokens += reply.completion_tokens or 0

    def _on_reply(
        self, shown: Progress, ask: Ask, request: Request, reply: Reply, endpoint: Endpoint
    ) -> None:
        self._store(ask, request, replace(reply, server=self._described[endpoint.name]))
        kept, rejected = first_sight(self.config, ask, reply, self.asker.frames)
        shown.replied(kept, rejected, reply.completion_tokens or 0)
        self._look_at_form(shown, reply)

    def _on_failure(self, shown: Progress, ask: Ask, failure: Failure) -> None:
        self.ledger.add(ask, failure)
        self.counts.failures[ask.key] = failure
        shown.failed()

    def _look_at_form(self, shown: Progress, reply: Reply) -> None:
        if len(self._conforming) < LOOK_AT_FIRST:
            self._conforming.append(conforms(reply.text, self.config.num_sentences))
            if len(self._conforming) == LOOK_AT_FIRST:
                self._say_form(shown)

    def _say_form(self, shown: Progress) -> None:
        """Say so once, when the first replies do not keep to the schema that was sent."""
        kept, seen = sum(self._conforming), len(self._conforming)
        is_asked = self.config.structured_output == "json_schema"
        if is_asked and not self._has_said_form and 2 * kept < seen:
            self._has_said_form = True
            shown.note(
                f"the server ignores response_format: {kept} of the first {seen} replies keep to "
                "the JSON schema; what can be read is repaired, more may be rejected"
            )

    def _open(self) -> list[Endpoint]:
        """Start or reach the endpoints, once a run, and compare the model with the stored one."""
        if self._endpoints is None:
            self._endpoints = self._servers.enter_context(opened(self.config, self.model, say))
            for endpoint in self._endpoints:
                described = server_description(endpoint, self.model.name)
                self._described[endpoint.name] = described
                if described and self._stored_servers - {described}:
                    say(
                        f"warning: {endpoint.name} describes the model {self.model.name!r} "
                        "otherwise than when the stored replies came; if it was replaced, give "
                        "--revision, or ask all again with --cache refresh"
                    )
        return self._endpoints
