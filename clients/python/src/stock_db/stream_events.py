"""What a stream gives: updates with typed rows, and what else a program has to know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, NamedTuple, Optional, Union

from .errors import StockDBError

__all__ = [
    "Bar",
    "BarsGap",
    "Deleted",
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
    "Snapshot",
    "Ticks",
    "Trade",
    "Trades",
    "Unreadable",
    "Update",
]


class MissedUpdates(StockDBError):
    """The rows of a `Gap`, `NewEpoch` or `BarsGap` were asked for, and nobody has them.

    `event` says what is missing. The event counts as not handled.
    """

    def __init__(self, message: str, event: Any) -> None:
        super().__init__(message)
        self.event = event


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text[:-1] if text.endswith("Z") else text)
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment


class Trade(NamedTuple):
    """A trade. `timestamp` is ISO 8601 in UTC with microseconds; `time` is the same as a datetime."""

    ticker: str
    timestamp: str
    price: Optional[float]
    size: Optional[float]
    id: Optional[str] = None
    ask_price: Optional[float] = None
    ask_size: Optional[float] = None
    #: What the writer has sent beside that, such as `exchange` and `conditions`.
    extra: Optional[Mapping[str, Any]] = None

    @property
    def time(self) -> datetime:
        return _moment(self.timestamp)


class Quote(NamedTuple):
    """A quote. `timestamp` is ISO 8601 in UTC with microseconds; `time` is the same as a datetime."""

    ticker: str
    timestamp: str
    bid_price: Optional[float]
    bid_size: Optional[float]
    ask_price: Optional[float]
    ask_size: Optional[float]

    @property
    def time(self) -> datetime:
        return _moment(self.timestamp)


class Bar(NamedTuple):
    """A bar from `timestamp` on, ISO 8601 in UTC. What a save hasn't brought is None."""

    ticker: str
    timestamp: str
    open: Optional[float]
    high: Optional[float]
    low: Optional[float]
    close: Optional[float]
    volume: Optional[float]
    vwap: Optional[float] = None
    trade_count: Optional[int] = None
    #: Where a live bar ends, exclusive; None with bars of a save.
    end: Optional[str] = None
    extra: Optional[Mapping[str, Any]] = None

    @property
    def time(self) -> datetime:
        return _moment(self.timestamp)


# Those of which there are most aren't frozen: that would double the time that one takes to be made.
@dataclass(slots=True)
class Trades:
    """Trades of one save, in their order. To iterate over it gives them."""

    ticker: str
    #: Of the ticker after this update: positions count 1, 2, 3 … in the order of commits.
    position: int
    #: Of the database in which positions count.
    epoch: str
    records: tuple[Trade, ...]
    #: With `slow="conflate"`: how many updates are folded into this one.
    conflated: int = 0

    def __iter__(self) -> Iterator[Trade]:
        return iter(self.records)


@dataclass(slots=True)
class Quotes:
    """Quotes of one save, in their order."""

    ticker: str
    position: int
    epoch: str
    records: tuple[Quote, ...]
    conflated: int = 0

    def __iter__(self) -> Iterator[Quote]:
        return iter(self.records)


@dataclass(slots=True)
class Ticks:
    """Ticks of another type, `data_type`, of one save."""

    ticker: str
    position: int
    epoch: str
    data_type: str
    records: tuple[Trade, ...]
    conflated: int = 0

    def __iter__(self) -> Iterator[Trade]:
        return iter(self.records)


@dataclass(slots=True)
class SavedBars:
    """Bars that were saved, of one length: `daily`, `hourly`, `5min` …"""

    ticker: str
    position: int
    epoch: str
    interval: str
    records: tuple[Bar, ...]
    conflated: int = 0

    def __iter__(self) -> Iterator[Bar]:
        return iter(self.records)


@dataclass(frozen=True, slots=True)
class OtherRows:
    """Rows of options, financial figures or corporate actions; `kind` tells which, as updates do."""

    ticker: str
    position: int
    epoch: str
    kind: str
    records: tuple[Mapping[str, Any], ...]
    conflated: int = 0

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self.records)


@dataclass(frozen=True, slots=True)
class Deleted:
    """Rows were deleted: of ticks `data_type` says which (`*`: all), of bars `interval`.

    `start` and `end` are inclusive bounds, None: unbounded. It has no rows.
    """

    ticker: str
    position: int
    epoch: str
    data_type: str | None
    interval: str | None
    start: str | None
    end: str | None
    ids: tuple[str, ...] | None
    removed: int

    def __iter__(self) -> Iterator[Any]:
        return iter(())


@dataclass(frozen=True, slots=True)
class Renamed:
    """All rows of the ticker `old` are those of `new`. Each of the two has such an update."""

    ticker: str
    position: int
    epoch: str
    old: str
    new: str
    renamed: int

    def __iter__(self) -> Iterator[Any]:
        return iter(())


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An update that isn't rows: an older server has stored it, or SQL. `raw` is what it says."""

    ticker: str
    position: int
    epoch: str
    kind: str
    reason: str
    raw: Any

    def __iter__(self) -> Iterator[Any]:
        raise MissedUpdates(f"update {self.position} of {self.ticker} can't be read: {self.reason}", self)


@dataclass(frozen=True, slots=True)
class LiveBars:
    """Bars that the server has made of trades, up to `position`. They are no update.

    `state` is `closed`, `updated` (a closed one has changed), or `running` (with `partial`). Keep the
    newest version of each bar, by `timestamp`.
    """

    ticker: str
    position: int
    epoch: str
    timeframe: str
    state: str
    records: tuple[Bar, ...]

    def __iter__(self) -> Iterator[Bar]:
        return iter(self.records)


@dataclass(frozen=True, slots=True)
class BarsGap:
    """Bars that begin from `start` on and before `end` (None: unbounded) may have changed: read them."""

    ticker: str
    position: int | None
    epoch: str | None
    timeframe: str
    start: str | None
    end: str | None
    reason: str

    def __iter__(self) -> Iterator[Any]:
        raise MissedUpdates(
            f"{self.timeframe} bars of {self.ticker} from {self.start} before {self.end} "
            f"aren't told ({self.reason}): read them",
            self,
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is stored of a ticker at `position`: the newest quote, trade and bars; None: there is none.

    It comes at the beginning with `snapshot=True`, and after a `Gap` or `NewEpoch`, whose updates it
    stands for.
    """

    ticker: str
    position: int
    epoch: str
    quote: Quote | None
    trade: Trade | None
    #: By interval.
    bars: Mapping[str, Bar]

    def __iter__(self) -> Iterator[Any]:
        return iter(())


@dataclass(frozen=True, slots=True)
class Gap:
    """The updates from `start` to `end`, inclusive, can't be told.

    `reason` is `not_kept`, `position_ahead`, `slow` (with `slow="gap"`), or `missed`. To iterate over
    it raises `MissedUpdates`, so that no program passes over it without having said so.
    """

    ticker: str
    start: int
    end: int
    reason: str
    epoch: str
    #: The server's own words, where it has some.
    details: str = ""

    @property
    def position(self) -> int:
        return self.end

    def __iter__(self) -> Iterator[Any]:
        told = f": {self.details}" if self.details else ""
        raise MissedUpdates(
            f"updates {self.start} to {self.end} of {self.ticker} are missing ({self.reason}){told}", self
        )


@dataclass(frozen=True, slots=True)
class NewEpoch:
    """The database is another one, or was put back: positions of before mean nothing any more.

    A `Snapshot` of each ticker follows. To iterate over it raises `MissedUpdates`.
    """

    before: str
    epoch: str

    def __iter__(self) -> Iterator[Any]:
        raise MissedUpdates(f"the database {self.before} is now {self.epoch}: begin anew", self)


@dataclass(frozen=True, slots=True)
class FeedStale:
    """Nothing has come of this ticker and type for `--stale-after` of the server. No update."""

    ticker: str
    data_type: str
    #: Of bars; else None.
    interval: str | None
    #: When the last rows were stored, and how many seconds ago that was.
    received: str
    age: float
    #: The newest stamp of the data itself.
    newest: str | None

    def __iter__(self) -> Iterator[Any]:
        return iter(())


@dataclass(frozen=True, slots=True)
class FeedAlive:
    """A feed isn't stale any more; `reason` is `update`, `session_closed` or `forgotten`."""

    ticker: str
    data_type: str
    interval: str | None
    received: str
    age: float
    newest: str | None
    reason: str

    def __iter__(self) -> Iterator[Any]:
        return iter(())


@dataclass(frozen=True, slots=True)
class FeedsLeftOut:
    """With `*`: of so many more feeds nothing was told."""

    stale: int
    alive: int

    def __iter__(self) -> Iterator[Any]:
        return iter(())


#: What moves the position of its ticker by one.
Update = Union[Trades, Quotes, Ticks, SavedBars, OtherRows, Deleted, Renamed, Unreadable]
Event = Union[
    Update, LiveBars, BarsGap, Snapshot, Gap, NewEpoch, FeedStale, FeedAlive, FeedsLeftOut
]


def read_update(frame: dict[str, Any]) -> Update:
    """A normalized frame of an update."""
    kind: str = frame["type"]
    ticker: str = frame["ticker"]
    position: int = frame["position"]
    epoch: str = frame["epoch"]
    if "unreadable" in frame:
        return Unreadable(ticker, position, epoch, kind, frame["unreadable"], frame.get("raw"))
    conflated: int = frame.get("conflated", 0)
    if kind == "trade":
        return Trades(ticker, position, epoch, _trades(ticker, frame["records"]), conflated)
    if kind == "quote":
        return Quotes(ticker, position, epoch, _quotes(ticker, frame["records"]), conflated)
    if kind == "bar":
        return SavedBars(
            *(ticker, position, epoch, frame["interval"], read_bars(ticker, frame["records"]), conflated)
        )
    if kind == "tick":
        records = _trades(ticker, frame["records"])
        return Ticks(ticker, position, epoch, frame["data_type"], records, conflated)
    if kind in ("tick_delete", "bar_delete"):
        ids = frame.get("ids")
        return Deleted(
            *(ticker, position, epoch, frame.get("data_type"), frame.get("interval")),
            *(frame.get("start"), frame.get("end"), None if ids is None else tuple(map(str, ids))),
            frame.get("removed", 0),
        )
    if kind == "ticker_rename":
        return Renamed(ticker, position, epoch, frame["old"], frame["new"], frame.get("renamed", 0))
    return OtherRows(ticker, position, epoch, kind, tuple(frame["records"]), conflated)


def _trades(ticker: str, records: list[dict[str, Any]]) -> tuple[Trade, ...]:
    found = []
    for record in records:
        get = record.get
        found.append(
            Trade(
                *(ticker, record["timestamp"], get("price"), get("size"), get("id")),
                *(get("ask_price"), get("ask_size"), get("extra")),
            )
        )
    return tuple(found)


def _quotes(ticker: str, records: list[dict[str, Any]]) -> tuple[Quote, ...]:
    found = []
    for record in records:
        get = record.get
        found.append(
            Quote(
                *(ticker, record["timestamp"], get("bid_price"), get("bid_size")),
                *(get("ask_price"), get("ask_size")),
            )
        )
    return tuple(found)


def read_bars(ticker: str, records: list[dict[str, Any]]) -> tuple[Bar, ...]:
    return tuple(_bar(ticker, record) for record in records)


def _bar(ticker: str, record: dict[str, Any]) -> Bar:
    get = record.get
    return Bar(
        *(ticker, get("timestamp") or get("date") or get("datetime") or ""),
        *(get("open"), get("high"), get("low"), get("close"), get("volume")),
        *(get("vwap"), get("trade_count"), get("end"), get("extra")),
    )


def read_snapshot(ticker: str, position: int, epoch: str, snapshot: dict[str, Any]) -> Snapshot:
    quote, trade = snapshot.get("quote"), snapshot.get("trade")
    return Snapshot(
        *(ticker, position, epoch),
        None if quote is None else _quotes(ticker, [quote])[0],
        None if trade is None else _trades(ticker, [trade])[0],
        {name: _bar(ticker, bar) for name, bar in (snapshot.get("bars") or {}).items() if bar is not None},
    )


def read_feed(frame: dict[str, Any]) -> FeedStale | FeedAlive:
    members = (
        *(frame["ticker"], frame["data_type"], frame.get("interval")),
        *(frame["received"], frame["age"], frame.get("newest")),
    )
    if frame["type"] == "feed_stale":
        return FeedStale(*members)
    return FeedAlive(*members, frame["reason"])
