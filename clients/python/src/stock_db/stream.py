"""Streams: every update once and in order, over lost connections and restarts of the server."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import ssl
import time
import weakref
from collections.abc import AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

import websockets.asyncio.client
import websockets.exceptions
import websockets.sync.client

from .connection import Connection
from .errors import ConnectionLost, NotAllowed, RequestRefused
from .positions import STATE_SECONDS, StateFile
from .stream_core import Core, EndedByOperator, Reconnect, Since, StreamFigures, StreamOptions, names_of
from .stream_events import (
    Bar,
    BarsGap,
    Deleted,
    Event,
    FeedAlive,
    FeedStale,
    FeedsLeftOut,
    Gap,
    LiveBars,
    MissedUpdates,
    NewEpoch,
    OtherRows,
    Quote,
    Quotes,
    Renamed,
    SavedBars,
    Snapshot,
    Ticks,
    Trade,
    Trades,
    Unreadable,
    Update,
)

if TYPE_CHECKING:
    from .client import Client
    from .rows import Rows

__all__ = [
    "Bar",
    "BarsGap",
    "Deleted",
    "EndedByOperator",
    "Event",
    "FeedAlive",
    "FeedStale",
    "FeedsLeftOut",
    "Gap",
    "LiveBars",
    "MissedUpdates",
    "NewEpoch",
    "OtherRows",
    "Quote",
    "Quotes",
    "Renamed",
    "SavedBars",
    "Since",
    "Snapshot",
    "Stream",
    "StreamFigures",
    "Ticks",
    "Trade",
    "Trades",
    "Unreadable",
    "Update",
    "history_then_live",
]

_log = logging.getLogger("stock_db")

#: Without any message for so long, a connection counts as dead. Heartbeats come each second, unless
#: the server's `--heartbeat-interval` is another.
SILENCE_SECONDS = 15.0
#: The first connection must be there within this time; later ones are tried for as long as it takes.
BEGIN_SECONDS = 60.0
#: Messages that wait in memory; then the server is left to its `slow` policy.
_MESSAGES_MAX = 16
_CLOSE_SECONDS = 2.0
_CLOSE_ABNORMAL = 1006


class Stream:
    """Live updates of tickers, for `async for` or `for`; made by `db.stream(…)`.

    It connects with the first update that is asked for, and comes back by itself whenever the
    connection ends. An event counts as handled when the program asks for the next one, or calls
    `handled()`. `async with` or `with` closes it at the end of a block.
    """

    def __init__(
        self,
        connection: Connection,
        symbols: str | Iterable[str],
        *,
        types: str | Iterable[str] | None = None,
        bars: str | Iterable[str] | None = None,
        partial: str | None = None,
        empty_bars: bool | None = None,
        source: str | None = None,
        calendar: str | None = None,
        session: str | None = None,
        since: Since | None = None,
        epoch: str | None = None,
        snapshot: bool = False,
        slow: str = "disconnect",
        state: str | os.PathLike[str] | None = None,
        state_seconds: float = STATE_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
        begin_seconds: float = BEGIN_SECONDS,
    ) -> None:
        bar_options = {
            **{"partial": partial, "empty_bars": empty_bars, "source": source},
            **{"calendar": calendar, "session": session},
        }
        options = StreamOptions(
            symbols=names_of(symbols, "symbols"),
            types=None if types is None else names_of(types, "types"),
            bars=names_of(bars, "bars"),
            bar_options={name: value for name, value in bar_options.items() if value is not None},
            since=since,
            epoch=epoch,
            snapshot=snapshot,
            slow=slow,
        )
        for name, seconds in (("silence_seconds", silence_seconds), ("begin_seconds", begin_seconds)):
            if not seconds > 0:
                raise ValueError(f"{name}: got {seconds}, expected more than 0")
        self._connection = connection
        self._silence = silence_seconds
        self._begin_seconds = begin_seconds
        self._state = None if state is None else StateFile(state, state_seconds)
        self._core = Core(options, self._state)
        self._begun: float | None = None
        self._is_connected_once = False
        self._last_message: float | None = None
        self._waits_since: float | None = None
        self._least_pause: float | None = None
        self._is_closed = False
        self._socket: websockets.asyncio.client.ClientConnection | None = None
        self._sync_socket: websockets.sync.client.ClientConnection | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._end: weakref.finalize[Any, Any] | None = None

    # What both forms have.

    @property
    def positions(self) -> dict[str, int]:
        """Of each ticker, up to which position the program has handled its updates."""
        return dict(self._core.positions)

    @property
    def epoch(self) -> str | None:
        """Of the database in which `positions` count. None before anything has come."""
        return self._core.handled_epoch or self._core.epoch

    @property
    def figures(self) -> StreamFigures:
        """Counts, and how long nothing has come."""
        last = self._last_message
        return self._core.figures(None if last is None else time.monotonic() - last)

    def handled(self) -> None:
        """Says that the event in hand is done, before the next one is asked for."""
        self._core.done()

    # With an event loop.

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while not self._is_closed:
            event = self._core.next()
            if event is not None:
                return event
            await self._receive()
        raise StopAsyncIteration

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends it. The state file has what is handled then; the event in hand isn't."""
        self._is_closed = True
        await self._leave()
        if self._end is not None:
            await asyncio.to_thread(self._end)

    async def _receive(self) -> None:
        try:
            socket = self._socket or await self._connect()
            self._waits_since = time.monotonic()
            text = await socket.recv()
            self._waits_since = None
            self._last_message = time.monotonic()
            self._core.feed(text)
        except Reconnect as error:
            self._lost(str(error), error.pause)
            await self._leave()
        except (OSError, websockets.exceptions.WebSocketException) as error:
            await self._leave()
            self._failed(error)
        except asyncio.CancelledError:
            # Who waits for an update for some time only may ask again: nothing was taken yet.
            self._waits_since = None
            raise
        except BaseException:
            await self._leave()
            raise

    async def _connect(self) -> websockets.asyncio.client.ClientConnection:
        seconds = self._pause()
        if seconds > 0:
            await asyncio.sleep(seconds)
        connection = self._connection
        arguments = self._arguments(websockets.asyncio.client.connect.__init__)
        if connection.unix_socket is None:
            socket = await websockets.asyncio.client.connect(self._url(), **arguments)
        else:
            socket = await websockets.asyncio.client.unix_connect(
                connection.unix_socket, self._url(), **arguments
            )
        self._opened()
        try:
            for message in self._core.messages():
                await socket.send(message)
        except BaseException:
            socket.transport.abort()
            raise
        self._socket = socket
        self._look()
        return socket

    def _look(self) -> None:
        """Ends a connection that is waited for in vain."""
        socket, waits = self._socket, self._waits_since
        if socket is None:
            return
        if waits is not None and time.monotonic() - waits > self._silence:
            _log.warning("stock-db stream: nothing has come for %g s, connecting again", self._silence)
            socket.transport.abort()
            return
        self._watch = asyncio.get_running_loop().call_later(self._silence / 4, self._look)

    async def _leave(self) -> None:
        socket, self._socket = self._socket, None
        self._waits_since = None
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if socket is not None:
            try:
                await asyncio.wait_for(socket.close(), _CLOSE_SECONDS)
            except (asyncio.TimeoutError, OSError, websockets.exceptions.WebSocketException):
                socket.transport.abort()

    # Without an event loop.

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        while not self._is_closed:
            event = self._core.next()
            if event is not None:
                return event
            self._receive_sync()
        raise StopIteration

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends it, also from another thread. The state file has what is handled then; the event in
        hand isn't."""
        self._is_closed = True
        self._leave_sync()
        if self._end is not None:
            self._end()

    def _receive_sync(self) -> None:
        try:
            socket = self._sync_socket or self._connect_sync()
            text = socket.recv(timeout=self._silence)
            self._last_message = time.monotonic()
            self._core.feed(text)
        except Reconnect as error:
            self._lost(str(error), error.pause)
            self._leave_sync()
        except TimeoutError as error:
            self._lost(str(error) or f"nothing has come for {self._silence:g} s", None)
            self._leave_sync()
        except (OSError, websockets.exceptions.WebSocketException) as error:
            self._leave_sync()
            self._failed(error)
        except BaseException:
            self._leave_sync()
            raise

    def _connect_sync(self) -> websockets.sync.client.ClientConnection:
        seconds = self._pause()
        if seconds > 0:
            time.sleep(seconds)
        connection = self._connection
        arguments = self._arguments(websockets.sync.client.connect)
        if connection.unix_socket is None:
            opening = websockets.sync.client.connect(self._url(), **arguments)
        else:
            opening = websockets.sync.client.unix_connect(connection.unix_socket, self._url(), **arguments)
        # Newer versions want it entered.
        socket: websockets.sync.client.ClientConnection = opening.__enter__()
        self._sync_socket = socket
        self._opened()
        for message in self._core.messages():
            socket.send(message)
        return socket

    def _leave_sync(self) -> None:
        socket, self._sync_socket = self._sync_socket, None
        if socket is not None:
            with contextlib.suppress(OSError, websockets.exceptions.WebSocketException):
                socket.close()

    # Connections.

    def _url(self) -> str:
        return self._connection.ws_url + self._core.path()

    def _arguments(self, connect: Any) -> dict[str, Any]:
        connection = self._connection
        found: dict[str, Any] = {
            "additional_headers": connection.headers,
            "open_timeout": connection.connect_timeout,
            "close_timeout": _CLOSE_SECONDS,
            "max_queue": _MESSAGES_MAX,
            "compression": None,
            # An update is as large as the save that made it.
            "max_size": None,
        }
        if connection.tls is not None:
            found["ssl"] = connection.tls
        known = inspect.signature(connect).parameters
        # Heartbeats tell more than pings do, and come also while a slow program doesn't read.
        if "ping_interval" in known:
            found["ping_interval"] = None
        # As all requests of this package, straight to the server.
        if "proxy" in known:
            found["proxy"] = None
        return found

    def _pause(self) -> float:
        """Seconds before the next connection is tried."""
        if self._begun is None:
            self._begun = time.monotonic()
            if self._state is not None:
                self._state.begin()
                # Whatever ends the program, but a kill.
                self._end = weakref.finalize(self, self._state.close)
            return 0.0
        least, self._least_pause = self._least_pause, None
        return self._core.pause(least)

    def _opened(self) -> None:
        self._is_connected_once = True
        self._last_message = time.monotonic()

    def _failed(self, error: Exception) -> None:
        """The connection has ended, or there was none. Raises where it's of no use to come back."""
        if isinstance(error, ssl.SSLCertVerificationError) and not self._is_connected_once:
            raise ConnectionLost(f"stream: {self._connection.url}: {error}") from error
        if isinstance(error, websockets.exceptions.InvalidStatus):
            self._refused(error)
            return
        if isinstance(error, websockets.exceptions.ConnectionClosed):
            received = error.rcvd
            code = received.code if received is not None else _CLOSE_ABNORMAL
            reason = received.reason if received is not None else ""
            self._lost(f"closed with {code} {reason}".rstrip(), self._core.closed(code, reason))
            return
        self._lost(f"{type(error).__name__}: {error}", None)

    def _refused(self, error: websockets.exceptions.InvalidStatus) -> None:
        response = error.response
        status = response.status_code
        text = (response.body or b"").decode(errors="replace")[:500]
        if status in (401, 403):
            raise NotAllowed(f"stream: {status}: {text}", status, {"error": text}) from None
        if status not in (408, 425, 429, 500, 502, 503, 504):
            raise RequestRefused(f"stream: {status}: {text}", status, {"error": text}) from None
        try:
            least = float(response.headers.get("Retry-After", ""))
        except ValueError:
            least = None
        self._lost(f"{status}: {text}", least)

    def _lost(self, why: str, least_pause: float | None) -> None:
        self._least_pause = least_pause
        if not self._is_connected_once and self._begun is not None:
            waited = time.monotonic() - self._begun
            if waited > self._begin_seconds:
                raise ConnectionLost(
                    f"stream: no connection to {self._connection.url} within {self._begin_seconds:g} s "
                    f"(begin_seconds): {why}"
                )
            _log.warning("stock-db stream: no connection to %s yet: %s", self._connection.url, why)
        else:
            _log.info("stock-db stream: connecting again: %s", why)


#: What a read is followed by.
_LIVE_TYPES = {"trades": ("trade",), "quotes": ("quote",), "bars": ()}


def history_then_live(
    client: Client,
    symbols: str | Iterable[str],
    *,
    of: str = "trades",
    timeframe: str | None = None,
    types: str | Iterable[str] | None = None,
    bars: str | Iterable[str] | None = None,
    slow: str = "disconnect",
    state: str | os.PathLike[str] | None = None,
    **question: Any,
) -> tuple[Rows, Stream]:
    """Rows that are stored, and the stream of what comes just after them: no hole, no overlap.

    `of` is `trades`, `quotes` or `bars`, the last with a `timeframe`; `question` is what that read
    takes beside, such as `start`. The rows are read at once, whole, as of one moment. The stream has
    updates of the same kind, or of `types`, from the position of that moment on; with `of="bars"` the
    bars that the server makes of trades, where the newest one of the rows may still have been
    running: what the stream tells of the same stamp is its newer version. Bars that are saved come
    with `types=["bar"]`. Where `state` names a file that is there already, the stream goes on from
    that, which may be before the rows end. Raises `ValueError`, and what the read raises.
    """
    if of not in _LIVE_TYPES:
        raise ValueError(f"of: got {of!r}, expected 'trades', 'quotes' or 'bars'")
    if (timeframe is not None) != (of == "bars"):
        raise ValueError(f"timeframe: got {timeframe!r} of {of}, expected one with bars alone")
    for name in ("limit", "layout", "with_position"):
        if name in question:
            raise ValueError(f"{name}: got one, expected none: all rows are read, as of one moment")
    if timeframe is not None:
        question["timeframe"] = timeframe
    asked = symbols if isinstance(symbols, str) else tuple(symbols)
    names = names_of(asked, "symbols")
    # Before anything is read.
    StreamOptions(names, slow=slow)
    rows: Rows = getattr(client, of)(asked, with_position=True, **question)
    rows.to_arrow()
    # A ticker without a position has had no update yet.
    positions = rows.positions if names == ("*",) else {name: rows.positions.get(name, 0) for name in names}
    if types is None and bars is None:
        bars = None if timeframe is None else [timeframe]
        types = _LIVE_TYPES[of] or None
    shared = ("calendar", "session", "source") if bars is not None else ()
    stream = Stream(
        client.connection,
        names,
        types=types,
        bars=bars,
        **{name: question[name] for name in shared if question.get(name) is not None},
        since=positions,
        epoch=rows.epoch,
        slow=slow,
        state=state,
    )
    return rows, stream
