"""Several worker processes: jobs go in in order, results come out in the same order."""

import queue
import threading
import zlib
from collections import deque
from collections.abc import Generator, Iterable

from adapt.loader_cache import FrameCache
from adapt.loader_job import Job
from adapt.loader_process import Bad, DecodeProcess, Outcome
from adapt.video import VideoError
from adapt.video_config import LoadConfig
from describe.errors import UserError

_GIB = 2**30
_JOIN_S = 5.0
_LOST_THREAD = (
    "the thread of a decoding process ended by the error above, a fault of the program; try "
    "--workers 0"
)

_Ticket = int
_Reply = tuple[_Ticket, Outcome | UserError]


class Pool:
    """Worker processes, each with a thread of this process that waits for it.

    A video that makes its worker hang or crash has the outcome `Bad`; the worker is replaced.
    Without workers this process decodes, and nothing is contained.

    Args:
        load: How many workers, how long each may take, how much they may keep.
    """

    def __init__(self, load: LoadConfig) -> None:
        self._timeout_s = load.video_timeout
        count = load.num_workers
        cache_bytes = int(load.frame_cache * _GIB) // max(1, count)
        self._cache = FrameCache(cache_bytes if not count else 0)
        self._processes = [DecodeProcess(cache_bytes) for _ in range(count)]
        # A worker that keeps frames is asked for the same videos in every epoch; otherwise
        # whichever is free takes the next.
        queues = count if cache_bytes else min(1, count)
        self._jobs: list[queue.SimpleQueue[tuple[_Ticket, Job] | None]] = [
            queue.SimpleQueue() for _ in range(queues)
        ]
        self._replies: queue.SimpleQueue[_Reply] = queue.SimpleQueue()
        self._tickets = 0
        self._waited_for: set[_Ticket] = set()
        self._arrived: dict[_Ticket, Outcome | UserError] = {}
        self._is_closed = threading.Event()
        self._has_lost_thread = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._serve, args=(process, self._jobs[i % queues]), daemon=True
            )
            for i, process in enumerate(self._processes)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, jobs: Iterable[Job], ahead: int) -> Generator[Outcome, None, None]:
        """Yield the outcome of each job, in order.

        What was asked for and not taken is dropped when the iterator is closed.

        Args:
            jobs: Taken as there is room for their results.
            ahead: Most jobs that are worked on, or done and not yet taken.

        Raises:
            UserError: A worker does not start, or its thread is gone.
        """
        if not self._processes:
            yield from map(self._run_here, jobs)
            return
        self._refuse_lost_thread()
        tickets: deque[_Ticket] = deque()
        coming = iter(jobs)
        try:
            while True:
                while len(tickets) < ahead and (job := next(coming, None)) is not None:
                    tickets.append(self._submit(job))
                if not tickets:
                    return
                yield self._wait(tickets.popleft())
        finally:
            self._drop_jobs()
            self._waited_for.clear()
            self._arrived.clear()

    def close(self) -> None:
        """End all workers."""
        self._is_closed.set()
        self._drop_jobs()
        for process in self._processes:
            process.kill()
        for i in range(len(self._processes)):
            self._jobs[i % len(self._jobs)].put(None)
        for thread in self._threads:
            thread.join(_JOIN_S)

    def _submit(self, job: Job) -> _Ticket:
        self._tickets += 1
        self._waited_for.add(self._tickets)
        place = zlib.crc32(job.source.key.encode("utf-8", "surrogateescape")) % len(self._jobs)
        self._jobs[place].put((self._tickets, job))
        return self._tickets

    def _wait(self, ticket: _Ticket) -> Outcome:
        while ticket not in self._arrived:
            number, outcome = self._replies.get()
            if number in self._waited_for:  # else it is left from an epoch that was broken off
                self._arrived[number] = outcome
            self._refuse_lost_thread()
        self._waited_for.remove(ticket)
        found = self._arrived.pop(ticket)
        if isinstance(found, UserError):
            raise found
        return found

    def _serve(
        self, process: DecodeProcess, jobs: "queue.SimpleQueue[tuple[_Ticket, Job] | None]"
    ) -> None:
        """Pass jobs to one process until there are no more. Runs in a thread of its own."""
        try:
            while (asked := jobs.get()) is not None and not self._is_closed.is_set():
                self._answer(process, *asked)
        finally:
            process.end()

    def _answer(self, process: DecodeProcess, ticket: _Ticket, job: Job) -> None:
        outcome: Outcome | UserError | None = None
        try:
            outcome = process.run(job, self._timeout_s)
        except UserError as error:
            outcome = error
        finally:  # an error that nobody thought of ends the thread, and must leave none waiting
            if outcome is None:
                self._has_lost_thread.set()
                outcome = UserError(_LOST_THREAD)
            self._replies.put((ticket, outcome))

    def _refuse_lost_thread(self) -> None:
        if self._has_lost_thread.is_set():
            raise UserError(_LOST_THREAD)

    def _run_here(self, job: Job) -> Outcome:
        try:
            return job.run(self._cache)
        except VideoError as error:
            return Bad(error.reason)

    def _drop_jobs(self) -> None:
        for jobs in self._jobs:
            try:
                while True:
                    jobs.get_nowait()
            except queue.Empty:
                continue
