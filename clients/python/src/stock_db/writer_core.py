"""What both forms of a writer have beneath: queues of rows, and one thread that sends them."""

from __future__ import annotations

import heapq
import http.client
import logging
import os
import random
import re
import ssl
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from .connection import Connection
from .errors import StockDBError
from .spool import SPOOL_BYTES, SYNC_SECONDS, Spool, SpoolLane
from .writer_http import Answer, Poster
from .writer_rows import HEADERS, named_row

__all__ = [
    "Core",
    "NotStored",
    "RefusedRow",
    "RowsRefused",
    "WriterFigures",
    "WriterFull",
    "WriterOptions",
    "WriterStopped",
]

_log = logging.getLogger("stock_db")

#: The longest pause before a request is sent again; it begins with a twentieth of a second.
PAUSE_SECONDS_MAX = 5.0
_PAUSE_SECONDS_MIN = 0.05
#: The longest `Retry-After` that counts.
RETRY_AFTER_SECONDS_MAX = 60.0
#: Refused rows that a writer remembers for `flush`, `close` and receipts.
REFUSED_MAX = 10_000
#: A server that has answered nothing for so long counts as away.
AWAY_SECONDS = 2.0
#: Rows that are refused together are told in the log one by one up to this number.
_LOGGED_MAX = 10
_MARK_SECONDS = 0.01
#: Statuses of what is sent again as it is. All others are refusals.
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 508})
#: Refusals of rows, not of the writer.
_ROWS_REFUSED = frozenset({400, 409, 413, 422})
_ROW_NUMBER = re.compile(r"row (\d+)\b")


@dataclass(frozen=True)
class WriterOptions:
    batch_rows: int = 1_000
    batch_bytes: int = 1024 * 1024
    batch_seconds: float = 0.005
    queue_rows: int = 100_000
    request_timeout: float = 30.0
    close_timeout: float = 30.0
    spool: str | os.PathLike[str] | None = None
    spool_bytes: int = SPOOL_BYTES
    spool_sync_seconds: float = SYNC_SECONDS

    def __post_init__(self) -> None:
        for name in ("batch_rows", "batch_bytes", "queue_rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: got {getattr(self, name)}, expected at least 1")
        if self.batch_rows >= 2_000:
            raise ValueError(
                f"batch_rows: got {self.batch_rows}, expected less than 2000, "
                "as the server stores larger batches in several parts"
            )
        if self.batch_seconds < 0:
            raise ValueError(f"batch_seconds: got {self.batch_seconds}, expected 0 or more")


@dataclass(frozen=True)
class RefusedRow:
    """A row that the server won't store."""

    #: `trades`, `quotes` or `bars`.
    table: str
    #: Columns as texts, as they were sent.
    row: dict[str, str]
    status: int
    #: The server's own words.
    error: str


class RowsRefused(StockDBError):
    """The server has refused rows; all others are stored. `rows` has the newest 10,000 of them."""

    def __init__(self, rows: list[RefusedRow], count: int) -> None:
        first = rows[0]
        super().__init__(f"{count} row(s) refused, the first of {first.table}: {first.row}: {first.error}")
        self.rows = rows
        self.count = count


class WriterFull(StockDBError):
    """The queue has twice its rows, as calls weren't awaited. The row was not taken."""


class WriterStopped(StockDBError):
    """The server refuses all that this writer sends, as with a wrong key, or its spool failed.

    `status` is that of the server; None: it isn't the server's doing.
    """

    def __init__(self, status: int | None, error: str) -> None:
        why = "the writer had to stop" if status is None else f"the server refuses this writer with {status}"
        super().__init__(f"{why}: {error}")
        self.status = status
        self.error = error


class NotStored(StockDBError):
    """The writer ended, or `flush` gave up, before the server had all rows.

    `count` rows may be missing. `rows` has them, as table and columns, unless they are in the spool
    or `flush` has left them in the queue. Of those that were sent last, the server may have some.
    """

    def __init__(self, message: str, count: int, rows: list[tuple[str, dict[str, str]]]) -> None:
        super().__init__(message)
        self.count = count
        self.rows = rows


@dataclass(frozen=True)
class WriterFigures:
    """Counts of rows since the writer began, and what waits now."""

    #: Taken by the writer, those that were in the spool at its start among them.
    taken: int
    #: Wait in memory, those that are under way among them.
    queued: int
    #: Wait in the spool alone.
    spooled: int
    #: Sent at least once.
    sent: int
    #: The server has answered for them: stored, repeated or refused.
    acknowledged: int
    #: The server had them already.
    repeated: int
    refused: int
    #: Requests, and how many of them were sent again.
    requests: int
    retries: int
    #: Age in seconds of the oldest row that waits for its acknowledgement; 0 if none does.
    oldest_wait: float
    #: Bytes of the spool.
    spool_bytes: int
    #: Why the last request failed; None while all goes well.
    trouble: str | None


class Lane:
    """Rows of one kind, in their order."""

    __slots__ = (
        "done",
        "index",
        "marks",
        "name",
        "path",
        "queue",
        "queued_bytes",
        "refusals",
        "refusals_lost",
        "spool",
        "table",
        "taken",
        "waiters",
    )

    def __init__(self, name: str, index: int, spool: SpoolLane | None) -> None:
        self.name = name
        self.index = index
        self.path = f"/v1/{name}"
        self.table = name.partition("?")[0]
        self.spool = spool
        #: Rows that wait, in memory. The first has the number `done + 1`, or follows the batch that
        #: is under way.
        self.queue: deque[bytes] = deque()
        self.queued_bytes = 0
        first = 1 if spool is None else spool.stored + 1
        #: Number of the last row that was taken.
        self.taken = first - 1 if spool is None else spool.next - 1
        #: The server has answered for all rows up to this number.
        self.done = first - 1
        #: Number of a row and when it came, for some rows.
        self.marks: deque[tuple[int, float]] = deque()
        #: By number.
        self.refusals: dict[int, RefusedRow] = {}
        #: The highest number of a refused row that isn't remembered any more.
        self.refusals_lost = 0
        #: A heap by number: who waits for that row, and whether a refusal concerns it.
        self.waiters: list[tuple[int, int, bool, Future[None]]] = []


@dataclass
class _Batch:
    lane: Lane
    first: int
    lines: list[bytes]
    key: str
    #: The spool has it.
    is_noted: bool = False


class Core:
    """The methods are safe for several threads at once."""

    def __init__(
        self,
        connection: Connection,
        options: WriterOptions,
        on_refused: Callable[[RefusedRow], None] | None,
    ) -> None:
        self.options = options
        self._on_refused = on_refused
        self._poster = Poster(connection, options.request_timeout)
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._lanes: dict[str, Lane] = {}
        self._queued = 0
        self._flushes = 0
        self._waits = 0
        self._is_sleeping = False
        self._is_closing = False
        self._is_ended = False
        self._wakes = threading.Event()
        self._stopped: WriterStopped | None = None
        self._room: list[Future[None]] = []
        self._refused: deque[RefusedRow] = deque(maxlen=REFUSED_MAX)
        self._refused_untold = 0
        self._name = uuid.uuid4().hex
        self._spool: Spool | None = None
        #: Rows are in the spool that are not in memory.
        self._is_behind = False
        self._busy_since: float | None = None
        self._trouble: str | None = None
        self._figures = dict.fromkeys(
            ("taken", "sent", "acknowledged", "repeated", "refused", "requests", "retries"), 0
        )
        #: For speed: taking a row looks at nothing else.
        self.is_full = False
        if options.spool is not None:
            self._open_spool(options.spool)
        self._thread = threading.Thread(target=self._run, name="stock-db writer", daemon=True)
        self._thread.start()

    def lane(self, name: str) -> Lane:
        with self._lock:
            lane = self._lanes.get(name)
            if lane is None:
                lane = self._lanes[name] = Lane(
                    name, len(self._lanes), self._spool.lane(name) if self._spool is not None else None
                )
            return lane

    def take(self, lane: Lane, line: str) -> int:
        """Takes a row, and returns its number. Raises rather than take one that may be lost."""
        row = line.encode()
        with self._lock:
            if self._stopped is not None:
                raise self._stopped
            if self._is_closing:
                raise RuntimeError("the writer is closed: expected rows before its end")
            spool = self._spool
            if spool is not None:
                assert lane.spool is not None
                if not self._is_behind and self._queued >= self.options.queue_rows:
                    # From here on memory doesn't have them: they are read from the spool later.
                    spool.skip()
                    self._is_behind = True
                spool.append(lane.spool, row)
                self.is_full = spool.bytes * 2 > spool.max_bytes
            elif self._queued >= 2 * self.options.queue_rows:
                raise WriterFull(
                    f"the queue has {self._queued} rows, at most {self.options.queue_rows} are meant to wait "
                    "(queue_rows); await each call, so that a fast feed waits for the server"
                )
            number = lane.taken = lane.taken + 1
            self._figures["taken"] += 1
            now = time.monotonic()
            marks = lane.marks
            if not marks or now - marks[-1][1] > (1.0 if self._is_behind else _MARK_SECONDS):
                marks.append((number, now))
            if self._is_behind:
                if self._is_sleeping:
                    self._work.notify()
                return number
            lane.queue.append(row)
            lane.queued_bytes += len(row)
            self._queued += 1
            if spool is None and self._queued >= self.options.queue_rows:
                self.is_full = True
            if self._is_sleeping or len(lane.queue) == self.options.batch_rows:
                self._work.notify()
            return number

    def room(self) -> Future[None] | None:
        """None if there is room; else it is done when there is, or when the spool takes the rows."""
        with self._lock:
            if not self.is_full or self._stopped is not None or self._is_ended:
                return None
            if self._spool is not None and self._is_away():
                return None
            future: Future[None] = Future()
            self._room.append(future)
            return future

    def stored(self, lane: Lane, number: int) -> Future[None]:
        """Done when the server has the row; else it has the reason as its exception."""
        future: Future[None] = Future()
        with self._lock:
            if number > lane.done:
                if self._stopped is not None:
                    future.set_exception(self._stopped)
                else:
                    self._wait_for(lane, number, True, future)
            else:
                _settle(lane, number, future)
        return future

    def _wait_for(self, lane: Lane, number: int, tells_refusal: bool, future: Future[None]) -> None:
        self._waits += 1
        heapq.heappush(lane.waiters, (number, self._waits, tells_refusal, future))

    def flush(self) -> list[tuple[Lane, Future[None]]]:
        """Of each lane, done when all rows that it has now are answered for."""
        waits: list[tuple[Lane, Future[None]]] = []
        with self._lock:
            for lane in self._lanes.values():
                if lane.taken > lane.done:
                    future: Future[None] = Future()
                    if self._stopped is not None:
                        future.set_exception(self._stopped)
                    else:
                        self._wait_for(lane, lane.taken, False, future)
                    waits.append((lane, future))
            self._flushes += 1
            self._work.notify()
        return waits

    def abandon_flush(self) -> None:
        """After a `flush` that nobody waits for any more."""
        with self._lock:
            self._flushes -= 1

    def flushed(self) -> None:
        """After a `flush` that was waited for. Raises `RowsRefused` if rows were, and nobody was told."""
        with self._lock:
            self._flushes -= 1
            if self._on_refused is not None or self._refused_untold == 0:
                return
            count, self._refused_untold = self._refused_untold, 0
            rows = list(self._refused)
            self._refused.clear()
        raise RowsRefused(rows, count)

    def waiting_rows(self) -> int:
        with self._lock:
            return sum(lane.taken - lane.done for lane in self._lanes.values())

    def end(self) -> list[tuple[str, dict[str, str]]]:
        """Stops the thread. Returns the rows that wait; those in a spool stay there."""
        with self._lock:
            self._is_closing = self._is_ended = True
            self._wakes.set()
            self._work.notify()
            self._wake_room()
        # A request that is under way would only be answered for nobody.
        self._poster.abort()
        self._thread.join()
        with self._lock:
            for lane in self._lanes.values():
                self._fail_waiters(lane, NotStored("the writer has ended", 0, []))
            if self._spool is not None:
                self._spool.close()
                return []
            return [
                (lane.table, named_row(lane.table, line.decode()))
                for lane in self._lanes.values()
                for line in lane.queue
            ]

    def figures(self) -> WriterFigures:
        now = time.monotonic()
        with self._lock:
            firsts = [lane.marks[0][1] for lane in self._lanes.values() if lane.marks]
            waiting = sum(lane.taken - lane.done for lane in self._lanes.values())
            return WriterFigures(
                **self._figures,
                queued=self._queued,
                spooled=max(0, waiting - self._queued) if self._is_behind else 0,
                oldest_wait=now - min(firsts) if firsts else 0.0,
                spool_bytes=self._spool.bytes if self._spool is not None else 0,
                trouble=self._trouble,
            )

    @property
    def stopped(self) -> WriterStopped | None:
        return self._stopped

    def _open_spool(self, path: str | os.PathLike[str]) -> None:
        options = self.options
        spool = self._spool = Spool(
            path, max_bytes=options.spool_bytes, sync_seconds=options.spool_sync_seconds
        )
        now = time.monotonic()
        for name, kept in spool.lanes.items():
            lane = self._lanes[name] = Lane(name, len(self._lanes), kept)
            waiting = lane.taken - lane.done
            if waiting > 0:
                self._is_behind = True
                self._figures["taken"] += waiting
                lane.marks.append((lane.done + 1, now))
                _log.info("stock-db writer: %d rows of %s wait in the spool %s", waiting, lane.table, path)
        if spool.torn_bytes > 0:
            _log.warning(
                "stock-db writer: the last %d bytes of the spool %s were no whole record, and are dropped",
                *(spool.torn_bytes, path),
            )

    def _is_away(self) -> bool:
        """The server doesn't answer: rows that the spool takes don't wait for it."""
        since = self._busy_since
        return self._trouble is not None or (since is not None and time.monotonic() - since > AWAY_SECONDS)

    def _has_room(self) -> bool:
        spool = self._spool
        if spool is not None:
            return spool.bytes * 2 <= spool.max_bytes
        return self._queued <= self.options.queue_rows // 2

    def _wake_room(self) -> None:
        room, self._room = self._room, []
        for future in room:
            if not future.done():
                future.set_result(None)

    # From here on, the thread that sends.

    def _run(self) -> None:
        try:
            while True:
                batch = self._next_batch()
                if batch is None:
                    return
                self._deliver(batch)
        except _Ended:
            return
        except Exception as error:
            _log.exception("stock-db writer: it has to stop")
            self._stop(WriterStopped(None, f"{type(error).__name__}: {error}"))
        finally:
            self._poster.close()

    def _next_batch(self) -> _Batch | None:
        options = self.options
        with self._lock:
            while not self._is_ended:
                if self._is_behind:
                    self._refill()
                lane = self._oldest_lane()
                if lane is None:
                    self._sleep(None)
                    continue
                batch = self._kept_batch(lane)
                if batch is not None:
                    return batch
                due = lane.marks[0][1] + options.batch_seconds - time.monotonic()
                if due > 0 and self._flushes == 0 and len(lane.queue) < options.batch_rows:
                    self._sleep(due, is_gathering=True)
                    continue
                return self._new_batch(lane)
        return None

    def _sleep(self, seconds: float | None, *, is_gathering: bool = False) -> None:
        self._is_sleeping = not is_gathering
        self._work.wait(seconds)
        self._is_sleeping = False

    def _oldest_lane(self) -> Lane | None:
        found: Lane | None = None
        for lane in self._lanes.values():
            if lane.queue and (found is None or lane.marks[0][1] < found.marks[0][1]):
                found = lane
        return found

    def _kept_batch(self, lane: Lane) -> _Batch | None:
        """The batch that the writer before this one sent, and got no answer to."""
        kept = lane.spool
        if kept is None or not kept.sent:
            return None
        first, count, key = kept.sent[0]
        if first > lane.done + 1:
            return None
        if first + count - 1 <= lane.done:
            kept.sent.popleft()
            return self._kept_batch(lane)
        rest = first + count - 1 - lane.done
        while len(lane.queue) < rest:
            # Rows of other kinds may stand between.
            if not self._refill(rest):
                raise RuntimeError(f"the spool has a batch of {count} rows from {first} on, and not its rows")
        kept.sent.popleft()
        return _Batch(lane, lane.done + 1, self._pop(lane, rest, None), key, is_noted=True)

    def _new_batch(self, lane: Lane) -> _Batch:
        first = lane.done + 1
        rows = self.options.batch_rows
        if lane.spool is not None and lane.spool.sent:
            rows = min(rows, lane.spool.sent[0][0] - first)
        lines = self._pop(lane, rows, self.options.batch_bytes)
        return _Batch(lane, first, lines, f"{self._name}-{lane.index}-{first}")

    def _pop(self, lane: Lane, rows: int, max_bytes: int | None) -> list[bytes]:
        queue = lane.queue
        count = min(rows, len(queue))
        if max_bytes is None or lane.queued_bytes <= max_bytes:
            lines = [queue.popleft() for _ in range(count)]
            size = sum(map(len, lines))
        else:
            lines = [queue.popleft()]
            size = len(lines[0])
            while len(lines) < count and size + len(queue[0]) <= max_bytes:
                lines.append(queue.popleft())
                size += len(lines[-1])
        lane.queued_bytes -= size
        return lines

    def _refill(self, least: int = 0) -> bool:
        """Rows of the spool to memory. Returns whether there were some."""
        spool = self._spool
        assert spool is not None
        count = max(least, self.options.queue_rows // 2 - self._queued)
        if count <= 0:
            return False
        rows = spool.read(min(count, 10_000))
        for kept, _, row in rows:
            lane = self._lanes[kept.name]
            lane.queue.append(row)
            lane.queued_bytes += len(row)
        self._queued += len(rows)
        if spool.is_read:
            self._is_behind = False
        return bool(rows)

    def _deliver(self, batch: _Batch) -> None:
        """Until the server has answered for each row of it."""
        lane = batch.lane
        through = batch.first + len(batch.lines) - 1
        with self._lock:
            self._figures["sent"] += len(batch.lines)
        try:
            if not batch.is_noted:
                self._note_sent(batch)
            # Where they are in the batch, from 0.
            self._deliver_lines(batch, list(range(len(batch.lines))), batch.key)
        except BaseException:
            with self._lock:
                lane.queue.extendleft(reversed(batch.lines))
            raise
        with self._lock:
            lane.done = through
            self._queued -= len(batch.lines)
            self._figures["acknowledged"] += len(batch.lines)
            if self._spool is not None and lane.spool is not None:
                try:
                    self._spool.stored(lane.spool, through)
                except OSError as error:
                    # The next writer sends them again, with the same keys.
                    _log.warning("stock-db writer: the spool can't note what is stored: %s", error)
            marks = lane.marks
            while len(marks) > 1 and marks[1][0] <= through + 1:
                marks.popleft()
            if marks and lane.taken == through:
                marks.clear()
            elif marks:
                marks[0] = (through + 1, marks[0][1])
            waiters = lane.waiters
            while waiters and waiters[0][0] <= through:
                number, _, tells_refusal, future = heapq.heappop(waiters)
                if tells_refusal:
                    _settle(lane, number, future)
                else:
                    _resolve(future)
            if self.is_full and self._has_room():
                self.is_full = False
                self._wake_room()

    def _deliver_lines(self, batch: _Batch, places: list[int], key: str) -> None:
        """Lines of a batch: what is refused is left out, told, and the others sent."""
        lane = batch.lane
        while places:
            header = HEADERS[lane.table].encode()
            body = b"\n".join([header, *(batch.lines[place] for place in places), b""])
            answer = self._answer(lane.path, body, key)
            if answer.status == 200:
                self._told(answer)
                return
            if answer.status == 403 and "may not see" in answer.error:
                groups = self._by_ticker(batch, places)
            elif answer.status not in _ROWS_REFUSED:
                self._stop(WriterStopped(answer.status, answer.error))
                raise _Ended
            else:
                found = _ROW_NUMBER.match(answer.error) if answer.status == 400 else None
                row = int(found[1]) if found is not None else 0
                if 1 <= row <= len(places):
                    # Nothing of it is stored, so the key is free for the others.
                    self._refuse(batch, places.pop(row - 1), answer)
                    continue
                groups = [] if answer.status == 413 else self._by_ticker(batch, places)
            if len(groups) > 1:
                # A key counts for one ticker and kind, so each may have the same.
                for group in groups:
                    self._deliver_lines(batch, group, key)
                return
            if len(places) == 1 or answer.status == 403 or "Idempotency-Key" in answer.error:
                for place in places:
                    self._refuse(batch, place, answer)
                return
            half = len(places) // 2
            self._deliver_lines(batch, places[:half], f"{key}.0")
            self._deliver_lines(batch, places[half:], f"{key}.1")
            return

    def _note_sent(self, batch: _Batch) -> None:
        """In the spool: after a kill, the batch goes again with the same rows and key."""
        spool, lane = self._spool, batch.lane
        if spool is None or lane.spool is None:
            return
        pause = _Pause()
        while True:
            try:
                with self._lock:
                    spool.sent(lane.spool, batch.first, len(batch.lines), batch.key)
                return
            except OSError as error:
                # Sent without that, it could be stored twice after a kill.
                self._in_trouble(f"the spool can't note a batch: {error}")
                self._wait(pause.next(None))

    def _by_ticker(self, batch: _Batch, places: list[int]) -> list[list[int]]:
        groups: dict[str, list[int]] = {}
        for place in places:
            ticker = named_row(batch.lane.table, batch.lines[place].decode()).get("symbol", "")
            groups.setdefault(ticker, []).append(place)
        return list(groups.values())

    def _answer(self, path: str, body: bytes, key: str) -> Answer:
        """Sends until the server has decided. Raises `_Ended` when the writer ends before."""
        pause = _Pause()
        tries = 0
        while True:
            if self._is_ended:
                raise _Ended
            tries += 1
            self._figures["requests"] += 1
            self._figures["retries"] += tries > 1
            self._busy_since = time.monotonic()
            retry_after: float | None = None
            try:
                answer = self._poster.post(path, body, key)
                self._busy_since = None
                if answer.status not in _TRY_AGAIN:
                    if self._trouble is not None:
                        _log.info("stock-db writer: the server takes rows again")
                        self._trouble = None
                    return answer
                retry_after = answer.retry_after
                self._in_trouble(f"{answer.status}: {answer.error}")
            except (OSError, http.client.HTTPException) as error:
                self._busy_since = None
                if isinstance(error, ssl.SSLCertVerificationError) and self._figures["acknowledged"] == 0:
                    # From the beginning it is another server, or `verify` is wrong.
                    self._stop(WriterStopped(None, str(error)))
                    raise _Ended from None
                if tries > 1 or not isinstance(error, (ConnectionError, http.client.HTTPException)):
                    self._in_trouble(f"{type(error).__name__}: {error}")
                else:
                    # A connection that was idle, or whose worker has ended: the next one may serve.
                    self._wait(0.001)
                    continue
            self._wait(pause.next(retry_after))

    def _wait(self, seconds: float) -> None:
        if self._wakes.wait(seconds):
            raise _Ended

    def _in_trouble(self, why: str) -> None:
        if self._trouble is None:
            _log.warning("stock-db writer: rows wait, as the server doesn't take them: %s", why)
        with self._lock:
            self._trouble = why
            if self._spool is not None:
                self._wake_room()

    def _told(self, answer: Answer) -> None:
        repeated = answer.body.get("repeated")
        rows = answer.body.get("rows")
        if answer.body.get("repetition") is True and isinstance(rows, int):
            repeated = rows
        with self._lock:
            self._figures["repeated"] += repeated if isinstance(repeated, int) else 0

    def _refuse(self, batch: _Batch, place: int, answer: Answer) -> None:
        lane = batch.lane
        row = RefusedRow(
            lane.table, named_row(lane.table, batch.lines[place].decode()), answer.status, answer.error
        )
        with self._lock:
            self._figures["refused"] += 1
            self._refused.append(row)
            self._refused_untold += 1
            lane.refusals[batch.first + place] = row
            if len(lane.refusals) > REFUSED_MAX:
                oldest = next(iter(lane.refusals))
                del lane.refusals[oldest]
                lane.refusals_lost = max(lane.refusals_lost, oldest)
            untold = self._refused_untold
        if self._on_refused is not None:
            try:
                self._on_refused(row)
            except Exception:
                _log.exception("stock-db writer: on_refused failed for %s", row)
        elif untold <= _LOGGED_MAX:
            _log.error("stock-db writer: a row of %s is refused: %s: %s", row.table, row.row, row.error)
        elif untold == _LOGGED_MAX + 1:
            _log.error("stock-db writer: more rows are refused; flush and close tell all")

    def _stop(self, reason: WriterStopped) -> None:
        _log.error("stock-db writer: %s", reason)
        with self._lock:
            self._stopped = reason
            for lane in self._lanes.values():
                self._fail_waiters(lane, reason)
            self._wake_room()

    def _fail_waiters(self, lane: Lane, error: Exception) -> None:
        waiting, lane.waiters = lane.waiters, []
        for *_, future in waiting:
            if not future.done():
                future.set_exception(error)


class _Ended(Exception):
    """The writer ends with rows that have no answer."""


class _Pause:
    """Twice as long each time, and up to half of it at random: writers mustn't come back together."""

    def __init__(self) -> None:
        self._seconds = _PAUSE_SECONDS_MIN

    def next(self, retry_after: float | None) -> float:
        seconds = self._seconds * (0.5 + random.random() / 2)
        self._seconds = min(PAUSE_SECONDS_MAX, self._seconds * 2)
        return seconds if retry_after is None else max(seconds, min(retry_after, RETRY_AFTER_SECONDS_MAX))


def _resolve(future: Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _settle(lane: Lane, number: int, future: Future[None]) -> None:
    if future.done():
        return
    row = lane.refusals.get(number)
    if row is not None:
        future.set_exception(RowsRefused([row], 1))
    elif number <= lane.refusals_lost:
        future.set_exception(
            RuntimeError(f"too many rows were refused to know of this one: ask within {REFUSED_MAX}")
        )
    else:
        future.set_result(None)
