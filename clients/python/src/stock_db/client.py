"""The client: one object for a server, whose methods are its questions and saves."""

from __future__ import annotations

import datetime as dt
import importlib
import os
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from .connection import DEFAULT_RETRIES, DEFAULT_TIMEOUT, Connection, resolve
from .frames import Index
from .http import Transport
from .questions import (
    Symbols,
    chunks,
    duration,
    is_one,
    joined,
    sql_parameter,
    sql_table,
    symbol_parameters,
    ticker_table,
    without_none,
)
from .rows import Question, Rows, TableRows
from .saves import Saved, save
from .stamps import Moment, date_text, moment, zone_name

if TYPE_CHECKING:
    from types import TracebackType

    # Loaded when somebody asks for them: most programs only read.
    from .stream import Since, Stream
    from .writer import RefusedRow, Writer

__all__ = ["Client", "connect"]

Zone = str | dt.tzinfo
Sort = Literal["asc", "desc"]
Adjustment = Literal["raw", "split", "dividend", "all"]

#: Tickers of one request of `/v1/latest`, of `/v1/snapshots`.
LATEST_MAX = 2_000
SNAPSHOTS_MAX = 500
#: Tickers of a page of `/v1/tickers`, with their series, and without.
SERIES_PAGE = 50
TICKERS_PAGE = 10_000
#: What `regular` and `extended` are hours of, where nothing else is said.
DEFAULT_CALENDAR = "XNYS"


def connect(
    url: str | None = None,
    *,
    key: str | None = None,
    verify: bool | str | os.PathLike[str] | ssl.SSLContext = True,
    timeout: float = DEFAULT_TIMEOUT,
    retries: int = DEFAULT_RETRIES,
    compress: bool | None = None,
) -> Client:
    """A client of the server at `url`. Nothing is sent yet.

    `url` is `http://…`, `https://…` or `unix:/path/of/a/socket`; without it the environment variable
    `STOCK_DB_URL`, else `http://localhost:8080`. `key` is a key of the server; without it that of
    `STOCK_DB_KEY`, if there is one. `verify` is, for https, a file or folder of certificates to
    trust, an `ssl.SSLContext`, or False for no check at all. `timeout` is in seconds: until an answer
    begins, and between two pieces of it. `retries` is how often a request is sent again that is safe
    to repeat, after a lost connection or a busy server. `compress` says whether answers and saves are
    packed; None means all but those of this machine. Raises `ValueError`.
    """
    return Client(
        resolve(url, key=key, verify=verify, timeout=timeout, retries=retries, compress=compress)
    )


class Client:
    """Made by `connect`. Threads may share one.

    Questions give `Rows`, which are read when they are wanted. `start` and `end` are inclusive, and
    a date as `end` is the whole day; they take text, dates, datetimes with a zone, stamps of pandas
    and numpy, and numbers since 1970. `tz` is the zone of dates and of times that have none, and the
    one in which stamps are shown. `limit` counts rows over all tickers; pages are followed.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._transport = Transport(connection)

    def __repr__(self) -> str:
        return f"<stock_db.Client of {self.connection.unix_socket or self.connection.url}>"

    def bars(
        self,
        symbols: Symbols,
        *,
        timeframe: str = "1Day",
        start: Moment | None = None,
        end: Moment | None = None,
        tz: Zone | None = None,
        columns: str | Iterable[str] | None = None,
        adjustment: Adjustment | None = None,
        adjust_to: str | dt.date | None = None,
        calendar: str | None = None,
        session: str | None = None,
        source: str | None = None,
        price: Literal["mid", "bid", "ask"] | None = None,
        align: Literal["clock", "session"] | None = None,
        fill: Literal["none", "null", "zero", "previous", "linear"] | None = None,
        indicators: str | Iterable[str] | None = None,
        sale_conditions: Literal["ignore", "us"] | None = None,
        layout: Literal["long", "wide"] | None = None,
        limit: int | None = None,
        sort: Sort | None = None,
        with_position: bool = False,
    ) -> Rows:
        """Bars of any length, stored or made of smaller bars, trades or quotes.

        `timeframe` is `1Min`, `5Min`, `1Hour`, `1Day`, `1Week`, `90s`, … `session` is `regular`,
        `extended` or `09:30-16:00`; the first two are hours of `calendar`, which is then New York's
        (`XNYS`) unless it is given. `layout="wide"` gives a matrix: a row for each stamp, a column
        for each ticker, of the one column in `columns`, or of closes. `indicators` are names such as
        `sma_20`. All else is as in the server's pages on bars.
        """
        if session in ("regular", "extended") and calendar is None:
            calendar = DEFAULT_CALENDAR
        parameters = {
            **self._span(symbols, start, end, tz),
            **{"timeframe": timeframe, "adjustment": adjustment, "calendar": calendar},
            **{"session": session, "source": source, "price": price, "align": align, "fill": fill},
            **{"adjust_to": None if adjust_to is None else date_text("adjust_to", adjust_to)},
            **{"indicators": joined("indicators", indicators), "sale_conditions": sale_conditions},
            **{"layout": layout, "sort": sort, "columns": _listed("columns", columns)},
            **{"with_position": with_position or None},
        }
        if layout == "wide":
            if limit is not None:
                raise ValueError("limit: a matrix has none, expected none")
            return self._rows("/v1/bars", parameters, Index(("timestamp",)), is_paged=False)
        return self._rows("/v1/bars", parameters, _by_time(symbols), limit)

    def trades(
        self,
        symbols: Symbols,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        tz: Zone | None = None,
        columns: str | Iterable[str] | None = None,
        limit: int | None = None,
        sort: Sort | None = None,
        with_position: bool = False,
    ) -> Rows:
        """Trades: price, size, id, exchange, conditions (text of JSON), tape."""
        parameters = {
            **self._span(symbols, start, end, tz),
            **{"sort": sort, "columns": _listed("columns", columns), "with_position": with_position or None},
        }
        return self._rows("/v1/trades", parameters, _by_time(symbols), limit)

    def quotes(
        self,
        symbols: Symbols,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        tz: Zone | None = None,
        columns: str | Iterable[str] | None = None,
        limit: int | None = None,
        sort: Sort | None = None,
        with_position: bool = False,
    ) -> Rows:
        """Quotes: price, size and exchange of bid and ask, conditions (text of JSON), tape."""
        parameters = {
            **self._span(symbols, start, end, tz),
            **{"sort": sort, "columns": _listed("columns", columns), "with_position": with_position or None},
        }
        return self._rows("/v1/quotes", parameters, _by_time(symbols), limit)

    def asof(
        self,
        symbols: Symbols,
        left: str = "trades",
        right: str = "quotes",
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        tz: Zone | None = None,
        columns: str | Iterable[str] | None = None,
        right_columns: str | Iterable[str] | None = None,
        direction: Literal["backward", "forward", "nearest"] | None = None,
        tolerance: str | dt.timedelta | None = None,
        allow_exact: bool | None = None,
        limit: int | None = None,
    ) -> Rows:
        """Rows of `left`, each with the row of `right` of its ticker that was the newest by then.

        Both are `trades`, `quotes` or a length of stored bars. Columns of the right are called
        `quote_bid_price`, `trade_price`, `bar_close`, … `tolerance` is the farthest that counts.
        """
        parameters = {
            **self._span(symbols, start, end, tz),
            **{"left": left, "right": right, "direction": direction, "allow_exact": allow_exact},
            **{"columns": _listed("columns", columns)},
            **{"right_columns": joined("right_columns", right_columns)},
            **{"tolerance": duration("tolerance", tolerance)},
        }
        return self._rows("/v1/asof", parameters, _by_time(symbols), limit)

    def latest(
        self,
        symbols: Symbols,
        *,
        of: Literal["trades", "quotes", "bars"] = "trades",
        timeframe: str | None = None,
        tz: Zone | None = None,
    ) -> Rows:
        """The newest trade, quote or bar of each ticker; `timeframe` is for bars. One row a ticker."""
        shared = without_none({"of": of, "timeframe": timeframe, "tz": zone_name("tz", tz)})
        return self._chunked("/v1/latest", symbols, LATEST_MAX, shared)

    def snapshots(self, symbols: Symbols, *, tz: Zone | None = None) -> Rows:
        """Newest trade and quote, newest bar of a minute and of a day, and the day before, in one row.

        Columns are called `latest_trade_price`, `daily_bar_close`, `prev_daily_bar_close`, …
        """
        shared = without_none({"tz": zone_name("tz", tz)})
        return self._chunked("/v1/snapshots", symbols, SNAPSHOTS_MAX, shared)

    def option_chain(
        self,
        underlying: str,
        *,
        contracts: str | Iterable[str] | None = None,
        type: Literal["call", "put"] | None = None,
        strike_price_gte: float | None = None,
        strike_price_lte: float | None = None,
        expiration_date: str | dt.date | None = None,
        expiration_date_gte: str | dt.date | None = None,
        expiration_date_lte: str | dt.date | None = None,
        as_of: Moment | None = None,
        tz: Zone | None = None,
    ) -> Rows:
        """The newest snapshot of each contract of `underlying` that hasn't expired, one row each."""
        dates = {
            "expiration_date": expiration_date,
            "expiration_date_gte": expiration_date_gte,
            "expiration_date_lte": expiration_date_lte,
        }
        zone = zone_name("tz", tz)
        parameters = {
            **{"underlying": underlying, "contracts": _listed("contracts", contracts), "type": type},
            **{"strike_price_gte": strike_price_gte, "strike_price_lte": strike_price_lte, "tz": zone},
            **{name: date_text(name, date) for name, date in dates.items() if date is not None},
            **{"as_of": None if as_of is None else moment("as_of", as_of, zone)},
        }
        return self._rows("/v1/options", parameters, Index(("symbol",)), is_paged=False)

    def corporate_actions(
        self,
        symbols: Symbols,
        *,
        start: str | dt.date | None = None,
        end: str | dt.date | None = None,
        columns: str | Iterable[str] | None = None,
        limit: int | None = None,
        sort: Sort | None = None,
        with_position: bool = False,
    ) -> Rows:
        """Splits, dividends, spin-offs and changes of the symbol, by their ex-dates."""
        parameters = {
            **symbol_parameters(symbols),
            **{"start": None if start is None else date_text("start", start)},
            **{"end": None if end is None else date_text("end", end)},
            **{"sort": sort, "columns": _listed("columns", columns), "with_position": with_position or None},
        }
        index = Index(("ex_date",), "symbol") if is_one(symbols) else Index(("symbol", "ex_date"))
        return self._rows("/v1/corporate-actions", parameters, index, limit)

    def tickers(self, symbols: Symbols = "*", *, kind: str | None = None, series: bool = False) -> TableRows:
        """Tickers, with the kinds of their rows; with `series`, a row for each series instead.

        A series has its first and last stamp. `kind` is `daily`, `hourly`, `ticks`, `interval`,
        `options`, `financial` or `actions`. Read at once.
        """
        parameters = without_none({**symbol_parameters(symbols), "kind": kind, "series": series or None})
        parameters["limit"] = SERIES_PAGE if series else TICKERS_PAGE
        found: list[dict[str, Any]] = []
        while True:
            page = self._transport.ask_json("/v1/tickers", parameters)
            found += page["tickers"]
            if not page.get("next_page_token"):
                return TableRows(ticker_table(found, series), Index())
            parameters["page_token"] = page["next_page_token"]

    def sql(self, statement: str, params: Sequence[Any] = ()) -> TableRows:
        """The rows of a statement that reads, in the language of the server's engine. Read at once.

        `?`, `?1` and `:name` of the statement take `params` in their order: numbers, texts, None,
        dates, datetimes with a zone. The answer comes as JSON: stamps are text, as the engine prints
        them; a column with several kinds of values is text. No row at all has no columns either.
        """
        if isinstance(params, (str, bytes)):
            raise TypeError(f"params: got {params!r}, expected a list")
        values = [sql_parameter(index, value) for index, value in enumerate(params)]
        answer = self._transport.ask_json("/v1/sql", {"sql": statement, "params": values})
        return TableRows(sql_table(answer["data"]), Index())

    def save_bars(
        self,
        data: Any,
        *,
        timeframe: str,
        ticker: str | None = None,
        tz: Zone | None = None,
        on_duplicate: Literal["replace", "ignore", "keep", "merge", "error"] | None = None,
        idempotency_key: str | None = None,
        strict: bool = False,
    ) -> Saved:
        """Stores bars of one length, of one or many tickers: see `save_trades`.

        Bars of days may have dates, or stamps without a zone at midnight.
        """
        return self._save("bars", data, ticker, tz, on_duplicate, idempotency_key, strict, timeframe)

    def save_trades(
        self,
        data: Any,
        *,
        ticker: str | None = None,
        tz: Zone | None = None,
        on_duplicate: Literal["ignore", "append", "keep", "replace", "error"] | None = None,
        idempotency_key: str | None = None,
        strict: bool = False,
    ) -> Saved:
        """Stores trades, of one or many tickers.

        `data` is a DataFrame of pandas or polars, a Table, RecordBatch or RecordBatchReader of
        pyarrow, a dict of columns, or a list of dicts. Its columns have the names of answers, long or
        short, or others that the server knows (`ticker`, `time`, …); what it has no column for is
        kept in `extra`, with a warning. An index of pandas with a name, or of stamps, is a column.
        `ticker` is that of rows without such a column. Stamps have a zone, or are the wall clock of
        `tz`; else it is a `ValueError`. The column `id` says which trade it is.

        More rows than fit into a request are split. Each request has an `Idempotency-Key`, and is
        sent again until it is answered: `retries` times after a lost connection or a busy server.
        Who calls again after a `SaveFailed`, with the same data and its `idempotency_key`, repeats
        nothing. `strict` refuses rows of which the server would warn.

        Raises `RequestRefused` where nothing is stored, and `SaveFailed`, which tells which rows are,
        where that isn't so or isn't known.
        """
        return self._save("trades", data, ticker, tz, on_duplicate, idempotency_key, strict)

    def save_quotes(
        self,
        data: Any,
        *,
        ticker: str | None = None,
        tz: Zone | None = None,
        on_duplicate: Literal["ignore", "append", "keep", "replace", "error"] | None = None,
        idempotency_key: str | None = None,
        strict: bool = False,
    ) -> Saved:
        """Stores quotes, of one or many tickers: see `save_trades`."""
        return self._save("quotes", data, ticker, tz, on_duplicate, idempotency_key, strict)

    def writer(
        self,
        *,
        batch_rows: int = 1_000,
        batch_bytes: int = 1024 * 1024,
        batch_seconds: float = 0.005,
        queue_rows: int = 100_000,
        request_timeout: float = 30.0,
        close_timeout: float = 30.0,
        spool: str | os.PathLike[str] | None = None,
        spool_bytes: int = 1024 * 1024 * 1024,
        spool_sync_seconds: float = 1.0,
        on_refused: Callable[[RefusedRow], None] | None = None,
    ) -> Writer:
        """A writer of single rows, that batches them: `async with` it, or `with` it.

        Rows of all tickers are gathered for `batch_seconds`, `batch_rows` (below 2,000) or
        `batch_bytes`; at most `queue_rows` wait in memory. A request is sent again, with the same key,
        until it is answered. `spool` is a folder that keeps rows until they are stored, of at most
        `spool_bytes`. `on_refused` is called with each row that the server won't have. See
        `stock_db.writer`.
        """
        made: Writer = importlib.import_module(".writer", __package__).Writer(
            self.connection,
            batch_rows=batch_rows,
            batch_bytes=batch_bytes,
            batch_seconds=batch_seconds,
            queue_rows=queue_rows,
            request_timeout=request_timeout,
            close_timeout=close_timeout,
            spool=spool,
            spool_bytes=spool_bytes,
            spool_sync_seconds=spool_sync_seconds,
            on_refused=on_refused,
        )
        return made

    def stream(
        self,
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
        slow: Literal["disconnect", "conflate", "gap"] = "disconnect",
        state: str | os.PathLike[str] | None = None,
        state_seconds: float = 0.5,
        silence_seconds: float = 15.0,
        begin_seconds: float = 60.0,
    ) -> Stream:
        """Live updates, each once and in order: loop over it with `async for` or `for`.

        `symbols` are tickers, or `"*"` for all. It begins now, or at `since`: a position for each
        ticker (of `epoch`), or a time. With `bars`, timeframes, come bars that the server makes of
        trades. `state` is a file of positions, from which the next run goes on. An update is handled
        when the next one is asked for. What can't be told comes as `Gap`. See `stock_db.stream`.
        """
        made: Stream = importlib.import_module(".stream", __package__).Stream(
            self.connection,
            symbols,
            types=types,
            bars=bars,
            partial=partial,
            empty_bars=empty_bars,
            source=source,
            calendar=calendar,
            session=session,
            since=since,
            epoch=epoch,
            snapshot=snapshot,
            slow=slow,
            state=state,
            state_seconds=state_seconds,
            silence_seconds=silence_seconds,
            begin_seconds=begin_seconds,
        )
        return made

    def history_then_live(
        self,
        symbols: str | Iterable[str],
        *,
        of: Literal["trades", "quotes", "bars"] = "trades",
        timeframe: str | None = None,
        types: str | Iterable[str] | None = None,
        bars: str | Iterable[str] | None = None,
        slow: Literal["disconnect", "conflate", "gap"] = "disconnect",
        state: str | os.PathLike[str] | None = None,
        **question: Any,
    ) -> tuple[Rows, Stream]:
        """Stored rows, and the stream of what comes just after them: no hole, no overlap.

        `question` is what `trades`, `quotes` or `bars` take beside, such as `start`.
        """
        joined_ones: tuple[Rows, Stream] = importlib.import_module(
            ".stream", __package__
        ).history_then_live(
            self,
            symbols,
            of=of,
            timeframe=timeframe,
            types=types,
            bars=bars,
            slow=slow,
            state=state,
            **question,
        )
        return joined_ones

    def close(self) -> None:
        """Ends the connections that are kept open. The client may be used again."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _span(
        self, symbols: Symbols, start: Moment | None, end: Moment | None, tz: Zone | None
    ) -> dict[str, Any]:
        zone = zone_name("tz", tz)
        return {
            **symbol_parameters(symbols),
            "start": None if start is None else moment("start", start, zone),
            "end": None if end is None else moment("end", end, zone),
            "tz": zone,
        }

    def _rows(
        self,
        path: str,
        parameters: dict[str, Any],
        index: Index,
        limit: int | None = None,
        is_paged: bool = True,
    ) -> Rows:
        if limit is not None and (isinstance(limit, bool) or limit < 1):
            raise ValueError(f"limit: got {limit!r}, expected 1 or more")
        question = Question(path, without_none(parameters), limit, is_paged)
        return Rows(self._transport, [question], index, self._accepted)

    def _chunked(self, path: str, symbols: Symbols, size: int, shared: dict[str, Any]) -> Rows:
        questions = [
            Question(path, {**symbol_parameters(each), **shared}, is_paged=False)
            for each in chunks(symbols, size)
        ]
        return Rows(self._transport, questions, Index(("symbol",)), self._accepted)

    @property
    def _accepted(self) -> str | None:
        if not self.connection.compress:
            return None
        return "zstd, gzip" if pa.Codec.is_available("zstd") else "gzip"

    def _save(
        self,
        table: str,
        data: Any,
        ticker: str | None,
        tz: Zone | None,
        on_duplicate: str | None,
        idempotency_key: str | None,
        strict: bool,
        timeframe: str | None = None,
    ) -> Saved:
        parameters = {
            **{"timeframe": timeframe, "symbol": ticker, "tz": zone_name("tz", tz)},
            **{"on_duplicate": on_duplicate, "strict": "true" if strict else None},
        }
        return save(self._transport, table, data, without_none(parameters), idempotency_key)


def _by_time(symbols: Symbols) -> Index:
    return Index(("timestamp",), "symbol") if is_one(symbols) else Index(("symbol", "timestamp"))


def _listed(name: str, value: str | Iterable[str] | None) -> list[str] | None:
    text = joined(name, value)
    return None if text is None else text.split(",")
