"""What a stream knows, without its connection: what to ask for, what frames mean, what was handled."""

from __future__ import annotations

import json
import logging
import random
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Union
from urllib.parse import urlencode

from .errors import NotAllowed, RequestRefused, StockDBError
from .positions import Handled, StateFile
from .stream_events import (
    BarsGap,
    Event,
    FeedsLeftOut,
    Gap,
    LiveBars,
    NewEpoch,
    read_bars,
    read_feed,
    read_snapshot,
    read_update,
)

__all__ = ["Core", "EndedByOperator", "Reconnect", "Since", "StreamFigures", "StreamOptions"]

_log = logging.getLogger("stock_db")

#: Where a stream begins: the position of each ticker, or of the one ticker, or a time.
Since = Union[int, str, datetime, Mapping[str, int]]

#: Tickers of one message: as many as a server takes of a WebSocket, unless it is told otherwise.
SYMBOLS_OF_MESSAGE = 1_000
#: Characters of the positions of one message. With more, `*` comes back by time.
SINCE_CHARACTERS_MAX = 200_000
#: Versions of closed bars that are remembered of each ticker and timeframe, to know repeated ones.
TOLD_BARS_MAX = 160
#: The longest pause before a stream connects again; it begins with a tenth of a second.
PAUSE_SECONDS_MAX = 10.0
_PAUSE_SECONDS_MIN = 0.1

_NO_EVENTS = frozenset({"price", "last_positions", "replay_end", "authenticated"})
_FEEDS = frozenset({"feed_stale", "feed_alive"})
_BARS = {"bars": "closed", "updated_bars": "updated", "partial_bars": "running"}
#: Codes of error frames after which it is of no use to come back.
_REFUSED = frozenset({"bad_json", "bad_message", "unknown_action", "too_many_symbols"})
_NOT_ALLOWED = frozenset({"not_allowed", "key_not_valid"})
_CLOSE_NOT_ALLOWED, _CLOSE_BY_OPERATOR, _CLOSE_TOO_LARGE = 4401, 4010, 1009
#: Closed with this, a server wants some time.
_CLOSE_TRY_LATER = 1013
_TRY_LATER_SECONDS = 1.0


class EndedByOperator(StockDBError):
    """An operator of the server has ended this stream: it must not come back by itself."""


class Reconnect(Exception):
    """The connection is of no use any more; the stream comes back on another."""

    def __init__(self, why: str, pause: float | None = None) -> None:
        super().__init__(why)
        self.pause = pause


@dataclass(frozen=True)
class StreamFigures:
    """Counts since the stream began."""

    #: Handed to the program.
    events: int
    #: Connections after the first.
    reconnects: int
    #: Updates that came again and were left out.
    repeated: int
    #: Wait in memory.
    waiting: int
    #: Seconds since anything came; None before that.
    silence: float | None


@dataclass(frozen=True)
class StreamOptions:
    symbols: tuple[str, ...]
    types: tuple[str, ...] | None = None
    bars: tuple[str, ...] = ()
    bar_options: Mapping[str, Any] = field(default_factory=dict)
    since: Since | None = None
    epoch: str | None = None
    snapshot: bool = False
    slow: str = "disconnect"

    def __post_init__(self) -> None:
        if not self.symbols or any(not isinstance(name, str) or name == "" for name in self.symbols):
            raise ValueError(f"symbols: got {self.symbols!r}, expected names of tickers, or '*'")
        if "*" in self.symbols and (len(self.symbols) > 1 or self.bars):
            raise ValueError("symbols: got '*' with others or with bars, expected it alone")
        patterns = [name for name in self.symbols if "*" in name and name != "*"]
        if patterns:
            raise ValueError(f"symbols: got {patterns[0]!r}, expected whole names, no patterns")
        if self.slow not in ("disconnect", "conflate", "gap"):
            raise ValueError(f"slow: got {self.slow!r}, expected 'disconnect', 'conflate' or 'gap'")
        if self.bar_options and not self.bars:
            raise ValueError(f"bars: got none with {', '.join(self.bar_options)}, expected timeframes")
        if isinstance(self.since, bool) or (isinstance(self.since, int) and len(self.symbols) > 1):
            raise ValueError(f"since: got {self.since!r}, expected a position for each ticker, or a time")
        if isinstance(self.since, datetime) and self.since.tzinfo is None:
            raise ValueError(f"since: got {self.since!r} without a zone, expected a datetime with one")


def names_of(value: str | Iterable[str] | None, name: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    found = tuple(value)
    if any(not isinstance(each, str) for each in found):
        raise ValueError(f"{name}: got {value!r}, expected texts")
    return found


class _Item:
    """An event that waits, or a place that the stream has come to."""

    __slots__ = ("bars", "event", "fresh", "positions")

    def __init__(
        self,
        event: Event | None,
        positions: Mapping[str, int],
        bars: tuple[str, dict[str, int]] | None = None,
        fresh: Handled | None = None,
    ) -> None:
        self.event = event
        #: Handled with it.
        self.positions = positions
        #: Live bars that are handled with it: the series, and their checksums by stamp.
        self.bars = bars
        #: The database is another one from here on.
        self.fresh = fresh


class Core:
    """Of one stream. Not safe for several threads."""

    def __init__(self, options: StreamOptions, state: StateFile | None) -> None:
        self.options = options
        self.state = state
        self.epoch: str | None = options.epoch
        #: By ticker: what came last. What is handled may be behind.
        self.reached: dict[str, int] = {}
        self._handled = Handled()
        self._items: deque[_Item] = deque()
        self._current: _Item | None = None
        self._without_snapshot: set[str] = set()
        self._told_bars: dict[str, dict[str, int]] = {}
        self._is_all = options.symbols == ("*",)
        #: All positions of `*` are known: other tickers are at 0.
        self._knows_all = False
        self._since_time: str | None = None
        self._last_beat: str | None = None
        self._epoch_told = False
        #: Where something was missing, once: it is asked for again before it is told as a gap.
        self._missing: tuple[str, int] | None = None
        self._pause = _PAUSE_SECONDS_MIN
        self._connections = 0
        self._events = 0
        self._repeated = 0
        self._begin()

    # What the program has.

    def next(self) -> Event | None:
        """The next event; the one before it is handled then. None: more has to come first."""
        self.done()
        items = self._items
        while items:
            item = items.popleft()
            if item.event is not None:
                self._current = item
                self._events += 1
                return item.event
            self._note(item)
        return None

    def done(self) -> None:
        """The event that the program has is handled."""
        item = self._current
        if item is not None:
            self._current = None
            self._note(item)
        state = self.state
        if state is not None and state.error is not None:
            error, state.error = state.error, None
            raise error

    @property
    def positions(self) -> dict[str, int]:
        """What is handled, by ticker."""
        return self._handled.positions

    @property
    def handled_epoch(self) -> str | None:
        return self._handled.epoch

    def figures(self, silence: float | None) -> StreamFigures:
        waiting = sum(1 for item in self._items if item.event is not None)
        return StreamFigures(
            self._events, max(0, self._connections - 1), self._repeated, waiting, silence
        )

    # What the connection needs.

    def path(self) -> str:
        query = {"symbols": "", "frames": "normalized", "batch": "true", "slow": self.options.slow}
        return f"/ws?{urlencode(query)}"

    def messages(self) -> Iterator[str]:
        """What a new connection sends first."""
        self._connections += 1
        self._epoch_told = False
        if self._is_all:
            yield self._message(["*"], since=self._since_of_all())
            return
        known, plain, anew = self._starts()
        for chunk in _chunks(known):
            yield self._message(chunk, since={ticker: self.reached[ticker] for ticker in chunk})
        for chunk in _chunks(plain):
            yield self._message(chunk, since=self._since_time, snapshot=self.options.snapshot)
        for chunk in _chunks(anew):
            yield self._message(chunk, snapshot=True)

    def closed(self, code: int, reason: str) -> float | None:
        """Returns the least pause before the next connection. Raises if there must be none."""
        if code == _CLOSE_NOT_ALLOWED:
            raise NotAllowed(f"stream: {reason or 'the key is not valid'}", 401, {})
        if code == _CLOSE_BY_OPERATOR:
            raise EndedByOperator(f"stream: {reason or 'an operator has ended it'}")
        if code == _CLOSE_TOO_LARGE:
            why = reason or "the message was too large"
            raise RequestRefused(f"stream: {why}; name fewer tickers", 413, {})
        return _TRY_LATER_SECONDS if code == _CLOSE_TRY_LATER else None

    def pause(self, least: float | None) -> float:
        """Seconds until the next try; longer each time, until something has come."""
        seconds = self._pause * (0.5 + random.random() / 2)
        self._pause = min(PAUSE_SECONDS_MAX, self._pause * 2)
        return seconds if least is None else max(seconds, least)

    def feed(self, text: str | bytes) -> None:
        """Takes a message. Raises `Reconnect`, `NotAllowed`, `RequestRefused`, `EndedByOperator`."""
        frame = json.loads(text)
        if frame["type"] == "batch":
            for each in frame["updates"]:
                self._take(each)
        else:
            self._take(frame)

    # The beginning.

    def _begin(self) -> None:
        options, state = self.options, self.state
        since = options.since
        if state is not None and state.exists:
            self._handled = state.handled
            self.epoch = self._handled.epoch
            wanted = None if self._is_all else set(options.symbols)
            kept = self._handled.positions.items()
            self.reached = {name: at for name, at in kept if wanted is None or name in wanted}
            self._without_snapshot = set(self._handled.without_snapshot)
            self._told_bars = {series: dict(told) for series, told in self._handled.bars.items()}
            self._knows_all = self._is_all
        elif isinstance(since, int):
            self.reached = {options.symbols[0]: since}
        if isinstance(since, Mapping):
            for name, at in since.items():
                self.reached.setdefault(name, int(at))
            self._knows_all = self._is_all
        if state is not None and not state.exists:
            self._handled = state.handled
            self._handled.epoch = self.epoch
            self._handled.positions.update(self.reached)
        elif state is None:
            self._handled = Handled(self.epoch, dict(self.reached))
        if isinstance(since, datetime):
            self._since_time = since.isoformat()
        elif isinstance(since, str):
            self._since_time = since

    def _starts(self) -> tuple[list[str], list[str], list[str]]:
        """Tickers whose position is known, that begin now, and whose snapshot is missing."""
        anew = [name for name in self.options.symbols if name in self._without_snapshot]
        rest = [name for name in self.options.symbols if name not in self._without_snapshot]
        known = [name for name in rest if name in self.reached]
        return known, [name for name in rest if name not in self.reached], anew

    def _since_of_all(self) -> Any:
        if not self._knows_all:
            return self._since_time
        size = sum(map(len, self.reached)) + 12 * len(self.reached)
        if size > SINCE_CHARACTERS_MAX and self._last_beat is not None:
            # What comes again of that time is known by its position.
            return self._last_beat
        return dict(self.reached)

    def _message(self, names: list[str], since: Any = None, *, snapshot: bool = False) -> str:
        options = self.options
        message: dict[str, Any] = {"action": "subscribe", "symbols": names, "snapshot": snapshot}
        if options.types is not None:
            message["types"] = list(options.types)
        if options.bars:
            message["bars"] = list(options.bars)
            message.update(options.bar_options)
        if since is not None:
            message["since"] = since
            if isinstance(since, dict) and self.epoch is not None:
                message["epoch"] = self.epoch
        return json.dumps(message, separators=(",", ":"))

    # Frames.

    def _take(self, frame: dict[str, Any]) -> None:
        kind: str = frame["type"]
        epoch = frame.get("epoch")
        if epoch is not None and epoch != self.epoch:
            self._new_epoch(epoch)
        if kind == "heartbeat":
            self._heartbeat(frame)
        elif kind in _BARS:
            self._bars(frame, _BARS[kind])
        elif kind == "bars_gap":
            self._bars_gap(frame)
        elif kind == "gap":
            self._gap(frame["ticker"], frame["from"], frame["to"], frame["reason"])
        elif kind == "snapshot":
            self._snapshot(frame["ticker"], frame["position"], frame)
        elif kind == "recovery":
            self._recovery(frame)
        elif kind == "subscription":
            # It is served: the next trouble is a new one.
            self._pause = _PAUSE_SECONDS_MIN
        elif kind == "error":
            self._error(frame)
        elif kind in _FEEDS:
            self._items.append(_Item(read_feed(frame), {}))
        elif kind == "feeds_left_out":
            self._items.append(_Item(FeedsLeftOut(frame["stale"], frame["alive"]), {}))
        elif kind not in _NO_EVENTS:
            self._update(frame)

    def _update(self, frame: dict[str, Any]) -> None:
        ticker, position = frame["ticker"], frame["position"]
        last = self._last(ticker)
        if last is not None:
            if position <= last:
                self._repeated += 1
                return
            if position != last + 1 and self._is_strict and "conflated" not in frame:
                self._miss(ticker, last + 1, position - 1)
        self.reached[ticker] = position
        self._items.append(_Item(read_update(frame), {ticker: position}))

    @property
    def _is_strict(self) -> bool:
        """Each position of a ticker has to come."""
        options = self.options
        return options.types is None and not options.bars and options.slow == "disconnect"

    def _last(self, ticker: str) -> int | None:
        last = self.reached.get(ticker)
        return 0 if last is None and self._knows_all else last

    def _miss(self, ticker: str, start: int, end: int) -> None:
        """Something didn't come that should have: it is asked for again, and then told."""
        if self._missing != (ticker, start):
            self._missing = (ticker, start)
            self.reached.setdefault(ticker, start - 1)
            raise Reconnect(f"updates {start} to {end} of {ticker} didn't come")
        self._missing = None
        self._gap(ticker, start, end, "missed")

    def _heartbeat(self, frame: dict[str, Any]) -> None:
        moved: dict[str, int] = {}
        self._last_beat = frame["timestamp"]
        for ticker, position in frame["positions"].items():
            last = self._last(ticker)
            if last is not None and position > last and self._is_strict:
                self._miss(ticker, last + 1, position)
            if last is None or position > last or ticker not in self.reached:
                self.reached[ticker] = moved[ticker] = position
        if self._is_all:
            self._knows_all = True
        if moved:
            self._items.append(_Item(None, moved))

    def _gap(self, ticker: str, start: int, end: int, reason: str) -> None:
        last = self._last(ticker)
        start = start if last is None else max(start, last + 1)
        if end < start:
            return
        self.reached[ticker] = end
        if reason == "not_kept":
            self._without_snapshot.add(ticker)
        event = Gap(ticker, start, end, reason, self.epoch or "")
        self._items.append(_Item(event, {ticker: end}))

    def _snapshot(self, ticker: str, position: int, members: dict[str, Any]) -> None:
        last = self._last(ticker)
        is_missing = ticker in self._without_snapshot
        if is_missing and last is not None and position > last:
            # The connection broke between the gap and its snapshot: what came since is in it.
            self._gap(ticker, last + 1, position, "not_kept")
        self._without_snapshot.discard(ticker)
        self.reached[ticker] = max(position, last or 0)
        event = read_snapshot(ticker, position, self.epoch or "", members)
        self._items.append(_Item(event, {ticker: position}))

    def _recovery(self, frame: dict[str, Any]) -> None:
        ticker, position = frame["ticker"], frame["position"]
        if frame["recovered"]:
            if ticker not in self.reached:
                self.reached[ticker] = position
                self._items.append(_Item(None, {ticker: position}))
            return
        code: str = frame["code"]
        last = self.reached.get(ticker)
        if not (code == "epoch_changed" and self._epoch_told):
            start = position if last is None else min(last + 1, position)
            self.reached.pop(ticker, None)
            event = Gap(ticker, start, position, code, self.epoch or "", frame.get("reason", ""))
            self._items.append(_Item(event, {}))
        self.reached[ticker] = position
        self._without_snapshot.discard(ticker)
        snapshot = read_snapshot(ticker, position, self.epoch or "", frame["snapshot"])
        self._items.append(_Item(snapshot, {ticker: position}))

    def _new_epoch(self, epoch: str) -> None:
        before, self.epoch = self.epoch, epoch
        fresh = Handled(epoch)
        if before is None:
            # The first that is heard of: positions that the program has given are taken to be of it.
            fresh.positions.update(self._handled.positions)
            self._items.append(_Item(None, {}, fresh=fresh))
            return
        self.reached = {}
        self._told_bars = {}
        self._without_snapshot = set()
        self._knows_all = False
        self._since_time = None
        self._epoch_told = True
        self._items.append(_Item(NewEpoch(before, epoch), {}, fresh=fresh))

    def _error(self, frame: dict[str, Any]) -> None:
        code, text = frame.get("code", ""), frame.get("error", "")
        if code in _NOT_ALLOWED:
            raise NotAllowed(f"stream: {text}", 401 if code == "key_not_valid" else 403, frame)
        if code in _REFUSED:
            raise RequestRefused(f"stream: {text}", 400, frame)
        if code == "ended_by_operator":
            raise EndedByOperator(f"stream: {text}")
        raise Reconnect(f"{code}: {text}", _TRY_LATER_SECONDS)

    # Live bars.

    def _bars(self, frame: dict[str, Any], state: str) -> None:
        ticker, timeframe, records = frame["ticker"], frame["timeframe"], frame["records"]
        told: tuple[str, dict[str, int]] | None = None
        if state != "running":
            series = f"{ticker} {timeframe}"
            before = self._told_bars.setdefault(series, {})
            sums = {each["timestamp"]: _checksum(each) for each in records}
            fresh = [each for each in records if before.get(each["timestamp"]) != sums[each["timestamp"]]]
            self._repeated += len(records) - len(fresh)
            if not fresh:
                return
            _remember(before, sums)
            records, told = fresh, (series, sums)
        event = LiveBars(
            *(ticker, frame["position"], frame["epoch"], timeframe, state, read_bars(ticker, records))
        )
        self._items.append(_Item(event, {}, told))

    def _bars_gap(self, frame: dict[str, Any]) -> None:
        event = BarsGap(
            *(frame["ticker"], frame.get("position"), frame.get("epoch"), frame["timeframe"]),
            *(frame.get("start"), frame.get("end"), frame["reason"]),
        )
        self._items.append(_Item(event, {}))

    # What is handled.

    def _note(self, item: _Item) -> None:
        if item.fresh is not None:
            self._handled = item.fresh
            if self.state is not None:
                self.state.handled = item.fresh
        handled = self._handled
        if item.positions:
            handled.positions.update(item.positions)
        if item.bars is not None:
            series, sums = item.bars
            _remember(handled.bars.setdefault(series, {}), sums)
        event = item.event
        if isinstance(event, Gap) and event.reason == "not_kept":
            handled.without_snapshot.add(event.ticker)
        elif event is not None and handled.without_snapshot and type(event).__name__ == "Snapshot":
            handled.without_snapshot.discard(event.ticker)  # type: ignore[union-attr]
        if self.state is not None:
            self.state.version += 1


def _remember(told: dict[str, int], sums: Mapping[str, int]) -> None:
    for stamp, checksum in sums.items():
        told.pop(stamp, None)
        told[stamp] = checksum
    while len(told) > TOLD_BARS_MAX:
        del told[next(iter(told))]


def _checksum(record: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(record, sort_keys=True).encode())


def _chunks(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), SYMBOLS_OF_MESSAGE):
        yield names[start : start + SYMBOLS_OF_MESSAGE]
