"""The client class of the Python server's programs, over this client.

    from stock_db.compat import StockDBClient

    async with StockDBClient("localhost:8080") as db:
        frame = await db.get_stock_data("AAPL", "2024-01-01", "2024-02-01")

Methods, parameters and DataFrames are those that its programs know. What is different:

- A request that the server refuses isn't repeated, and the exception says why. It is a
  `ConnectionError`, as ever, and a `StockDBError`.
- Stamps with a zone are that instant, not its wall clock with a false Z. Those without are UTC.
- Large frames are split, so that no body is too large.
- A raw statement is sent once: if no answer comes, nobody knows whether it has run.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import decimal
import json
import logging
import numbers
import os
import ssl
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from .client import connect
from .errors import StockDBError
from .http import Transport

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ServerError", "StockDBClient"]

T = TypeVar("T")

#: Rows of a request.
ROWS_MAX = 10_000
#: Numbers above it are milliseconds since 1970, others seconds.
SECONDS_MAX = 10_000_000_000
#: What `interval` may be for bars whose stamps are dates.
DAILY = "daily"


class ServerError(StockDBError, ConnectionError):
    """The server has refused the request, or couldn't be reached; the message says which."""


class StockDBClient:
    """`server_address` is `host:port`, or an address with `https://` or `unix:`.

    `response_timeout` is in seconds, `max_retries` how often a request is sent in all. `logger` and
    `retry_interval` are taken for the sake of programs that pass them; pauses grow from 0.2 s to 5 s.
    `key` and `verify` are as in `stock_db.connect`. Needs pandas.
    """

    def __init__(
        self,
        server_address: str = "localhost:8080",
        logger: logging.Logger | None = None,
        response_timeout: float = 60.0,
        max_retries: int = 10,
        retry_interval: float = 1.0,
        *,
        key: str | None = None,
        verify: bool | str | os.PathLike[str] | ssl.SSLContext = True,
    ) -> None:
        has_scheme = "://" in server_address or server_address.startswith("unix:")
        self.server_url = server_address if has_scheme else f"http://{server_address}"
        self.logger = logger if logger is not None else logging.getLogger("stock_db")
        self.retry_interval = retry_interval
        self.max_retries = max_retries
        self.response_timeout = response_timeout
        #: The client beneath, for all that this class has no method for.
        self.client = connect(
            self.server_url, key=key, verify=verify, timeout=response_timeout, retries=max(0, max_retries - 1)
        )
        self._transport = Transport(self.client.connection)

    async def __aenter__(self) -> StockDBClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close_session()

    async def close_session(self) -> None:
        """Ends the connections. The client may be used again."""
        self._transport.close()
        self.client.close()

    def get_connection_settings(self) -> dict[str, Any]:
        return {
            "response_timeout": self.response_timeout,
            "max_retries": self.max_retries,
            "retry_interval": self.retry_interval,
        }

    async def save_stock_data(
        self,
        df: pd.DataFrame,
        ticker: str,
        interval: str = DAILY,
        ma_periods: list[int] | None = None,
        ema_periods: list[int] | None = None,
        on_duplicate: str = "ignore",
    ) -> None:
        """Bars; the index is their stamp. The server reckons the averages by itself.

        `interval` is `daily`, `hourly` or another length such as `5min`.
        """
        if df.empty:
            return
        index = _index_name(df, "timestamp" if "timestamp" in df.columns else "date")
        records = _records(df, index, has_dates=interval == DAILY)
        for part in _split(records):
            parameters = {"ticker": ticker, "interval": interval, "data": part, "index_col": index}
            await self._asked("save_stock_data", {**parameters, "on_duplicate": on_duplicate})

    async def get_stock_data(
        self,
        ticker: str,
        start_date: str | None = None,
        end_date: str | None = None,
        interval: str = DAILY,
        conn: object = None,
    ) -> pd.DataFrame:
        """Bars by their stamp, ascending: index `date` or `datetime`, in UTC. Empty if there are none."""
        parameters = {"ticker": ticker, "start_date": start_date, "end_date": end_date, "interval": interval}
        answer = await self._asked("get_stock_data", parameters)
        return _frame(answer.get("data", []), "date" if interval == DAILY else "datetime")

    async def save_realtime_data(
        self, df: pd.DataFrame, ticker: str, data_type: str = "quote", on_duplicate: str = "ignore"
    ) -> None:
        """Ticks; the index is their stamp. What is stored already is known by its id or its values."""
        if df.empty:
            return
        index = _index_name(df, "timestamp")
        records = _records(df, index)
        parts = _split(records)
        earlier = _occurrences(records) if len(parts) > 1 else []
        for number, part in enumerate(parts):
            parameters: dict[str, Any] = {"ticker": ticker, "data_type": data_type, "data": part}
            if earlier:
                begin = number * ROWS_MAX
                parameters["occurrences"] = earlier[begin : begin + len(part)]
            parameters.update(index_col=index, on_duplicate=on_duplicate)
            await self._asked("save_realtime_data", parameters)

    async def get_realtime_data(
        self,
        ticker: str,
        start_datetime: str | None = None,
        end_datetime: str | None = None,
        data_type: str = "quote",
    ) -> pd.DataFrame:
        """Ticks by their stamp, ascending: index `timestamp`, in UTC. Empty if there are none."""
        bounds = {"start_datetime": start_datetime, "end_datetime": end_datetime}
        answer = await self._asked("get_realtime_data", {"ticker": ticker, **bounds, "data_type": data_type})
        return _frame(answer.get("data", []), "timestamp")

    async def get_latest_price(self, ticker: str, use_market_time: bool = True) -> float | None:
        parameters = {"ticker": ticker, "use_market_time": use_market_time}
        answer = await self._asked("get_latest_price", parameters)
        price: float | None = answer.get("latest_price")
        return price

    async def get_latest_prices(
        self, tickers: list[str], use_market_time: bool = True
    ) -> dict[str, float | None]:
        parameters = {"tickers": tickers, "use_market_time": use_market_time}
        return await self._prices("get_latest_prices", parameters)

    async def get_previous_close_prices(self, tickers: list[str]) -> dict[str, float | None]:
        return await self._prices("get_previous_close_prices", {"tickers": tickers})

    async def get_today_opening_prices(self, tickers: list[str]) -> dict[str, float | None]:
        return await self._prices("get_today_opening_prices", {"tickers": tickers})

    async def get_merged_price_series(self, *_: object, **__: object) -> pd.DataFrame:
        """Was never there for a client either."""
        raise NotImplementedError("get_merged_price_series: the server has no command for it")

    async def execute_select_sql(self, sql_query: str, params: Sequence[Any] = ()) -> pd.DataFrame:
        """The rows of a statement that reads; a column `timestamp` is the index."""
        parameters = {"sql_query": sql_query, "query_type": "select", "query_params": list(params)}
        return _frame((await self._asked("execute_sql", parameters)).get("data", []), "timestamp")

    async def execute_raw_sql(self, sql_query: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows that any statement gives. Sent once."""
        parameters = {"sql_query": sql_query, "query_type": "raw", "query_params": list(params)}
        found: list[dict[str, Any]] = (await self._asked("execute_sql", parameters, once=True)).get("data", [])
        return found

    async def save_options_data(self, df: pd.DataFrame, ticker: str) -> None:
        """Snapshots of option contracts of the underlying `ticker`."""
        if df is None or df.empty:
            return
        for part in _split(_records(df, None)):
            await self._asked("save_options_data", {"ticker": ticker, "data": part})

    async def get_options_data(
        self,
        ticker: str,
        expiration_date: str | None = None,
        start_datetime: str | None = None,
        end_datetime: str | None = None,
        option_tickers: list[str] | None = None,
    ) -> pd.DataFrame:
        """The newest snapshot of each contract; `start_datetime` and `end_datetime` bound expirations."""
        parameters = {
            **{"ticker": ticker, "expiration_date": expiration_date, "start_datetime": start_datetime},
            **{"end_datetime": end_datetime, "option_tickers": option_tickers},
        }
        return _plain_frame((await self._asked("get_options_data", parameters)).get("data", []))

    async def get_latest_options_data(
        self, ticker: str, expiration_date: str | None = None, option_tickers: list[str] | None = None
    ) -> pd.DataFrame:
        """Of each contract the snapshot of the last seven days that was saved last."""
        parameters = {"ticker": ticker, "expiration_date": expiration_date, "option_tickers": option_tickers}
        return _plain_frame((await self._asked("get_latest_options_data", parameters)).get("data", []))

    async def get_option_price_feature(self, ticker: str, option_ticker: str) -> dict[str, Any] | None:
        """`price`, `bid`, `ask`, `day_close` and `fmv` of one contract; None if it isn't stored."""
        parameters = {"ticker": ticker, "option_ticker": option_ticker}
        found: dict[str, Any] | None = (await self._asked("get_option_price_feature", parameters)).get("data")
        return found

    async def save_financial_info(self, ticker: str, financial_data: Mapping[str, Any]) -> None:
        """Financial figures of one date: today, unless `date` is among them."""
        if financial_data:
            data = {name: _json_value(value) for name, value in financial_data.items()}
            await self._asked("save_financial_info", {"ticker": ticker, "financial_data": data})

    async def get_financial_info(
        self, ticker: str, start_date: str | None = None, end_date: str | None = None
    ) -> pd.DataFrame:
        """The newest figures, or with bounds those of every date between them: index `date`."""
        parameters = {"ticker": ticker, "start_date": start_date, "end_date": end_date}
        return _frame((await self._asked("get_financial_info", parameters)).get("data", []), "date")

    async def _prices(self, command: str, parameters: Mapping[str, Any]) -> dict[str, float | None]:
        prices: dict[str, float | None] = (await self._asked(command, parameters)).get("prices", {})
        return prices

    async def _asked(
        self, command: str, parameters: Mapping[str, Any], *, once: bool = False
    ) -> dict[str, Any]:
        text = json.dumps({"command": command, "params": parameters}, default=_json_value)
        return await asyncio.to_thread(self._request, command, text.encode(), once)

    def _request(self, command: str, body: bytes, once: bool) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        try:
            if once:
                # A connection that was kept may have ended, and then it would be sent again.
                fresh = Transport(self.client.connection)
                try:
                    return fresh.once_json("/db_command", {}, body, headers)
                finally:
                    fresh.close()
            if command.startswith("save_stock") or command.startswith("save_fin"):
                headers["Idempotency-Key"] = uuid.uuid4().hex
            return self._repeated(lambda: self._transport.once_json("/db_command", {}, body, headers))
        except StockDBError as error:
            raise ServerError(f"{command}: {error}") from error

    def _repeated(self, attempt: Callable[[], T]) -> T:
        return self._transport.repeated(attempt)


def _index_name(df: pd.DataFrame, otherwise: str) -> str:
    if df.index.name is not None:
        return str(df.index.name)
    return "index" if otherwise not in df.columns else otherwise


def _records(df: pd.DataFrame, index: str | None, *, has_dates: bool = False) -> list[dict[str, Any]]:
    """The rows, with the index as a column, as JSON has them."""
    frame = df.reset_index()
    columns: dict[str, list[Any]] = {}
    for name in frame.columns:
        values = frame[name]
        if values.dtype.kind == "M" or hasattr(values.dtype, "tz"):
            columns[str(name)] = _stamps(values, has_dates and str(name) == index)
        else:
            columns[str(name)] = [_json_value(value) for value in values.tolist()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _stamps(values: pd.Series, are_dates: bool) -> list[str | None]:
    if are_dates:
        # Its own date, whatever the zone.
        texts = values.dt.strftime("%Y-%m-%d")
    else:
        in_utc = values if values.dt.tz is None else values.dt.tz_convert("UTC")
        texts = in_utc.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return [text if isinstance(text, str) else None for text in texts.tolist()]


def _json_value(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, (list, tuple)):
        return [_json_value(each) for each in value]
    if isinstance(value, Mapping):
        return {str(name): _json_value(each) for name, each in value.items()}
    try:
        if value != value:
            return None
    except (TypeError, ValueError):
        # NA of pandas has no truth.
        return None
    if isinstance(value, dt.datetime):
        zoned = value if value.tzinfo is not None else value.replace(tzinfo=dt.timezone.utc)
        return zoned.astimezone(dt.timezone.utc).isoformat().replace("+00:00", "Z")
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, (numbers.Real, decimal.Decimal)):
        number = float(value)
        return None if number in (float("inf"), float("-inf")) else number
    return str(value)


def _split(records: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    return [records[at : at + ROWS_MAX] for at in range(0, len(records), ROWS_MAX)]


def _occurrences(records: list[dict[str, Any]]) -> list[int]:
    """Of each row, how many equal ones are before it: so that equal ticks are told from repetitions."""
    seen: dict[str, int] = {}
    found = []
    for record in records:
        text = json.dumps(record, sort_keys=True)
        found.append(seen.get(text, 0))
        seen[text] = found[-1] + 1
    return found


def _plain_frame(records: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame.from_records(records) if records else pd.DataFrame()


def _frame(records: list[dict[str, Any]], index: str) -> pd.DataFrame:
    import pandas as pd

    frame = _plain_frame(records)
    if index not in frame.columns:
        return frame
    values = frame[index]
    try:
        if pd.api.types.is_integer_dtype(values):
            unit = "ms" if values.iloc[0] > SECONDS_MAX else "s"
            frame[index] = pd.to_datetime(values, unit=unit, utc=True)
        else:
            frame[index] = pd.to_datetime(values, format="ISO8601", utc=True)
    except (ValueError, TypeError):
        # A statement may call anything so: the column stays one.
        return frame
    frame = frame.set_index(index)
    return frame[frame.index.notna()]
