"""Writers: rows of many tickers, one by one, stored in batches."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any
from urllib.parse import quote as url_quote

from .connection import Connection
from .spool import SpoolDamaged, SpoolFull, SpoolInUse
from .writer_core import (
    Core,
    Lane,
    NotStored,
    RefusedRow,
    RowsRefused,
    WriterFigures,
    WriterFull,
    WriterOptions,
    WriterStopped,
)
from .writer_rows import Extra, Number, RowError, Stamp, bar_line, quote_line, trade_line

__all__ = [
    "AsyncWriter",
    "NotStored",
    "Receipt",
    "RefusedRow",
    "RowError",
    "RowsRefused",
    "SpoolDamaged",
    "SpoolFull",
    "SpoolInUse",
    "SyncReceipt",
    "SyncWriter",
    "Writer",
    "WriterFigures",
    "WriterFull",
    "WriterOptions",
    "WriterStopped",
]

_log = logging.getLogger("stock_db")
#: How often those who wait for room look whether the server is away meanwhile.
_LOOK_SECONDS = 1.0


class Receipt:
    """Of a row that the writer has taken. To await it is to wait for room in the queue."""

    __slots__ = ("_core", "_lane", "_number")

    def __init__(self, core: Core, lane: Lane, number: int) -> None:
        self._core = core
        self._lane = lane
        self._number = number

    def __await__(self) -> Generator[Any, None, Receipt]:
        if self._core.is_full:
            yield from _room(self._core).__await__()
        return self

    async def stored(self) -> None:
        """Waits until the server has the row on disk.

        Raises `RowsRefused` if it won't have it, `WriterStopped` or `NotStored` if the writer ends.
        """
        await asyncio.wrap_future(self._core.stored(self._lane, self._number))


class SyncReceipt:
    """Of a row that the writer has taken."""

    __slots__ = ("_core", "_lane", "_number")

    def __init__(self, core: Core, lane: Lane, number: int) -> None:
        self._core = core
        self._lane = lane
        self._number = number

    def stored(self, timeout: float | None = None) -> None:
        """Waits until the server has the row on disk, at most `timeout` seconds (then `TimeoutError`).

        Raises `RowsRefused` if it won't have it, `WriterStopped` or `NotStored` if the writer ends.
        """
        _result(self._core.stored(self._lane, self._number), timeout)


async def _room(core: Core) -> None:
    while True:
        future = core.room()
        if future is None:
            return
        await asyncio.wait([asyncio.wrap_future(future)], timeout=_LOOK_SECONDS)


def _room_sync(core: Core) -> None:
    while True:
        future = core.room()
        if future is None:
            return
        concurrent.futures.wait([future], timeout=_LOOK_SECONDS)


def _result(future: Future[None], timeout: float | None) -> None:
    try:
        future.result(timeout)
    except concurrent.futures.TimeoutError:
        # Before Python 3.11 it is another class.
        raise TimeoutError(f"no answer within {timeout} s") from None


def _bars_name(timeframe: str, on_duplicate: str | None) -> str:
    name = f"bars?timeframe={url_quote(timeframe, safe='')}"
    return name if on_duplicate is None else f"{name}&on_duplicate={url_quote(on_duplicate, safe='')}"


class _Rows:
    """What both forms have: rows become lines of lanes."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._trades = core.lane("trades")
        self._quotes = core.lane("quotes")
        self._bars: dict[tuple[str, str | None], Lane] = {}

    @property
    def figures(self) -> WriterFigures:
        """Counts of rows, and what waits."""
        return self._core.figures()

    def _lane_of_bars(self, timeframe: str, on_duplicate: str | None) -> Lane:
        lane = self._bars.get((timeframe, on_duplicate))
        if lane is None:
            if not isinstance(timeframe, str) or timeframe == "":
                raise RowError(f"timeframe: got {timeframe!r}, expected one such as '1Min' or '1Day'")
            lane = self._core.lane(_bars_name(timeframe, on_duplicate))
            self._bars[timeframe, on_duplicate] = lane
        return lane

    def _end(self, waited: float | None) -> None:
        core = self._core
        rows = core.end()
        count = core.waiting_rows()
        if count == 0:
            return
        spool = core.options.spool
        if spool is not None:
            _log.warning(
                "stock-db writer: %d rows wait in the spool %s; the next writer with it sends them",
                *(count, spool),
            )
            return
        raise _unanswered(core, waited, rows)


def _unanswered(
    core: Core, seconds: float | None, rows: list[tuple[str, dict[str, str]]] | None = None
) -> NotStored:
    count, trouble = core.waiting_rows(), core.figures().trouble
    if core.stopped is not None:
        return NotStored(f"{count} rows are not stored: {core.stopped}", count, rows or [])
    when = "before the writer ended" if seconds is None else f"within {seconds:g} s"
    why = "" if trouble is None else f"; the last trouble: {trouble}"
    return NotStored(f"{count} rows were not answered for {when}{why}", count, rows or [])


class AsyncWriter(_Rows):
    """Stores rows from a program with an event loop.

    `trade`, `quote` and `bar` put the row into a queue before they return, so that nothing is lost
    where the `await` is forgotten. To await them is to wait while the queue is full: so a fast feed
    takes the speed of the server. Rows of one ticker and kind are stored in the order of the calls.
    """

    def trade(
        self,
        ticker: str,
        timestamp: Stamp,
        price: Number,
        size: Number | None = None,
        *,
        id: str | int | None = None,
        exchange: str | None = None,
        conditions: Sequence[str] | None = None,
        tape: str | None = None,
        extra: Extra | None = None,
    ) -> Receipt:
        """Takes a trade. With the `id` of its exchange, it is stored once however often it comes."""
        lane = self._trades
        line = trade_line(ticker, timestamp, price, size, id, exchange, conditions, tape, extra)
        return Receipt(self._core, lane, self._core.take(lane, line))

    def quote(
        self,
        ticker: str,
        timestamp: Stamp,
        bid_price: Number | None,
        bid_size: Number | None,
        ask_price: Number | None,
        ask_size: Number | None,
        *,
        id: str | int | None = None,
        bid_exchange: str | None = None,
        ask_exchange: str | None = None,
        conditions: Sequence[str] | None = None,
        tape: str | None = None,
        extra: Extra | None = None,
    ) -> Receipt:
        """Takes a quote."""
        lane = self._quotes
        line = quote_line(
            *(ticker, timestamp, bid_price, bid_size, ask_price, ask_size),
            *(id, bid_exchange, ask_exchange, conditions, tape, extra),
        )
        return Receipt(self._core, lane, self._core.take(lane, line))

    def bar(
        self,
        ticker: str,
        timestamp: Stamp,
        open: Number,
        high: Number,
        low: Number,
        close: Number,
        volume: Number | None = None,
        *,
        timeframe: str,
        trade_count: Number | None = None,
        vwap: Number | None = None,
        extra: Extra | None = None,
        on_duplicate: str | None = None,
    ) -> Receipt:
        """Takes a bar of a `timeframe` such as `1Min` or `1Day`. The newest of a stamp wins."""
        lane = self._lane_of_bars(timeframe, on_duplicate)
        line = bar_line(ticker, timestamp, open, high, low, close, volume, trade_count, vwap, extra)
        return Receipt(self._core, lane, self._core.take(lane, line))

    async def flush(self, timeout: float | None = None) -> None:
        """Waits until the server has all rows that were taken before.

        Raises `RowsRefused` if it has refused some since the last `flush` and the writer has no
        `on_refused`; `NotStored` after `timeout` seconds, when the rows stay in the queue;
        `WriterStopped`.
        """
        waits = self._core.flush()
        try:
            if waits:
                futures = [asyncio.wrap_future(future) for _, future in waits]
                done, pending = await asyncio.wait(futures, timeout=timeout)
                for each in pending:
                    each.cancel()
                if pending:
                    raise _unanswered(self._core, timeout)
                for each in done:
                    each.result()
        except BaseException:
            self._core.abandon_flush()
            raise
        self._core.flushed()

    async def close(self, timeout: float | None = None) -> None:
        """`flush` within `timeout` seconds (default `close_timeout`), then the end.

        Raises `NotStored` with the rows that the server hasn't answered for. With a spool it
        doesn't: they stay there, and the log tells how many.
        """
        waited = self._core.options.close_timeout if timeout is None else timeout
        try:
            await self.flush(waited)
        except (NotStored, WriterStopped):
            await asyncio.to_thread(self._end, waited)
            if self._core.stopped is not None:
                raise
        except BaseException as error:
            await asyncio.to_thread(self._end, None)
            raise error
        else:
            await asyncio.to_thread(self._end, waited)


class SyncWriter(_Rows):
    """Stores rows from a program without an event loop. Its methods may be called by several threads.

    `trade`, `quote` and `bar` return when the row is in the queue, and wait while that is full.
    """

    def trade(
        self,
        ticker: str,
        timestamp: Stamp,
        price: Number,
        size: Number | None = None,
        *,
        id: str | int | None = None,
        exchange: str | None = None,
        conditions: Sequence[str] | None = None,
        tape: str | None = None,
        extra: Extra | None = None,
    ) -> SyncReceipt:
        """Takes a trade. With the `id` of its exchange, it is stored once however often it comes."""
        line = trade_line(ticker, timestamp, price, size, id, exchange, conditions, tape, extra)
        return self._take(self._trades, line)

    def quote(
        self,
        ticker: str,
        timestamp: Stamp,
        bid_price: Number | None,
        bid_size: Number | None,
        ask_price: Number | None,
        ask_size: Number | None,
        *,
        id: str | int | None = None,
        bid_exchange: str | None = None,
        ask_exchange: str | None = None,
        conditions: Sequence[str] | None = None,
        tape: str | None = None,
        extra: Extra | None = None,
    ) -> SyncReceipt:
        """Takes a quote."""
        line = quote_line(
            *(ticker, timestamp, bid_price, bid_size, ask_price, ask_size),
            *(id, bid_exchange, ask_exchange, conditions, tape, extra),
        )
        return self._take(self._quotes, line)

    def bar(
        self,
        ticker: str,
        timestamp: Stamp,
        open: Number,
        high: Number,
        low: Number,
        close: Number,
        volume: Number | None = None,
        *,
        timeframe: str,
        trade_count: Number | None = None,
        vwap: Number | None = None,
        extra: Extra | None = None,
        on_duplicate: str | None = None,
    ) -> SyncReceipt:
        """Takes a bar of a `timeframe` such as `1Min` or `1Day`. The newest of a stamp wins."""
        line = bar_line(ticker, timestamp, open, high, low, close, volume, trade_count, vwap, extra)
        return self._take(self._lane_of_bars(timeframe, on_duplicate), line)

    def flush(self, timeout: float | None = None) -> None:
        """As `AsyncWriter.flush`."""
        waits = self._core.flush()
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            for _, future in waits:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                try:
                    future.result(left)
                except concurrent.futures.TimeoutError:
                    raise _unanswered(self._core, timeout) from None
        except BaseException:
            self._core.abandon_flush()
            raise
        self._core.flushed()

    def close(self, timeout: float | None = None) -> None:
        """As `AsyncWriter.close`."""
        waited = self._core.options.close_timeout if timeout is None else timeout
        try:
            self.flush(waited)
        except (NotStored, WriterStopped):
            self._end(waited)
            if self._core.stopped is not None:
                raise
        except BaseException as error:
            self._end(None)
            raise error
        else:
            self._end(waited)

    def _take(self, lane: Lane, line: str) -> SyncReceipt:
        core = self._core
        if core.is_full:
            _room_sync(core)
        return SyncReceipt(core, lane, core.take(lane, line))


class Writer:
    """What `db.writer(…)` gives: `async with` it for an `AsyncWriter`, `with` it for a `SyncWriter`.

    `batch_rows` and `batch_bytes` bound a request, `batch_seconds` how long rows are gathered for
    one; `queue_rows` bounds what waits in memory. A request without an answer for `request_timeout`
    seconds is sent again; the end waits `close_timeout` seconds for all answers. With `spool`, a
    folder, each row is on disk before it counts as taken, and what is left is sent by the next writer
    with the same spool; `spool_bytes` bounds it, and `spool_sync_seconds` is how often it is forced
    to the disk (0: with each row; what a power failure may take). `on_refused` is called, by a thread
    of the writer, with each row that the server refuses. Raises `ValueError`.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        batch_rows: int = WriterOptions.batch_rows,
        batch_bytes: int = WriterOptions.batch_bytes,
        batch_seconds: float = WriterOptions.batch_seconds,
        queue_rows: int = WriterOptions.queue_rows,
        request_timeout: float = WriterOptions.request_timeout,
        close_timeout: float = WriterOptions.close_timeout,
        spool: str | os.PathLike[str] | None = None,
        spool_bytes: int = WriterOptions.spool_bytes,
        spool_sync_seconds: float = WriterOptions.spool_sync_seconds,
        on_refused: Callable[[RefusedRow], None] | None = None,
    ) -> None:
        self._connection = connection
        self._options = WriterOptions(
            batch_rows=batch_rows,
            batch_bytes=batch_bytes,
            batch_seconds=batch_seconds,
            queue_rows=queue_rows,
            request_timeout=request_timeout,
            close_timeout=close_timeout,
            spool=spool,
            spool_bytes=spool_bytes,
            spool_sync_seconds=spool_sync_seconds,
        )
        self._on_refused = on_refused
        self._async: AsyncWriter | None = None
        self._sync: SyncWriter | None = None

    async def __aenter__(self) -> AsyncWriter:
        self._async = AsyncWriter(await asyncio.to_thread(self._begin))
        return self._async

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._async is not None
        try:
            await self._async.close()
        except (NotStored, WriterStopped, RowsRefused) as ending:
            _tell_ending(ending, error)

    def __enter__(self) -> SyncWriter:
        self._sync = SyncWriter(self._begin())
        return self._sync

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._sync is not None
        try:
            self._sync.close()
        except (NotStored, WriterStopped, RowsRefused) as ending:
            _tell_ending(ending, error)

    def _begin(self) -> Core:
        if self._async is not None or self._sync is not None:
            raise RuntimeError("the writer has begun already: expected a db.writer() for each `with`")
        return Core(self._connection, self._options, self._on_refused)


def _tell_ending(ending: Exception, error: BaseException | None) -> None:
    """The program's own error must not be hidden by ours."""
    if error is None:
        raise ending
    _log.error("stock-db writer: %s", ending)
